// SPDX-License-Identifier: MIT OR Apache-2.0

//! The children of the system that tests processes. Its argument says what a child does.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;

use keel::{
    cap::{Budget, Tcb},
    fault::Fault,
    heap::Heap,
    prelude::*,
    process::{Builder, Sharing},
    service::{self, Answer, NOT_ALLOWED, Payload, Request, Service, UNKNOWN_REQUEST},
    shared::SharedMemory,
    startup, sys,
};

#[global_allocator]
static HEAP: Heap = Heap::empty();

keel::program!(main);

fn main(startup: &'static Startup) -> keel::Result {
    let address = |name: &str| startup.view(name).map(|view| view.address()).ok_or(Error::Missing("region"));
    match startup.argument() {
        b"return" => Ok(()),
        b"exit" => keel::rt::exit(42),
        b"fail" => Err(Error::Missing("a reason to go on")),
        b"panic" => panic!("on purpose"),
        b"overflow" => overflow(1),
        b"read" => stray_read(0xdead_0000),
        b"write-code" => stray_write(main as *const () as u64),
        b"write-frozen" => stray_write(startup.bytes("frozen").ok_or("no frozen region")?.as_ptr() as u64),
        b"write-read-only" => stray_write(address("page")?),
        b"run-data" => stray_jump(address("page")?),
        b"jump" => stray_jump(0xdead_0000),
        b"capability" => {
            Cap::<Endpoint>::at(63).recv(Cap::null());
            Ok(())
        }
        b"own-thread" => Ok(Cap::<Tcb>::at(62).suspend()?),
        b"spin" => loop {
            core::hint::black_box(());
        },
        b"sum" => sum(startup),
        b"heap" => use_heap(startup),
        b"serve" => serve(startup),
        b"print" => {
            println!("a child prints through the driver: {:0>100}", 7);
            Ok(())
        }
        b"parent" => parent(startup),
        _ => Err("an argument that means nothing".into()),
    }
}

/// Uses up the stack.
fn overflow(depth: u64) -> keel::Result {
    if depth == u64::MAX {
        return Ok(());
    }
    let page = core::hint::black_box([depth; 512]);
    overflow(page[7] + 1)?;
    core::hint::black_box(page);
    Ok(())
}

fn stray_read(address: u64) -> keel::Result {
    // SAFETY: none; the access is meant to fault, and the thread does not go on behind it.
    unsafe { (address as *const u64).read_volatile() };
    Err("the read went through".into())
}

fn stray_write(address: u64) -> keel::Result {
    // SAFETY: none; the access is meant to fault, and the thread does not go on behind it.
    unsafe { (address as *mut u64).write_volatile(0) };
    Err("the write went through".into())
}

fn stray_jump(address: u64) -> keel::Result {
    // SAFETY: none; the jump is meant to fault, and the thread does not go on behind it.
    let nowhere = unsafe { core::mem::transmute::<u64, extern "C" fn()>(address) };
    nowhere();
    Err("the jump went through".into())
}

/// Adds up the frozen bytes, writes the sum into the shared page and says so by its badge.
fn sum(startup: &Startup) -> keel::Result {
    let sum: u64 =
        startup.bytes("frozen").ok_or("no frozen region")?.iter().map(|&byte| u64::from(byte)).sum();
    startup.view("page").ok_or("no shared page")?.write(8, &sum.to_le_bytes())
}

fn use_heap(startup: &Startup) -> keel::Result {
    let memory = startup.take_region(startup::HEAP).ok_or("no heap")?;
    if startup.take_region(startup::HEAP).is_some() || memory.iter().any(|&byte| byte != 0) {
        return Err("the heap is not new and ours alone".into());
    }
    HEAP.init(memory);
    let mut numbers = Vec::new();
    (0..100_000_u64).for_each(|number| numbers.push(number));
    // Floating point, too: the unit is on without asking.
    let mean = numbers.iter().map(|&number| number as f64).sum::<f64>() / numbers.len() as f64;
    if mean == 49_999.5 { Ok(()) } else { Err("wrong mean".into()) }
}

struct Calculator;

impl Service for Calculator {
    fn request(&mut self, request: &mut Request) -> Answer {
        match request.label {
            1 => {
                let sum = request.payload.take()?.wrapping_add(request.payload.take()?);
                Ok(Payload::new().with(sum)?.with(request.badge)?)
            }
            2 => {
                let mut room = [0; 952];
                let count = request.payload.take_bytes(&mut room)?.len();
                room[..count].reverse();
                Ok(Payload::new().with_bytes(&room[..count])?)
            }
            3 => Err(NOT_ALLOWED),
            _ => Err(UNKNOWN_REQUEST),
        }
    }
}

fn serve(startup: &Startup) -> keel::Result {
    let endpoint = startup.cap("endpoint").ok_or("no endpoint")?;
    let reply = startup.cap("reply").ok_or("no reply object")?;
    service::serve(endpoint, reply, &mut Calculator)
}

/// Builds children itself: one that adds up, one that strays.
fn parent(startup: &'static Startup) -> keel::Result {
    let mut resources = startup.take_resources().ok_or("no means")?;
    let program = startup.bytes("frozen").ok_or("no program")?;
    let (free, slots) = (resources.memory.free_bytes(), resources.slots.free());
    let faults = resources.allocate::<Endpoint>()?;
    let reply = resources.allocate::<Reply>()?;
    let numbers = SharedMemory::new(&mut resources, 3)?;
    numbers.view().write(0, &[1, 2, 3])?;
    let page = SharedMemory::new(&mut resources, 64)?;
    for round in 0..3 {
        let child = Builder::new(program)
            .priority(10)
            .budget(Budget::of(2_000, 4_000))
            .argument(if round == 1 { b"read" } else { b"sum" })
            .share("frozen", &numbers, Sharing::Frozen)
            .share("page", &page, Sharing::ReadWrite)
            .fault_endpoint(faults, 100 + round)
            .build(&mut resources)?;
        child.start()?;
        let message = faults.recv(reply);
        let fault = Fault::decode(&message).ok_or("a message that is no fault")?;
        let expected = match round {
            1 => matches!(fault, Fault::Vm { address: 0xdead_0000, .. }),
            _ => fault.ending() == Some(keel::rt::Ending::Exit(0)),
        };
        if message.badge != 100 + round || !expected {
            println!("grandchild {round}: {fault}");
            return Err("a grandchild ended otherwise than expected".into());
        }
        child.kill(&mut resources)?;
    }
    let mut sum = [0; 8];
    page.view().read(8, &mut sum)?;
    page.release(&mut resources)?;
    numbers.release(&mut resources)?;
    sys::yield_now();
    let lost = (free - resources.memory.free_bytes(), slots - resources.slots.free());
    match (u64::from_le_bytes(sum), lost) {
        // What stays: the chunk that the two objects were cut from, its slot and theirs, and the slots of
        // the splits that led to it.
        (6, (bytes, _)) if bytes <= 1 << 17 => Ok(()),
        (6, _) => Err("memory was lost".into()),
        _ => Err("wrong sum".into()),
    }
}
