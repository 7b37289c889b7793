// SPDX-License-Identifier: MIT OR Apache-2.0

//! A decoder that was taken over: it is given what any decoder is given, and tries what it is told.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

mod guess;
mod send;

use keel::{prelude::*, provoke, service};
use keel_browser_protocol::{Attack, Said, names};

keel::program!(main);

/// What a decoder has.
struct Decoder {
    tab: Cap<Endpoint>,
    startup: &'static Startup,
}

fn main(startup: &'static Startup) -> keel::Result {
    let tab = startup.cap::<Endpoint>(names::TAB).ok_or(Error::Missing(names::TAB))?;
    let decoder = Decoder { tab, startup };
    match Attack::decode(startup.argument()).ok_or(Error::BadArgument("attack"))? {
        Attack::ReadVault(address) => decoder.boast(provoke::load(address)),
        Attack::ReadKernel => decoder.boast(provoke::load(Attack::KERNEL)),
        Attack::WriteInput => decoder.write_input(),
        Attack::Jump => {
            provoke::jump(Attack::NOWHERE);
            decoder.boast(Attack::NOWHERE)
        }
        Attack::RunOutput => decoder.run_output(),
        Attack::Privileged => decoder.boast(provoke::read_kernel_register()),
        Attack::Guess => decoder.say(&Said::Tally(guess::everything(tab.cptr()))),
        // Without a hint that it waits: that would be polite, and some emulators take long for it.
        Attack::Spin => loop {
            core::hint::black_box(());
        },
        Attack::Wait => loop {
            keel::sys::yield_now();
        },
        Attack::Flood => send::flood(tab),
        Attack::Malformed => decoder.say(&Said::Tally(send::nonsense(tab))),
    }
}

impl Decoder {
    fn say(&self, said: &Said) -> keel::Result {
        let (label, payload) = said.encode()?;
        service::request(self.tab, label, payload).map(drop)
    }

    /// Tells that an attack succeeded. Nobody gets here as long as the walls hold.
    fn boast(&self, loot: u64) -> keel::Result {
        self.say(&Said::Loot(loot))
    }

    fn write_input(&self) -> keel::Result {
        let input = self.startup.bytes(names::INPUT).ok_or(Error::Missing(names::INPUT))?;
        let address = input.as_ptr() as u64;
        provoke::touch(address);
        self.boast(address)
    }

    /// The output can be written, so it must not run, where the machine can forbid that.
    fn run_output(&self) -> keel::Result {
        provoke::run_data(&self.startup.view(names::OUTPUT).ok_or(Error::Missing(names::OUTPUT))?)
    }
}
