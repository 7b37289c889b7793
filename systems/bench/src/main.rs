// SPDX-License-Identifier: MIT OR Apache-2.0

//! Counts the instructions of the kernel's operations, under QEMU's deterministic instruction counting.
//!
//! The root task's thread is the client; a second thread, in another address space, is the server. Each
//! operation is done in rounds; in each round one window, from a read of the cycle counter to another,
//! spans the operation. `cargo xtask bench` starts this program, reads the lines it prints and compares
//! them with the reference.
#![no_std]
#![no_main]

mod ipc;
mod mach;
mod machine;
mod objects;
mod pair;
mod report;
mod traps;
mod window;

use keel::boot::{SCHED_CONTEXT, TCB};
use keel::prelude::*;

keel::root_task!(main);

fn main(root: &mut Root) -> keel::Result {
    println!("bench free-bytes {}", root.resources.memory.free_bytes());
    report_holes(root);
    root.resources.authority.sched_control.configure(SCHED_CONTEXT, pair::BUDGET)?;
    TCB.set_priority(TCB, pair::PRIORITY)?;
    window::start_counter();
    let mut server = pair::Server::new(root)?;
    ipc::measure(&mut server)?;
    traps::measure(root, &mut server)?;
    objects::measure(root, &server)?;
    mach::measure(&mut server)?;
    window::end_groups();
    Ok(())
}

/// Says which parts of memory the kernel has not given out: what it keeps itself, and what became the root task.
fn report_holes(root: &Root) {
    let memory = || root.boot.untypeds().iter().filter(|untyped| untyped.is_device == 0);
    let mut end = 0;
    for untyped in memory() {
        if end != untyped.paddr {
            println!("bench hole {end} {}", untyped.paddr);
        }
        end = untyped.paddr + (1 << untyped.size_bits);
    }
}
