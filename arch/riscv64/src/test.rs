// SPDX-License-Identifier: MIT OR Apache-2.0

//! The machine under the portable kernel, on the host's model of the processor.

use crate::cpu::{Asids, Device, Timer};
use crate::machine::{Machine, Parts};
use crate::plic::Plic;
use crate::registers::word;
use keel_abi::error::ErrorCode;
use keel_abi::message::MessageInfo;
use keel_abi::riscv64::registers as order;
use keel_abi::riscv64::{cap_type, label, memory};
use keel_abi::{slot, syscall};
use keel_arch::cpu::space::DeviceMap;
use keel_arch::model::{self, executed};
use keel_kernel::Kernel;
use keel_kernel::arch::{Arch, TakenInterrupt};
use keel_kernel::boot::region::PhysRegion;
use keel_kernel::boot::{BootInput, UserImage, boot};
use keel_kernel::cap::{Cap, Mapping, TableCap, VSpaceCap};
use keel_kernel::error::Error;
use keel_kernel::ipc::fault::Fault;
use keel_kernel::object::irq::Interrupts;
use keel_kernel::object::tcb::{FLAG_FPU_DISABLED, TcbSlot};
use keel_kernel::object::{Table, Tcb};
use keel_kernel::store::checked::CheckedMemory;
use keel_kernel::store::{Kind, Ref, Store};
use keel_kernel::units::{Irq, PhysAddr, VirtAddr};

const RAM: PhysRegion = PhysRegion::new(0x8000_0000, 0x8100_0000);
const KERNEL: PhysRegion = PhysRegion::new(0x8020_0000, 0x8022_0000);
const IMAGE: PhysRegion = PhysRegion::new(0x8030_0000, 0x8030_4000);
const VIRTUAL: u64 = 0x40_0000;
/// The kernel's root table, and an entry of its upper half.
const OWN_ROOT: PhysAddr = PhysAddr(0x8021_0000);
const OWN_ENTRY: (usize, u64) = (258, 0x2000_00ef);
/// Where tests put objects of their own: free memory.
const OBJECTS: PhysAddr = PhysAddr(0x8040_0000);
const CONTROLLER: u64 = 0x10_0000;
const CONTEXT: usize = 1;
const ENABLE: u64 = CONTROLLER + 0x2080;
const CLAIM: u64 = CONTROLLER + 0x20_1004;
const LAST: u32 = 53;
const NEVER: u64 = memory::attribute::EXECUTE_NEVER;

/// A kernel that has just booted.
fn kernel() -> Kernel<Machine> {
    let registers = Device::new(DeviceMap::model(CONTROLLER, Plic::<Device>::bytes(CONTEXT)));
    let parts = Parts {
        plic: Plic::new(registers, CONTEXT, LAST),
        timer: Timer::Own,
        timer_khz: 10_000,
        asids: Asids::Wide,
        has_fpu: true,
        no_space: OWN_ROOT.0,
    };
    let memory = CheckedMemory::new(Machine::PHYS_WINDOW, RAM.start, RAM.bytes());
    let slots = Ref::at(Store::<Machine>::window(KERNEL.start)).unwrap();
    let mut kernel = Kernel::new(Machine::new(parts), memory, Interrupts::new(slots, LAST + 2));
    let own_root = object::<Table>(OWN_ROOT);
    kernel.store.created(Kind::Table, own_root.address(), 4096);
    kernel.store[own_root].entries[OWN_ENTRY.0] = OWN_ENTRY.1;
    let image = UserImage { physical: IMAGE, offset: IMAGE.start.0 - VIRTUAL, entry: VirtAddr(VIRTUAL) };
    let input = BootInput {
        memory: &[RAM],
        reserved: &[KERNEL],
        reclaimed: PhysRegion::new(0, 0),
        window_top: PhysAddr(1 << 37),
        device_top: PhysAddr(1 << 39),
        image,
        extra: &[],
        machine_caps: &[],
    };
    boot(&mut kernel, &input).unwrap();
    executed();
    kernel
}

/// The object at a physical address.
fn object<T>(place: PhysAddr) -> Ref<T> {
    Ref::at(Store::<Machine>::window(place)).unwrap()
}

/// A new thread.
fn thread(kernel: &mut Kernel<Machine>, number: u64) -> Ref<Tcb> {
    let tcb: Ref<Tcb> = object(OBJECTS.offset(number * 2048));
    kernel.store.created(Kind::Tcb, tcb.address(), 2048);
    tcb
}

/// The slot `number` of the root CNode.
fn slot_of(kernel: &Kernel<Machine>, number: u64) -> Ref<keel_kernel::cspace::Slot> {
    let tcb = kernel.core.current.unwrap();
    let Cap::CNode(cnode) = kernel.store[tcb.slot(TcbSlot::CSpace)].cap() else { panic!("no CSpace") };
    cnode.slots.nth(number)
}

