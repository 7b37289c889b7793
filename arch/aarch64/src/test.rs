// SPDX-License-Identifier: MIT OR Apache-2.0

//! The machine under the portable kernel, on the host's model of the processor.

use crate::console::Console;
use crate::cpu::Device;
use crate::gic::{Gic, GicV2};
use crate::machine::{Machine, Parts};
use crate::registers::{TPIDR, TPIDRRO, word};
use crate::special;
use keel_abi::aarch64::label;
use keel_abi::aarch64::registers as order;
use keel_abi::error::ErrorCode;
use keel_abi::message::MessageInfo;
use keel_abi::{slot, syscall};
use keel_arch::cpu::space::DeviceMap;
use keel_arch::model::{self, executed};
use keel_kernel::Kernel;
use keel_kernel::arch::{Arch, TakenInterrupt, Trigger};
use keel_kernel::boot::region::PhysRegion;
use keel_kernel::boot::{BootInput, UserImage, boot};
use keel_kernel::cap::Cap;
use keel_kernel::error::Error;
use keel_kernel::object::Tcb;
use keel_kernel::object::irq::Interrupts;
use keel_kernel::object::tcb::{FLAG_FPU_DISABLED, TcbSlot};
use keel_kernel::store::checked::CheckedMemory;
use keel_kernel::store::{Kind, Ref, Store};
use keel_kernel::units::{Irq, PhysAddr, VirtAddr};

const RAM: PhysRegion = PhysRegion::new(0x4000_0000, 0x4100_0000);
const KERNEL: PhysRegion = PhysRegion::new(0x4000_0000, 0x4001_0000);
const IMAGE: PhysRegion = PhysRegion::new(0x4010_0000, 0x4010_4000);
const VIRTUAL: u64 = 0x40_0000;
const NO_SPACE: u64 = 0x4000_f000;
const DISTRIBUTOR: u64 = 0x1000;
const INTERFACE: u64 = 0x2000;
const TIMER: u32 = 27;
/// Where tests put threads of their own: free memory.
const THREADS: PhysAddr = PhysAddr(0x4040_0000);
const UART: u64 = 0x3000;

/// A device whose page of registers begins at `base`.
fn device(base: u64) -> Device {
    Device::new(DeviceMap::model(base, 4096))
}

/// A kernel that has just booted, with 96 interrupts.
pub(crate) fn kernel() -> Kernel<Machine> {
    // Cache lines of 64 bytes.
    model::set("ctr_el0", 4 << 16);
    model::write_device(DISTRIBUTOR + 4, 2);
    let parts = Parts {
        gic: Gic::V2(GicV2::new(device(DISTRIBUTOR), device(INTERFACE))),
        console: Some(Console::new(device(UART))),
        firmware: None,
        timer: TIMER,
        no_space: NO_SPACE,
    };
    let memory = CheckedMemory::new(Machine::PHYS_WINDOW, RAM.start, RAM.bytes());
    let slots = Ref::at(Store::<Machine>::window(KERNEL.start)).unwrap();
    let mut kernel = Kernel::new(Machine::new(parts, 62_500), memory, Interrupts::new(slots, 96));
    let image = UserImage { physical: IMAGE, offset: IMAGE.start.0 - VIRTUAL, entry: VirtAddr(VIRTUAL) };
    let input = BootInput {
        memory: &[RAM],
        reserved: &[KERNEL],
        reclaimed: PhysRegion::new(0, 0),
        window_top: PhysAddr(1 << 38),
        device_top: PhysAddr(1 << 40),
        image,
        extra: &[],
        machine_caps: &[(slot::SMC, special::smc())],
    };
    boot(&mut kernel, &input).unwrap();
    executed();
    kernel
}

/// A new thread.
pub(crate) fn thread(kernel: &mut Kernel<Machine>, number: u64) -> Ref<Tcb> {
    let tcb: Ref<Tcb> = Ref::at(Store::<Machine>::window(THREADS.offset(number * 2048))).unwrap();
    kernel.store.created(Kind::Tcb, tcb.address(), 2048);
    tcb
}

