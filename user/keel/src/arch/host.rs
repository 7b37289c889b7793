// SPDX-License-Identifier: MIT OR Apache-2.0

//! The host: no kernel below, but in unit tests a scripted one that sees each trap and answers it.

use super::{Input, Output};

#[cfg(test)]
pub(crate) use script::{Trap, with_kernel};

/// A system call that gives nothing back.
pub fn trap_send(number: i64, input: Input) {
    answer(number, input, 0);
}

/// A system call that receives.
pub fn trap_receive(number: i64, input: Input) -> Output {
    answer(number, input, 0)
}

/// NBSendRecv, the one system call with a seventh argument: where to send.
pub fn trap_send_receive(number: i64, input: Input, destination: u64) -> Output {
    answer(number, input, destination)
}

#[cfg(not(test))]
fn answer(number: i64, _: Input, _: u64) -> Output {
    panic!("system call {number}: there is no kernel below a host program");
}

#[cfg(test)]
fn answer(number: i64, input: Input, destination: u64) -> Output {
    script::answer(Trap { number, input, destination })
}

std::thread_local! {
    static IPC_BUFFER: core::cell::UnsafeCell<[u64; 128]> = const { core::cell::UnsafeCell::new([0; 128]) };
}

/// The address of this host thread's own stand-in for an IPC buffer.
pub fn thread_pointer() -> usize {
    IPC_BUFFER.with(|buffer| buffer.get() as usize)
}

/// Not on the host: each thread has its buffer already.
///
/// # Safety
/// None needed here.
pub unsafe fn set_thread_pointer(_: usize) {}

/// A full fence.
pub fn memory_barrier() {
    core::sync::atomic::fence(core::sync::atomic::Ordering::SeqCst);
}

/// Ends the program.
pub fn abort() -> ! {
    std::process::abort()
}

#[cfg(test)]
mod script {
    use core::cell::RefCell;
    use std::boxed::Box;

    use super::{Input, Output};

    /// A trap as the scripted kernel sees it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Trap {
        pub number: i64,
        pub input: Input,
        pub destination: u64,
    }

    type Kernel = Box<dyn FnMut(Trap) -> Output>;

    std::thread_local! {
        static KERNEL: RefCell<Option<Kernel>> = const { RefCell::new(None) };
    }

    /// Runs `body` above `kernel`.
    pub fn with_kernel<R>(kernel: impl FnMut(Trap) -> Output + 'static, body: impl FnOnce() -> R) -> R {
        KERNEL.with(|slot| *slot.borrow_mut() = Some(Box::new(kernel)));
        let result = body();
        KERNEL.with(|slot| *slot.borrow_mut() = None);
        result
    }

    pub fn answer(trap: Trap) -> Output {
        KERNEL.with(|slot| match slot.borrow_mut().as_mut() {
            Some(kernel) => kernel(trap),
            None => panic!("system call {} outside `with_kernel`", trap.number),
        })
    }
}
