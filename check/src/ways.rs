// SPDX-License-Identifier: MIT OR Apache-2.0

//! The kernel's short way for Call and ReplyRecv against its general path: the same system call in two copies of one
//! system, one of which is not allowed the short way.
//!
//! Afterwards both must be the same, word for word of all objects and of all memory, with what the scheduler decided.
//! Only what means nothing is left out ([`means_something`]).

use keel_kernel::host::world::World;
use keel_kernel::object::tcb::Queued;
use keel_kernel::object::{Tcb, ThreadState};
use keel_kernel::store::checked::Region;
use keel_kernel::store::{Kind, Ref};
use keel_kernel::units::KernelAddr;
use std::mem::offset_of;

/// The system that takes the general path.
pub struct Twin {
    world: Option<World>,
}

impl Twin {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { world: None }
    }

    /// Makes the system call of whoever runs in `world`, whose registers are set, and also in a copy, the general way.
    /// Whether it went the short way; and in what the two ways differ.
    pub fn system_call(&mut self, world: &mut World) -> (bool, Vec<String>) {
        let twin = self.world.get_or_insert_with(|| world.clone());
        twin.clone_from(world);
        let before = world.kernel.arch.short_ways();
        world.kernel.handle_syscall();
        if world.kernel.arch.short_ways() == before {
            return (false, vec![]);
        }
        twin.kernel.arch.forbid_short_way();
        twin.kernel.handle_syscall();
        (true, differences(world, twin))
    }
}

impl Default for Twin {
    fn default() -> Self {
        Self::new()
    }
}

fn differences(short: &mut World, general: &mut World) -> Vec<String> {
    let mut lines = Vec::new();
    let regions: Vec<Region> = short.kernel.store.memory().regions().collect();
    if regions != general.kernel.store.memory().regions().collect::<Vec<_>>() {
        lines.push("other objects live".to_owned());
        return lines;
    }
    for region in regions {
        let backed = short.kernel.store.memory().is_backed(region.address, region.bytes);
        for at in (0..region.bytes).step_by(8).filter(|_| backed) {
            let word = |world: &mut World| world.kernel.store.memory().word(region.address.offset(at));
            let (is, must) = (word(short), word(general));
            if is != must && means_something(short, &region, at) {
                lines.push(format!(
                    "{:?} {:x?}, word at {at:#x}: the short way leaves {is:#x}, the general path {must:#x}",
                    region.kind, region.address
                ));
            }
        }
    }
    let decided = |world: &World| {
        let core = &world.kernel.core;
        let ready = core.ready().highest(world.kernel.domains.current());
        let machine =
            (world.kernel.arch.loaded(), world.kernel.arch.fpu_owner(), world.kernel.arch.deadline());
        (core.current, core.pending(), core.sched_context(), core.now, ready, core.release().root(), machine)
    };
    let (is, must) = (decided(short), decided(general));
    if is != must {
        lines.push(format!("the short way decides {is:x?}, the general path {must:x?}"));
    }
    lines
}

/// Whether the word at `at` in an object has a meaning now. How a thread sends means nothing when it does not wait to
/// send, its links nothing when it is in no queue.
fn means_something(world: &World, region: &Region, at: u64) -> bool {
    if region.kind != Kind::Tcb {
        return true;
    }
    let Some(tcb) = Ref::<Tcb>::at(KernelAddr(region.address.0)) else { return true };
    let thread = &world.kernel.store[tcb];
    let at = at as usize;
    let in_field = |start: usize, bytes: usize| (start..start + bytes).contains(&at);
    let is_queued = thread.queued != Queued::No
        || matches!(
            thread.state,
            ThreadState::BlockedOnSend | ThreadState::BlockedOnReceive | ThreadState::BlockedOnNotification
        );
    let links = in_field(offset_of!(Tcb, links), size_of_val(&thread.links));
    let sending = in_field(offset_of!(Tcb, sending), size_of_val(&thread.sending));
    !(links && !is_queued || sending && thread.state != ThreadState::BlockedOnSend)
}