/// The current thread calls `slot` with a message, and once more whenever it is preempted; the label of the
/// answer.
fn call(kernel: &mut Kernel<Machine>, slot: u64, label: u64, words: &[u64], caps: usize) -> u64 {
    let tcb = kernel.core.current.unwrap();
    let registers = &mut kernel.store[tcb].registers.words;
    registers[word(order::SYSCALL_NUMBER)] = syscall::CALL.cast_unsigned();
    registers[word(order::CAPABILITY)] = slot;
    registers[word(order::MESSAGE_INFO)] = MessageInfo::new(label, 0, caps, words.len()).word();
    for (register, value) in order::MESSAGE.into_iter().zip(words) {
        registers[word(register)] = *value;
    }
    kernel.handle_syscall();
    MessageInfo(kernel.store[tcb].registers.words[word(order::MESSAGE_INFO)]).label()
}

/// The slot of the first frame of the image.
fn image_slot(kernel: &Kernel<Machine>) -> u64 {
    let tcb = kernel.core.current.unwrap();
    let Cap::CNode(cnode) = kernel.store[tcb.slot(TcbSlot::CSpace)].cap() else { panic!("no CSpace") };
    let is_image = |&slot: &u64| matches!(kernel.store[cnode.slots.nth(slot)].cap(), Cap::Frame(frame) if frame.base == IMAGE.start);
    (0..1 << 12).find(is_image).unwrap()
}

#[test]
fn the_root_task_runs_in_its_address_space() {
    let kernel = kernel();
    let tcb = kernel.core.current.unwrap();
    let space = kernel.vspace_root(kernel.store[tcb.slot(TcbSlot::VSpace)].cap());
    let (root, asid) = space.unwrap();
    let physical = Store::<Machine>::physical(root.address()).0;
    assert_eq!((asid, model::read("ttbr0_el1")), (1, 1 << 48 | physical));
}

#[test]
fn thread_registers_go_with_their_thread() {
    let mut kernel = kernel();
    let [a, b] = [0, 1].map(|number| thread(&mut kernel, number));
    let Kernel { arch, store, .. } = &mut kernel;
    store[a].registers.words[TPIDR] = 1;
    store[a].registers.words[TPIDRRO] = 2;
    arch.switch_to(store, a, None);
    assert_eq!(model::read("ttbr0_el1"), NO_SPACE);
    assert_eq!((model::read("tpidr_el0"), model::read("tpidrro_el0")), (1, 2));
    // The thread writes its register by itself; others see that after it was saved.
    model::set("tpidr_el0", 3);
    arch.save_live_registers(store, a);
    assert_eq!(store[a].registers.words[TPIDR], 3);
    // Others write it.
    store[a].registers.words[TPIDR] = 4;
    arch.load_live_registers(store, a);
    arch.load_live_registers(store, b);
    assert_eq!(model::read("tpidr_el0"), 4);
    model::set("tpidr_el0", 5);
    arch.switch_to(store, b, None);
    assert_eq!(store[a].registers.words[TPIDR], 5);
    assert_eq!(model::read("tpidr_el0"), 0);
    arch.switch_to_idle(store);
    arch.switch_to(store, a, None);
    assert_eq!(model::read("tpidr_el0"), 5);
}

const CLOSED: u64 = 1 << 20;
const OPEN: u64 = 3 << 20;