/// A slot with a capability to a new page table, mapped there or nowhere.
fn table(kernel: &mut Kernel<Machine>, number: u64, mapping: Mapping) -> u64 {
    let table: Ref<Table> = object(OBJECTS.offset((number + 4) << 12));
    kernel.store.created(Kind::Table, table.address(), 4096);
    let place = slot_of(kernel, 4000 + number);
    let cap = Cap::Table(TableCap { table, level: 0, mapping });
    keel_kernel::cdt::insert_root(&mut kernel.store, cap, place);
    4000 + number
}

/// The current thread calls `slot` with a message and a capability; the label of the answer.
fn call(kernel: &mut Kernel<Machine>, slot: u64, label: u64, words: &[u64], cap: Option<u64>) -> u64 {
    let tcb = kernel.core.current.unwrap();
    if let Some(cap) = cap {
        let buffer = kernel.receive_buffer(tcb).unwrap();
        // The capabilities stand behind the 120 message words, the length and the tag.
        kernel.store.save(buffer.offset(122 * 8), cap);
    }
    let registers = &mut kernel.store[tcb].registers.words;
    registers[word(order::SYSCALL_NUMBER)] = syscall::CALL.cast_unsigned();
    registers[word(order::CAPABILITY)] = slot;
    registers[word(order::MESSAGE_INFO)] =
        MessageInfo::new(label, 0, usize::from(cap.is_some()), words.len()).word();
    for (register, value) in order::MESSAGE.into_iter().zip(words) {
        registers[word(register)] = *value;
    }
    kernel.handle_syscall();
    MessageInfo(kernel.store[tcb].registers.words[word(order::MESSAGE_INFO)]).label()
}

/// The slot of the first frame of the image.
fn image_slot(kernel: &Kernel<Machine>) -> u64 {
    let is_image = |&number: &u64| matches!(kernel.store[slot_of(kernel, number)].cap(), Cap::Frame(frame) if frame.base == IMAGE.start);
    (0..1 << 12).find(is_image).unwrap()
}

/// A slot with a copy of the capability to the first frame of the image, mapped nowhere.
fn copy_of_frame(kernel: &mut Kernel<Machine>, number: u64) -> u64 {
    let from = slot_of(kernel, image_slot(kernel));
    let Cap::Frame(frame) = kernel.store[from].cap() else { panic!("no frame") };
    let cap = Cap::Frame(keel_kernel::cap::FrameCap { mapping: Mapping::NONE, ..frame });
    let place = slot_of(kernel, 4050 + number);
    keel_kernel::cdt::insert(&mut kernel.store, cap.into(), keel_kernel::cdt::Flags::NONE, place, from);
    4050 + number
}

const OK: u64 = ErrorCode::NoError as u64;
const INVALID_CAPABILITY: u64 = ErrorCode::InvalidCapability as u64;
const REVOKE_FIRST: u64 = ErrorCode::RevokeFirst as u64;
const DELETE_FIRST: u64 = ErrorCode::DeleteFirst as u64;

#[test]
fn the_root_task_runs_in_its_address_space_with_the_kernels_half() {
    let kernel = kernel();
    let tcb = kernel.core.current.unwrap();
    let (root, asid) = kernel.vspace_root(kernel.store[tcb.slot(TcbSlot::VSpace)].cap()).unwrap();
    let physical = Store::<Machine>::physical(root.address()).0;
    assert_eq!((asid, model::read("satp")), (1, 8 << 60 | 1 << 44 | physical >> 12));
    assert_eq!(kernel.store[root].entries[OWN_ENTRY.0], OWN_ENTRY.1);
}

#[test]
fn a_table_becomes_a_root_by_its_identifier() {
    let mut kernel = kernel();
    let new = table(&mut kernel, 0, Mapping::NONE);
    assert_eq!(call(&mut kernel, slot::INIT_ASID_POOL, label::ASID_POOL_ASSIGN, &[], Some(new)), OK);
    let Cap::VSpace(VSpaceCap { root, asid: 2 }) = kernel.store[slot_of(&kernel, new)].cap() else {
        panic!("no root");
    };
    assert_eq!(kernel.store[root].entries[OWN_ENTRY.0], OWN_ENTRY.1);
    assert_eq!(kernel.root_of(2), Some(root));
    // Once, and not as a table any more.
    let assign = call(&mut kernel, slot::INIT_ASID_POOL, label::ASID_POOL_ASSIGN, &[], Some(new));
    assert_eq!(assign, INVALID_CAPABILITY);
    let space = Some(slot::INIT_VSPACE);
    assert_eq!(call(&mut kernel, new, label::PAGE_TABLE_MAP, &[0x8000_0000, 0], space), INVALID_CAPABILITY);
    let cut_off = call(&mut kernel, new, label::PAGE_TABLE_MAP, &[0x8000_0000, 0], None);
    assert_eq!(cut_off, ErrorCode::TruncatedMessage as u64);
    assert_eq!(call(&mut kernel, new, label::PAGE_TABLE_UNMAP, &[], None), REVOKE_FIRST);
}

