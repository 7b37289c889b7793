// SPDX-License-Identifier: MIT OR Apache-2.0

//! The browser: a picture decoded, and attacks survived, in nested sandboxes.
//!
//! The root task divides the machine: the serial port to its driver, passwords to the vault, to a
//! neighbour and to the tab what each needs. Then it waits until the tab ends, takes back what the tab
//! had, and looks whether anybody else noticed.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

mod checks;
mod household;

use keel::{
    archive,
    console_driver::ConsoleDriver,
    fault::Fault,
    prelude::*,
    println,
    rt::{Ending, ShortText},
};
use keel_browser_protocol::{Orders, priority};

use crate::{
    checks::Before,
    household::{Files, Household, MAX_FILE_BYTES, Member},
};

keel::root_task!(main);

/// A file of this name in the archive says that the terminal shows no colours.
const GREY: &str = "grey";

/// What the user is told at the end.
type Verdict = core::result::Result<(), ShortText>;

fn main(root: &mut Root) -> Verdict {
    run(root).unwrap_or_else(|error| Err(ShortText::of(&error)))
}

fn run(root: &mut Root) -> keel::Result<Verdict> {
    let archive = keel::archive!()?;
    let file = archive.find(archive::INPUT).ok_or(Error::Missing("picture"))?;
    let driver = archive.program(root.console_driver()?)?;
    let console = ConsoleDriver::start(root, driver, priority::CONSOLE)?;
    println!(
        "browser: {} bytes of picture, {} MiB of memory",
        file.len(),
        root.resources.memory.free_bytes() >> 20
    );
    if file.len() > MAX_FILE_BYTES {
        println!("browser: {} bytes of file, and {MAX_FILE_BYTES} are the most", file.len());
        return Ok(Err(ShortText::of(&"the file is too large")));
    }
    let household = Household::new(root, archive, console.endpoint)?;
    let files = Files::new(&mut root.resources, archive, file)?;
    let before = Before::look(root, &household)?;
    let orders = Orders { grey: archive.find(GREY).is_some(), vault_address: household.vault.address()? };
    let tab = household.open_tab(root, archive, &files, orders)?;
    let ending = wait(&household)?;
    tab.kill(&mut root.resources)?;
    let clean = before.compare(root, &household)?;
    files.release(&mut root.resources)?;
    Ok(match (ending, clean) {
        (Ending::Exit(0), true) => Ok(()),
        (Ending::Exit(0), false) => Err(ShortText::of(&"the sandbox left traces")),
        (Ending::Exit(code), _) => Err(ShortText::of(&format_args!("the tab ended with {code}"))),
        (Ending::Failure(text) | Ending::Panic(text), _) => Err(text),
    })
}

/// Waits for the tab's end. If anybody else ends, all is lost.
fn wait(household: &Household) -> keel::Result<Ending> {
    let message = household.faults.recv(household.reply);
    let fault = Fault::decode(&message).ok_or(Error::BadArgument("fault"))?;
    let member = Member::of_badge(message.badge);
    match (member, fault.ending()) {
        (Some(Member::Tab), Some(ending)) => Ok(ending),
        (member, _) => {
            println!("browser: {member:?}: {fault}");
            Err(Error::Message("a program broke down"))
        }
    }
}