#[test]
fn the_fpu_follows_those_who_use_it() {
    let mut kernel = kernel();
    let [a, b, c] = [0, 1, 2].map(|number| thread(&mut kernel, number));
    let Kernel { arch, store, .. } = &mut kernel;
    let cpacr = || model::read("cpacr_el1");
    arch.switch_to(store, a, None);
    assert!(arch.give_fpu(store, a));
    assert_eq!((cpacr(), model::fpu()), (OPEN, [0; 72]));
    model::set_fpu([1; 72]);
    // A thread that does not use it leaves it alone.
    arch.switch_to(store, b, None);
    assert_eq!((cpacr(), model::fpu()), (CLOSED, [1; 72]));
    arch.switch_to(store, a, None);
    assert_eq!((cpacr(), model::fpu()), (OPEN, [1; 72]));
    // One that does gets its own.
    arch.switch_to(store, b, None);
    assert!(arch.give_fpu(store, b));
    assert_eq!((cpacr(), model::fpu(), store[a].fpu.0), (OPEN, [0; 72], [1; 72]));
    model::set_fpu([2; 72]);
    arch.switch_to(store, a, None);
    assert_eq!(cpacr(), CLOSED);
    assert!(arch.give_fpu(store, a));
    assert_eq!((model::fpu(), store[b].fpu.0), ([1; 72], [2; 72]));
    // One that must not use it does not get it.
    store[c].flags = FLAG_FPU_DISABLED;
    arch.switch_to(store, c, None);
    assert!(!arch.give_fpu(store, c));
    assert_eq!(cpacr(), CLOSED);
}

#[test]
fn a_thread_that_loses_the_fpu_keeps_its_registers() {
    let mut kernel = kernel();
    let [a, b] = [0, 1].map(|number| thread(&mut kernel, number));
    let Kernel { arch, store, .. } = &mut kernel;
    arch.switch_to(store, a, None);
    assert!(arch.give_fpu(store, a));
    model::set_fpu([1; 72]);
    model::set("tpidr_el0", 9);
    store[a].flags = FLAG_FPU_DISABLED;
    arch.release_fpu(store, a);
    assert_eq!((store[a].fpu.0, store[a].registers.words[TPIDR]), ([1; 72], 9));
    arch.switch_to(store, a, None);
    assert_eq!((model::read("cpacr_el1"), model::read("tpidr_el0")), (CLOSED, 9));
    // Dead threads are not touched: the store would notice.
    store[a].flags = 0;
    assert!(arch.give_fpu(store, a));
    arch.release_fpu(store, a);
    store.destroyed(Kind::Tcb, a.address());
    arch.switch_to(store, b, None);
    assert!(arch.give_fpu(store, b));
}

#[test]
fn an_address_space_that_ends_is_not_used_any_more() {
    let mut kernel = kernel();
    kernel.arch.forget_spaces(2..=2);
    assert_ne!(model::read("ttbr0_el1"), NO_SPACE);
    executed();
    kernel.arch.forget_spaces(0..=511);
    assert_eq!(model::read("ttbr0_el1"), NO_SPACE);
    assert!(executed().iter().any(|&(instruction, _)| instruction == "tlbi vmalle1is"));
}

#[test]
fn interrupts_are_held_until_they_are_acknowledged() {
    const ACKNOWLEDGE: u64 = 0xc;
    const END: u64 = 0x10;
    const ENABLE: u64 = 0x104;
    const DISABLE: u64 = 0x184;
    let mut kernel = kernel();
    let arch = &mut kernel.arch;
    arch.enable_interrupt(Irq(33), Some(Trigger::Edge));
    assert_eq!(model::read_device(DISTRIBUTOR + ENABLE), 1 << 1);
    assert_eq!(model::read_device(DISTRIBUTOR + 0xc08), 1 << 3);
    model::write_device(INTERFACE + ACKNOWLEDGE, 33);
    assert_eq!(arch.take_interrupt(), Some(TakenInterrupt::Device(Irq(33))));
    arch.hold_interrupt(Irq(33));
    assert_eq!(model::read_device(DISTRIBUTOR + DISABLE), 1 << 1);
    assert_eq!(model::read_device(INTERFACE + END), 33);
    model::write_device(INTERFACE + END, 0);
    model::write_device(DISTRIBUTOR + ENABLE, 0);
    arch.ack_interrupt(Irq(33));
    assert_eq!(model::read_device(DISTRIBUTOR + ENABLE), 1 << 1);
    model::write_device(INTERFACE + ACKNOWLEDGE, TIMER);
    assert_eq!(arch.take_interrupt(), Some(TakenInterrupt::Timer));
    assert_eq!(model::read_device(INTERFACE + END), TIMER);
    model::write_device(INTERFACE + ACKNOWLEDGE, 1023);
    assert_eq!(arch.take_interrupt(), None);
}

