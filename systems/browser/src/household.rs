// SPDX-License-Identifier: MIT OR Apache-2.0

//! Who lives in the browser, and what each is given.
//!
//! | program | holds | sees |
//! |---|---|---|
//! | console driver | the port's interrupt; its clients' endpoint | the port's registers |
//! | vault | its clients' endpoint, a reply object | nothing of others |
//! | neighbour | the vault, badged for its site | its cache, its diary |
//! | tab | the vault, badged for its site; the console; an Untyped, and what building processes takes | its cache; the file and the programs it starts, to read |

use keel::{
    archive::Archive,
    cap::Budget,
    console_driver::CLIENT_RIGHTS,
    prelude::*,
    process::{Builder, Process, Sharing},
    shared::SharedMemory,
    startup::CONSOLE,
};
use keel_browser_protocol::{
    Orders, diary, names, priority,
    vault::{Vault, badge},
};

/// The largest file that a tab takes.
pub const MAX_FILE_BYTES: usize = 32 << 20;

/// Bytes of cache of each site.
const CACHE_BYTES: u64 = 64 << 10;
const NEIGHBOUR_CACHE_BYTES: u64 = 16 << 10;

/// Memory that the tab builds decoders with, as powers of two: as much as there is.
const TAB_MEANS: core::ops::RangeInclusive<u8> = 24..=28;

/// Badge of the tab at the console; that of the root task is 1.
const TAB_AT_CONSOLE: u64 = 2;

/// Those whose faults the root task hears of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Member {
    /// Keeps passwords.
    Vault = 1,
    /// Another site.
    Neighbour,
    /// Shows the picture.
    Tab,
}

impl Member {
    /// Who has this badge on the fault endpoint.
    pub fn of_badge(badge: u64) -> Option<Self> {
        [Self::Vault, Self::Neighbour, Self::Tab].into_iter().find(|&member| member as u64 == badge)
    }
}

/// The programs that stay, and the root task's ways to them.
pub struct Household {
    /// Where faults arrive.
    pub faults: Cap<Endpoint>,
    /// Holds who faulted.
    pub reply: Cap<Reply>,
    /// The vault, as its auditor.
    pub vault: Vault,
    /// The vault, as somebody it does not know.
    pub stranger: Vault,
    /// What the neighbour writes down.
    pub diary: SharedMemory,
    vault_clients: Cap<Endpoint>,
    console: Cap<Endpoint>,
}

/// The files that a tab can read: the user's, and its programs.
pub struct Files([SharedMemory; 5]);

impl Files {
    const NAMES: [&str; 5] = [names::FILE, names::PNG, names::JPEG, names::HOSTILE, names::WATCH];

    /// Copies them into memory that can be shared.
    pub fn new(resources: &mut Resources, archive: Archive, file: &[u8]) -> keel::Result<Self> {
        let mut lend = |bytes: &[u8]| -> keel::Result<SharedMemory> {
            let memory = SharedMemory::new(resources, bytes.len() as u64)?;
            memory.view().write(0, bytes)?;
            Ok(memory)
        };
        Ok(Self([
            lend(file)?,
            lend(archive.program("keel-browser-png")?)?,
            lend(archive.program("keel-browser-jpeg")?)?,
            lend(archive.program("keel-browser-hostile")?)?,
            lend(archive.program("keel-browser-watch")?)?,
        ]))
    }

    /// Names and contents.
    fn named(&self) -> impl Iterator<Item = (&'static str, &SharedMemory)> {
        Self::NAMES.into_iter().zip(&self.0)
    }

    /// Takes them back.
    pub fn release(self, resources: &mut Resources) -> keel::Result {
        self.0.into_iter().try_for_each(|file| file.release(resources))
    }
}

impl Household {
    /// Starts the vault and the neighbour.
    pub fn new(root: &mut Root, archive: Archive, console: Cap<Endpoint>) -> keel::Result<Self> {
        let resources = &mut root.resources;
        let faults = resources.allocate::<Endpoint>()?;
        let reply = resources.allocate::<Reply>()?;
        let clients = resources.allocate::<Endpoint>()?;
        let vault_reply = resources.allocate::<Reply>()?;
        let vault = Builder::new(archive.program("keel-browser-vault")?)
            .priority(priority::VAULT)
            .fault_endpoint(faults, Member::Vault as u64)
            .grant(names::CLIENTS, clients, Rights::READ)
            .grant(names::REPLY, vault_reply, Rights::ALL)
            .build(resources)?;
        vault.start()?;
        let diary = SharedMemory::new(resources, diary::BYTES)?;
        let neighbour = Builder::new(archive.program("keel-browser-neighbour")?)
            .priority(priority::NEIGHBOUR)
            .budget(Budget::of(2_000, 20_000))
            .fault_endpoint(faults, Member::Neighbour as u64)
            .grant_badged(names::VAULT, clients, CLIENT_RIGHTS, badge::BANK)
            .private(names::CACHE, NEIGHBOUR_CACHE_BYTES)
            .share(names::DIARY, &diary, Sharing::ReadWrite)
            .build(resources)?;
        neighbour.start()?;
        let auditor = resources.mint(clients, CLIENT_RIGHTS, badge::AUDITOR)?;
        let stranger = resources.mint(clients, CLIENT_RIGHTS, badge::STRANGER)?;
        let (vault, stranger) = (Vault(auditor), Vault(stranger));
        Ok(Self { faults, reply, vault, stranger, diary, vault_clients: clients, console })
    }

    /// Builds the tab and lets it run.
    pub fn open_tab(
        &self,
        root: &mut Root,
        archive: Archive,
        files: &Files,
        orders: Orders,
    ) -> keel::Result<Process> {
        let argument = orders.encode();
        let program = archive.program("keel-browser-tab")?;
        let tab = with_as_much_as_there_is(|bits| {
            let builder = Builder::new(program)
                .argument(&argument)
                .stack_bytes(512 << 10)
                .cspace_radix(12)
                .priority(priority::TAB)
                .max_controlled_priority(priority::WATCH)
                .fault_endpoint(self.faults, Member::Tab as u64)
                .grant_badged(names::VAULT, self.vault_clients, CLIENT_RIGHTS, badge::GALLERY)
                .grant_badged(CONSOLE, self.console, CLIENT_RIGHTS, TAB_AT_CONSOLE)
                .private(names::CACHE, CACHE_BYTES)
                .means(bits);
            files
                .named()
                .fold(builder, |builder, (name, file)| builder.share(name, file, Sharing::Frozen))
                .build(&mut root.resources)
        })?;
        tab.start()?;
        Ok(tab)
    }
}

/// Builds with the largest means that the machine's memory allows.
fn with_as_much_as_there_is(mut build: impl FnMut(u8) -> keel::Result<Process>) -> keel::Result<Process> {
    let mut result = Err(Error::Missing("memory"));
    for bits in TAB_MEANS.rev() {
        result = build(bits);
        if !matches!(result, Err(Error::OutOfMemory(_))) {
            break;
        }
    }
    result
}
