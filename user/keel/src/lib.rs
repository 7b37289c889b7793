// SPDX-License-Identifier: MIT OR Apache-2.0

//! The user-level library of Keel: what programs above the microkernel are written with.
//!
//! The kernel gives programs capabilities, eleven system calls and nothing else. This library makes
//! these feel like Rust: capabilities have types, errors have details, memory and slots are allocated,
//! ELF files become processes, and `println!` prints. It hides nothing: every layer is public, down to
//! the registers of a system call, and a program may use any of them next to the others.
//!
//! # Hello
//!
//! The first program of a system is its *root task*. The kernel gives it everything, and it shares
//! that out.
//!
//! ```no_run
//! # mod program {
//! // #![no_std]
//! // #![no_main]
//! use keel::prelude::*;
//! # use keel::println;
//!
//! # #[cfg(target_os = "none")]
//! keel::root_task!(main);
//!
//! fn main(root: &mut Root) -> keel::Result {
//!     println!("Hello, with {} MiB to give away.", root.resources.memory.free_bytes() >> 20);
//!     Ok(())
//! }
//! # }
//! # fn main() {}
//! ```
//!
//! When `main` returns, the last line on the console is `keel: success`, or `keel: failure: …` with
//! the error; likewise for a panic. A program's `build.rs` names the linker script that this crate
//! brings along:
//!
//! ```
//! for argument in ["-Tkeel.ld", "-zmax-page-size=4096", "--build-id=none"] {
//!     println!("cargo:rustc-link-arg-bins={argument}");
//! }
//! ```
//!
//! # A tour
//!
//! From the bottom to the top:
//!
//! | | |
//! |---|---|
//! | [`sys`] | the system calls, as they are |
//! | [`ipc`] | messages and the IPC buffer |
//! | [`cap`] | typed capabilities: each kind of object with its invocations |
//! | [`error`] | what the kernel refuses and why; this library's own errors |
//! | [`slots`], [`memory`], [`addresses`] | which slots, memory and addresses are free |
//! | [`resources`] | the three together: making and mapping objects |
//! | [`boot`], [`startup`] | what a root task, and what a child, starts with |
//! | [`rt`] | how programs begin and end |
//! | [`console`], [`console_driver`], [`uart`] | where `print!` goes |
//! | [`mod@archive`], [`elf`], [`process`] | from a file in the root task's image to a running process |
//! | [`fault`] | what a process did wrong, as its fault handler sees it |
//! | [`service`] | requests and replies between programs |
//! | [`shared`] | memory that several programs see |
//! | [`device`] | registers and interrupts, for drivers |
//! | [`heap`] | an allocator, for programs that want one |
//! | `provoke` | doing what must not work, for tests of the walls |
//!
//! # Objects and messages
//!
//! A [`Cap<T>`](cap::Cap) is a number that claims to name an object of kind `T`. The kernel checks the
//! claim at each use, so capabilities are plain values; a wrong one gets an error, never harm.
//!
//! ```no_run
//! # use keel::{cap::*, ipc::Message, Resources, Result};
//! # fn example(resources: &mut Resources) -> Result {
//! let endpoint = resources.allocate::<Endpoint>()?;
//! let reply = resources.allocate::<Reply>()?;
//!
//! // A capability for somebody else: may send and be answered, and is known by badge 7.
//! let client = resources.mint(endpoint, Rights::WRITE | Rights::GRANT_REPLY, 7)?;
//!
//! // One side …
//! let answer = client.call(&Message::new(1).words(&[2, 3]));
//!
//! // … and the other, for ever.
//! let mut message = endpoint.recv(reply);
//! loop {
//!     let sum = message.word(0) + message.word(1);
//!     message = endpoint.reply_recv(&Message::new(0).words(&[sum]), reply);
//! }
//! # }
//! ```
//!
//! # Processes
//!
//! A process is built from an ELF file and gets exactly what its builder lists. It finds it by name on
//! its startup page.
//!
//! ```no_run
//! # use keel::{cap::*, fault::Fault, process::*, Resources, Result};
//! # fn example(resources: &mut Resources, file: &[u8], vault: Cap<Endpoint>) -> Result {
//! let faults = resources.allocate::<Endpoint>()?;
//! let reply = resources.allocate::<Reply>()?;
//! let child = Builder::new(file)
//!     .priority(50)
//!     .budget(Budget::of(2_000, 10_000))
//!     .fault_endpoint(faults, 1)
//!     .grant_badged("vault", vault, Rights::WRITE | Rights::GRANT_REPLY, 42)
//!     .build(resources)?;
//! child.start()?;
//!
//! // Its end is a fault like any other.
//! let message = faults.recv(reply);
//! match Fault::decode(&message) {
//!     Some(fault) => keel::println!("child {}: {fault}", message.badge),
//!     None => keel::println!("child {} sent nonsense", message.badge),
//! }
//! child.kill(resources)
//! # }
//! ```
//!
//! ```no_run
//! # mod child {
//! // The child.
//! use keel::prelude::*;
//!
//! # #[cfg(target_os = "none")]
//! keel::program!(main);
//!
//! fn main(startup: &'static Startup) -> keel::Result {
//!     let vault = startup.cap::<Endpoint>("vault").ok_or(Error::Missing("vault"))?;
//!     // …
//!     Ok(())
//! }
//! # }
//! # fn main() {}
//! ```
//!
//! A child that was given [means](process::Builder::means) of its own builds processes with the same
//! code: [`Startup::take_resources`] gives it what `root.resources` is to the root task.
//!
//! # What is safe
//!
//! Almost all of this is safe Rust, the system calls included, and programs can forbid `unsafe`. One
//! thing the types do not rule out: a program that holds capabilities to its own address space, page
//! tables or frames can take memory away from itself, or map the same frame twice. The first ends in a
//! fault, the second breaks its own references; neither is a way into anything that the program does not
//! hold. `unsafe` in this crate stands at the trap
//! instruction, at the entry of programs, at the IPC buffer, where memory that the kernel or a parent
//! mapped becomes a Rust reference, and in the heap.
//!
//! # Machines
//!
//! aarch64, riscv64 and x86_64. What depends on the machine is in `arch`; the crate also builds on the host, where its
//! tests run, with a scripted kernel in the place of the real one.
#![no_std]

#[cfg(not(target_os = "none"))]
extern crate std;

pub mod addresses;
#[doc(hidden)]
pub mod arch;
pub mod archive;
pub mod boot;
pub mod cap;
pub mod console;
pub mod console_driver;
pub mod device;
pub mod elf;
pub mod error;
pub mod fault;
pub mod heap;
pub mod ipc;
pub mod memory;
pub mod ns16550;
pub mod process;
#[cfg(target_os = "none")]
pub mod provoke;
pub mod resources;
pub mod rt;
pub mod service;
pub mod shared;
pub mod slots;
pub mod startup;
pub mod sys;
pub mod uart;

pub use keel_abi as abi;

pub use self::{
    boot::Root,
    error::{Error, Result},
    resources::Resources,
    startup::Startup,
};

/// What most programs use.
pub mod prelude {
    pub use crate::{
        Error, Resources, Root, Startup,
        cap::{CPtr, Cap, Endpoint, Notification, Reply, Rights},
        print, println,
    };
}
