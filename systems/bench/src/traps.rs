// SPDX-License-Identifier: MIT OR Apache-2.0

//! Interrupts and faults, from what causes them to who handles them and back.

use core::sync::atomic::{AtomicU64, Ordering};

use keel::arch::abi::fault::USER_EXCEPTION_REGISTERS;
use keel::arch::abi::label::PAGE_MAP;
use keel::boot::{IRQ_CONTROL, Root, SCHED_CONTEXT, TCB, VSPACE};
use keel::cap::{Attributes, CPtr, Cap, Endpoint, Frame, IoPort, Rights, SchedParams};
use keel::console::{self, Sink};
use keel::device::Interrupt;
use keel::ipc::{self, Message};
use keel::resources::Resources;
use keel::uart::{UartKind, UartRegisters};
use keel_abi::label::IRQ_ACK_IRQ;
use keel_abi::message::MessageInfo;
use keel_abi::syscall::{CALL, RECV, REPLY_RECV, WAIT};
use keel_abi::x86_64::label::IO_PORT_OUT_8;

use crate::pair::{self, HIGHER, Manner, PRIORITY, Server};
use crate::report::operations;
use crate::window::{self, CLIENT, Call, INTERRUPT_MASK, InterruptMask, Reads, SERVER, TRANSMIT, between};

const NO_WORDS: [u64; 4] = [0; 4];

/// All of them.
pub fn measure(root: &mut Root, server: &mut Server) -> keel::Result {
    interrupts(root, server)?;
    faults(root, server)
}

/// Where the serial port's interrupt mask is mapped, or which I/O port it is.
static MASK: AtomicU64 = AtomicU64::new(0);
/// The capability to the I/O ports; none if the serial port is in memory.
static IO_PORTS: AtomicU64 = AtomicU64::new(0);
/// The capability to acknowledge its interrupt.
static HANDLER: AtomicU64 = AtomicU64::new(0);

/// See [`MASK`] and [`IO_PORTS`].
fn mask() -> (u64, Cap<IoPort>) {
    (MASK.load(Ordering::Relaxed), CPtr::new(IO_PORTS.load(Ordering::Relaxed)).cap())
}

/// Sets in a window which interrupts the serial port may raise: by a store, or by a call where it is at I/O ports.
#[inline(always)]
fn set_mask(reads: &Reads, value: InterruptMask) {
    let (mask, ports) = mask();
    if ports == Cap::null() {
        // SAFETY: `interrupts` has mapped the register; nobody else uses interrupts of the port.
        unsafe { window::write_register(reads, mask as *mut InterruptMask, value) };
    } else {
        let call = Call { info: MessageInfo::new(IO_PORT_OUT_8, 0, 0, 2), ..Call::on(ports.cptr()) };
        window::call::<CALL>(reads, call, [mask, value.into(), 0, 0]);
    }
}

/// Lets the serial port raise no interrupt.
fn clear_mask() {
    let (mask, ports) = mask();
    if ports == Cap::null() {
        // SAFETY: as in `set_mask`.
        unsafe { (mask as *mut InterruptMask).write_volatile(0) };
    } else {
        // Where this is refused, the interrupt comes again, and the counts show it.
        let _ = ports.write_8(mask as u16, 0);
    }
}

/// A server that handles the serial port's interrupt.
extern "C" fn handle_interrupts() -> ! {
    let wait = Call::on(pair::notification().cptr());
    let info = MessageInfo::new(IRQ_ACK_IRQ, 0, 0, 0);
    let ack = Call { info, ..Call::on(CPtr::new(HANDLER.load(Ordering::Relaxed))) };
    loop {
        window::finish::<WAIT>(&SERVER, wait, NO_WORDS);
        DELIVERED.store(between(&CLIENT, &SERVER), Ordering::Relaxed);
        clear_mask();
        window::call::<CALL>(&SERVER, ack, NO_WORDS);
    }
}

/// The window from the store that raised the last interrupt to its handler.
static DELIVERED: AtomicU64 = AtomicU64::new(0);

fn interrupts(root: &mut Root, server: &mut Server) -> keel::Result {
    let (info, registers) = root.close_console()?;
    let resources = &mut root.resources;
    match registers {
        UartRegisters::Memory(frame) => share_memory(resources, server, info.kind, frame)?,
        UartRegisters::Ports(ports, first) => {
            console::set_sink(Sink::ports(ports, first));
            MASK.store(u64::from(first) + INTERRUPT_MASK, Ordering::Relaxed);
            IO_PORTS.store(ports.cptr().bits(), Ordering::Relaxed);
        }
    }
    let interrupt = Interrupt::claim(resources, IRQ_CONTROL, info.irq, pair::notification())?;
    HANDLER.store(interrupt.handler().bits(), Ordering::Relaxed);

    operations(["irq_device_write_only"], || {
        set_mask(&CLIENT, 0);
        Ok([between(&CLIENT, &CLIENT)])
    })?;
    server.start(handle_interrupts, Manner { priority: HIGHER, ..Manner::ACTIVE })?;
    operations(["irq_write_to_handler", "irq_ack"], || {
        // The server waits for the interrupt that this raises.
        set_mask(&CLIENT, TRANSMIT);
        Ok([DELIVERED.load(Ordering::Relaxed), between(&SERVER, &SERVER)])
    })?;
    server.stop()
}

/// Maps the serial port's registers into both address spaces.
fn share_memory(
    resources: &mut Resources,
    server: &Server,
    kind: UartKind,
    frame: Cap<Frame>,
) -> keel::Result {
    let port = resources.map_frames(frame.cptr(), 1, Attributes::DEVICE)?.start;
    let copy = resources.copy(frame, Rights::ALL)?;
    server.map(resources, copy, port, Attributes::DEVICE)?;
    // SAFETY: the port is mapped there for good; the console alone prints to it.
    console::set_sink(unsafe { Sink::uart(kind, port as usize) });
    MASK.store(port + INTERRUPT_MASK, Ordering::Relaxed);
    Ok(())
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