#[test]
fn a_root_is_a_page_table_to_those_who_ask() {
    let mut kernel = kernel();
    let tcb = kernel.core.current.unwrap();
    let registers = &mut kernel.store[tcb].registers.words;
    registers[word(order::SYSCALL_NUMBER)] = syscall::DEBUG_CAP_IDENTIFY.cast_unsigned();
    registers[word(order::CAPABILITY)] = slot::INIT_VSPACE;
    kernel.handle_syscall();
    let answer = kernel.store[tcb].registers.words[word(order::CAPABILITY)];
    assert_eq!(answer, cap_type::PAGE_TABLE);
}

#[test]
fn mapped_tables_are_no_roots() {
    let mut kernel = kernel();
    let space = Some(slot::INIT_VSPACE);
    let first = table(&mut kernel, 0, Mapping::NONE);
    let second = table(&mut kernel, 1, Mapping::NONE);
    assert_eq!(call(&mut kernel, first, label::PAGE_TABLE_MAP, &[0x8000_0000, 0], space), OK);
    // It has an identifier and is none of its root.
    let map = call(&mut kernel, second, label::PAGE_TABLE_MAP, &[0x8000_0000, 0], Some(first));
    assert_eq!(map, INVALID_CAPABILITY);
    let cap = kernel.store[slot_of(&kernel, first)].cap();
    assert!(Machine::is_vspace_root(&cap) && kernel.vspace_root(cap).is_none());
    // Tables go down to the lowest level and no further.
    assert_eq!(call(&mut kernel, second, label::PAGE_TABLE_MAP, &[0x8000_0000, 0], space), OK);
    let third = table(&mut kernel, 2, Mapping::NONE);
    assert_eq!(call(&mut kernel, third, label::PAGE_TABLE_MAP, &[0x8000_0000, 0], space), DELETE_FIRST);
    assert_eq!(call(&mut kernel, second, label::PAGE_TABLE_UNMAP, &[], None), OK);
}

#[test]
fn pages_do_not_replace_pages() {
    let mut kernel = kernel();
    let space = Some(slot::INIT_VSPACE);
    let copy = copy_of_frame(&mut kernel, 0);
    let words = [VIRTUAL, 3, NEVER];
    assert_eq!(call(&mut kernel, copy, label::PAGE_MAP, &words, space), DELETE_FIRST);
    // The one that is mapped there changes its rights.
    let mapped = image_slot(&kernel);
    assert_eq!(call(&mut kernel, mapped, label::PAGE_MAP, &words, space), OK);
}

#[test]
fn map_of_a_page_checks_in_the_order_of_the_sheet() {
    let mut kernel = kernel();
    let space = Some(slot::INIT_VSPACE);
    let copy = copy_of_frame(&mut kernel, 0);
    let mut map = |address| call(&mut kernel, copy, label::PAGE_MAP, &[address, 3, NEVER], space);
    // Range before alignment, alignment before level.
    assert_eq!(map(memory::USER_TOP | 1), ErrorCode::InvalidArgument as u64);
    assert_eq!(map(u64::MAX), ErrorCode::InvalidArgument as u64);
    assert_eq!(map(0x8000_0001), ErrorCode::AlignmentError as u64);
    assert_eq!(map(0x8000_0000), ErrorCode::FailedLookup as u64);
    assert_eq!(map(memory::LAST_PAGE), ErrorCode::FailedLookup as u64);
    // Level before place.
    let mapped = image_slot(&kernel);
    let elsewhere = call(&mut kernel, mapped, label::PAGE_MAP, &[0x8000_0000, 3, NEVER], space);
    assert_eq!(elsewhere, ErrorCode::FailedLookup as u64);
}

#[test]
fn an_address_space_that_ends_is_not_used_any_more() {
    let mut kernel = kernel();
    let empty = 8 << 60 | OWN_ROOT.0 >> 12;
    kernel.arch.forget_spaces(2..=2);
    assert_ne!(model::read("satp"), empty);
    executed();
    kernel.arch.forget_spaces(0..=511);
    assert_eq!(model::read("satp"), empty);
    assert!(executed().iter().any(|&(instruction, _)| instruction == "sfence.vma"));
}