#[test]
fn interrupt_numbers_are_those_of_the_controller() {
    let arch = kernel().arch;
    assert_eq!(arch.check_irq(95), Ok(Irq(95)));
    assert_eq!(arch.check_irq(96), Err(Error::Range { min: 0, max: 95 }));
    assert_eq!(arch.check_irq(1 << 32), Err(Error::Range { min: 0, max: 95 }));
    assert!(arch.irq_reserved(Irq(TIMER)) && !arch.irq_reserved(Irq(30)));
}

const OK: u64 = ErrorCode::NoError as u64;

/// The lines that were cleaned.
fn cleaned() -> Vec<u64> {
    let is_clean = |&(instruction, at)| (instruction == "dc cvac, {}").then_some(at);
    executed().iter().filter_map(is_clean).collect()
}

#[test]
fn caches_are_maintained_by_user_addresses() {
    let mut kernel = kernel();
    model::set("ctr_el0", 4 << 16); // lines of 64 bytes
    let frame = image_slot(&kernel);
    assert_eq!(call(&mut kernel, frame, label::PAGE_CLEAN_DATA, &[10, 65], 0), OK);
    assert_eq!(cleaned(), [VIRTUAL, VIRTUAL + 64]);
    let words = [VIRTUAL + 0x1040, VIRTUAL + 0x1080];
    assert_eq!(call(&mut kernel, slot::INIT_VSPACE, label::VSPACE_CLEAN_DATA, &words, 0), OK);
    assert_eq!(cleaned(), [VIRTUAL + 0x1040]);
    // Nothing is mapped there.
    assert_eq!(call(&mut kernel, slot::INIT_VSPACE, label::VSPACE_CLEAN_DATA, &[0x1000, 0x2000], 0), OK);
    assert_eq!(cleaned(), []);
}

#[test]
fn cache_operations_check_their_range_in_order() {
    let mut kernel = kernel();
    let frame = image_slot(&kernel);
    let mut page = |words: &[u64]| call(&mut kernel, frame, label::PAGE_CLEAN_DATA, words, 0);
    assert_eq!(page(&[0]), ErrorCode::TruncatedMessage as u64);
    assert_eq!(page(&[8, 8]), ErrorCode::InvalidArgument as u64);
    assert_eq!(page(&[0, 4097]), ErrorCode::InvalidArgument as u64);
    assert_eq!(page(&[0, 4096]), OK);
    let mut space =
        |words: &[u64]| call(&mut kernel, slot::INIT_VSPACE, label::VSPACE_UNIFY_INSTRUCTION, words, 0);
    assert_eq!(space(&[8, 8]), ErrorCode::InvalidArgument as u64);
    assert_eq!(space(&[0, 1 << 47]), ErrorCode::IllegalOperation as u64);
    assert_eq!(space(&[VIRTUAL, VIRTUAL + 4097]), ErrorCode::RangeError as u64);
    assert_eq!(space(&[VIRTUAL, VIRTUAL + 4096]), OK);
}

#[test]
fn tables_and_pools_have_no_cache_operations() {
    let mut kernel = kernel();
    let illegal = ErrorCode::IllegalOperation as u64;
    assert_eq!(call(&mut kernel, slot::INIT_ASID_POOL, label::PAGE_CLEAN_DATA, &[0, 1], 0), illegal);
    assert_eq!(
        call(&mut kernel, slot::INIT_VSPACE, label::PAGE_CLEAN_DATA, &[VIRTUAL, VIRTUAL + 1], 0),
        illegal
    );
}

#[test]
fn firmware_is_called_by_badge() {
    let mut kernel = kernel();
    assert_eq!(
        call(&mut kernel, slot::SMC, label::SMC_CALL, &[1, 2, 3, 4], 0),
        ErrorCode::TruncatedMessage as u64
    );
    assert_eq!(call(&mut kernel, slot::SMC, label::PAGE_MAP, &[], 0), ErrorCode::IllegalOperation as u64);
}
