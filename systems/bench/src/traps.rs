// SPDX-License-Identifier: MIT OR Apache-2.0

//! Interrupts and faults, from what causes them to who handles them and back.

use core::sync::atomic::{AtomicU64, Ordering};

use keel::arch::abi::fault::USER_EXCEPTION_REGISTERS;
use keel::arch::abi::label::PAGE_MAP;
use keel::boot::{IRQ_CONTROL, Root, SCHED_CONTEXT, TCB, VSPACE};
use keel::cap::{Attributes, CPtr, Cap, Endpoint, Rights, SchedParams};
use keel::console::{self, Sink};
use keel::device::Interrupt;
use keel::ipc::{self, Message};
use keel::uart::UartRegisters;
use keel_abi::label::IRQ_ACK_IRQ;
use keel_abi::message::MessageInfo;
use keel_abi::syscall::{CALL, RECV, REPLY_RECV, WAIT};

use crate::pair::{self, HIGHER, Manner, PRIORITY, Server};
use crate::report::operations;
use crate::window::{self, CLIENT, Call, INTERRUPT_MASK, InterruptMask, SERVER, TRANSMIT, between};

const NO_WORDS: [u64; 4] = [0; 4];

/// All of them.
pub fn measure(root: &mut Root, server: &mut Server) -> keel::Result {
    interrupts(root, server)?;
    faults(root, server)
}

/// Where the serial port's registers are mapped.
static PORT: AtomicU64 = AtomicU64::new(0);
/// The capability to acknowledge its interrupt.
static HANDLER: AtomicU64 = AtomicU64::new(0);

fn mask_register() -> *mut InterruptMask {
    (PORT.load(Ordering::Relaxed) + INTERRUPT_MASK) as *mut InterruptMask
}

/// A server that handles the serial port's interrupt.
extern "C" fn handle_interrupts() -> ! {
    let wait = Call::on(pair::notification().cptr());
    let info = MessageInfo::new(IRQ_ACK_IRQ, 0, 0, 0);
    let ack = Call { info, ..Call::on(CPtr::new(HANDLER.load(Ordering::Relaxed))) };
    loop {
        window::finish::<WAIT>(&SERVER, wait, NO_WORDS);
        DELIVERED.store(between(&CLIENT, &SERVER), Ordering::Relaxed);
        // SAFETY: `interrupts` has mapped the register; nobody else uses interrupts of the port.
        unsafe { mask_register().write_volatile(0) };
        window::call::<CALL>(&SERVER, ack, NO_WORDS);
    }
}

/// The window from the store that raised the last interrupt to its handler.
static DELIVERED: AtomicU64 = AtomicU64::new(0);

fn interrupts(root: &mut Root, server: &mut Server) -> keel::Result {
    let (info, UartRegisters::Memory(frame)) = root.close_console()? else {
        return Err("the serial port has no registers in memory".into());
    };
    let resources = &mut root.resources;
    let port = resources.map_frames(frame.cptr(), 1, Attributes::DEVICE)?.start;
    let copy = resources.copy(frame, Rights::ALL)?;
    server.map(resources, copy, port, Attributes::DEVICE)?;
    // SAFETY: the port is mapped there for good; the console alone prints to it.
    console::set_sink(unsafe { Sink::uart(info.kind, port as usize) });
    PORT.store(port, Ordering::Relaxed);
    let interrupt = Interrupt::claim(resources, IRQ_CONTROL, info.irq, pair::notification())?;
    HANDLER.store(interrupt.handler().bits(), Ordering::Relaxed);

    operations(["irq_device_write_only"], || {
        // SAFETY: masks an interrupt that is masked.
        unsafe { window::write_register(&CLIENT, mask_register(), 0) };
        Ok([between(&CLIENT, &CLIENT)])
    })?;
    server.start(handle_interrupts, Manner { priority: HIGHER, ..Manner::ACTIVE })?;
    operations(["irq_write_to_handler", "irq_ack"], || {
        // SAFETY: lets the port raise its interrupt, which the server waits for.
        unsafe { window::write_register(&CLIENT, mask_register(), TRANSMIT) };
        Ok([DELIVERED.load(Ordering::Relaxed), between(&SERVER, &SERVER)])
    })?;
    server.stop()
}

/// A server that lets a thread go on behind the instruction that is undefined.
extern "C" fn skip_instruction() -> ! {
    let call = Call::on(pair::endpoint().cptr()).reply(pair::reply().cptr());
    let mut fault = window::finish::<RECV>(&SERVER, call, NO_WORDS);
    loop {
        let [pc, sp, status, _] = fault.words;
        let answer = call.length(USER_EXCEPTION_REGISTERS.len());
        fault = window::call::<REPLY_RECV>(&SERVER, answer, [pc + 4, sp, status, 0]);
    }
}

/// The frame that is mapped where it is missing.
static FRAME: AtomicU64 = AtomicU64::new(0);

/// A server that maps what is missing.
extern "C" fn map_page() -> ! {
    let frame = CPtr::new(FRAME.load(Ordering::Relaxed));
    let map = Message::new(PAGE_MAP).words(&[0; 3]).caps(&[VSPACE.cptr()]).info();
    ipc::buffer().set_cap(0, VSPACE.cptr());
    let call = Call::on(pair::endpoint().cptr()).reply(pair::reply().cptr());
    let mut fault = window::finish::<RECV>(&SERVER, call, NO_WORDS);
    loop {
        let words = [fault.words[1], Rights::READ_WRITE.word(), Attributes::DATA.bits(), 0];
        keel::sys::call(frame, map, words);
        fault = window::call::<REPLY_RECV>(&SERVER, call, NO_WORDS);
    }
}

/// Sends the faults of the root task's thread to `handler`.
fn handle_faults_by(handler: Cap<Endpoint>) -> keel::Result {
    Ok(TCB.set_sched_params(SchedParams {
        authority: TCB,
        max_controlled_priority: u8::MAX,
        priority: PRIORITY,
        sched_context: SCHED_CONTEXT,
        fault_endpoint: handler,
    })?)
}

fn faults(root: &mut Root, server: &mut Server) -> keel::Result {
    let resources = &mut root.resources;
    let frame = resources.allocate_frame()?;
    // Mapping the page once makes the tables that lead to it.
    let address = resources.map_frames(frame.cptr(), 1, Attributes::DATA)?.start;
    frame.unmap()?;
    FRAME.store(frame.cptr().bits(), Ordering::Relaxed);
    handle_faults_by(pair::endpoint())?;

    let passive = ["fault_user_exc_passive", "fault_user_reply_passive"];
    undefined_instructions(server, Manner::PASSIVE, passive)?;
    undefined_instructions(server, Manner::ACTIVE, ["fault_user_exc_active", "fault_user_reply_active"])?;
    server.start(map_page, Manner::PASSIVE)?;
    operations(["fault_vm_deliver_passive", "fault_vm_reply_passive"], || {
        window::load(&CLIENT, address);
        frame.unmap()?;
        Ok([between(&CLIENT, &SERVER), between(&SERVER, &CLIENT)])
    })?;
    server.stop()?;
    handle_faults_by(Cap::null())
}

fn undefined_instructions(server: &mut Server, manner: Manner, names: [&str; 2]) -> keel::Result {
    server.start(skip_instruction, manner)?;
    operations(names, || {
        window::undefined_instruction(&CLIENT);
        Ok([between(&CLIENT, &SERVER), between(&SERVER, &CLIENT)])
    })?;
    server.stop()
}