#[test]
fn processors_without_identifiers_forget_translations_at_each_switch() {
    crate::cpu::load_space(0x8000_1000, 7, Asids::None);
    assert_eq!(executed(), [("csrw satp, {}", 8 << 60 | 0x8_0001), ("sfence.vma", 0)]);
}

const OPEN: u64 = 3 << 13;
const ILLEGAL: u64 = 2;

#[test]
fn the_fpu_follows_those_who_use_it() {
    let mut kernel = kernel();
    let [a, b, c] = [0, 1, 2].map(|number| thread(&mut kernel, number));
    let Kernel { arch, store, .. } = &mut kernel;
    let state = || model::read("sstatus") & OPEN;
    let fault = Some(Fault::UserException { number: ILLEGAL, code: 0 });
    arch.switch_to(store, a, None);
    assert_eq!(state(), 0);
    assert_eq!(arch.fault(store, a, ILLEGAL, 0), None);
    assert_eq!((state(), model::fpu()), (OPEN, [0; 72]));
    // An instruction that is illegal all the same.
    assert_eq!(arch.fault(store, a, ILLEGAL, 0), fault);
    model::set_fpu([1; 72]);
    // A thread that does not use it leaves it alone; one that does gets its own.
    arch.switch_to(store, b, None);
    assert_eq!((state(), model::fpu()), (0, [1; 72]));
    assert_eq!(arch.fault(store, b, ILLEGAL, 0), None);
    assert_eq!((state(), model::fpu(), store[a].fpu.0), (OPEN, [0; 72], [1; 72]));
    arch.switch_to(store, a, None);
    assert_eq!(arch.fault(store, a, ILLEGAL, 0), None);
    assert_eq!((state(), model::fpu()), (OPEN, [1; 72]));
    // One that must not use it does not get it.
    store[c].flags = FLAG_FPU_DISABLED;
    arch.switch_to(store, c, None);
    assert_eq!(arch.fault(store, c, ILLEGAL, 0), fault);
    assert_eq!(state(), 0);
    // One that loses it while another runs leaves it closed, and its registers saved.
    arch.release_fpu(store, a);
    assert_eq!((state(), store[a].fpu.0), (0, [1; 72]));
    // Dead threads are not touched: the store would notice.
    store.destroyed(Kind::Tcb, a.address());
    arch.switch_to(store, b, None);
    assert_eq!(arch.fault(store, b, ILLEGAL, 0), None);
}

#[test]
fn interrupts_stay_claimed_until_they_are_acknowledged() {
    let mut kernel = kernel();
    let arch = &mut kernel.arch;
    arch.enable_interrupt(Irq(10), None);
    assert_eq!(model::read_device(ENABLE), 1 << 10);
    model::write_device(CLAIM, 10);
    assert_eq!(arch.take_interrupt(), Some(TakenInterrupt::Device(Irq(10))));
    model::write_device(CLAIM, 0);
    arch.hold_interrupt(Irq(10));
    assert_eq!(model::read_device(CLAIM), 0);
    arch.ack_interrupt(Irq(10));
    assert_eq!(model::read_device(CLAIM), 10);
    model::write_device(CLAIM, 0);
    assert_eq!(arch.take_interrupt(), None);
    // One that is claimed when its last handler goes is completed while the controller still listens.
    arch.disable_interrupt(Irq(10));
    assert_eq!((model::read_device(CLAIM), model::read_device(ENABLE)), (10, 0));
}

#[test]
fn the_timer_has_the_number_behind_the_controllers() {
    let mut kernel = kernel();
    let arch = &mut kernel.arch;
    assert_eq!(arch.check_irq(1), Ok(Irq(1)));
    assert_eq!(arch.check_irq(u64::from(LAST) + 1), Ok(Irq(LAST + 1)));
    assert!(arch.irq_reserved(Irq(LAST + 1)) && !arch.irq_reserved(Irq(LAST)));
    for number in [0, u64::from(LAST) + 2, 1 << 32] {
        assert_eq!(arch.check_irq(number), Err(Error::Range { min: 1, max: u64::from(LAST) + 1 }));
    }
    model::set("sip", 1 << 5 | 1 << 9);
    assert_eq!(arch.take_interrupt(), Some(TakenInterrupt::Timer));
    assert!(arch.interrupt_pending());
    model::set("sip", 1 << 1);
    assert!(!arch.interrupt_pending());
}

#[test]
fn triggers_cannot_be_set() {
    let mut kernel = kernel();
    let words = [10, 1, 4000, 64];
    let label = label::IRQ_ISSUE_IRQ_HANDLER_TRIGGER;
    let answer = call(&mut kernel, slot::IRQ_CONTROL, label, &words, Some(slot::INIT_CNODE));
    assert_eq!(answer, ErrorCode::IllegalOperation as u64);
}
