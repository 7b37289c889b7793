// SPDX-License-Identifier: MIT OR Apache-2.0

//! The machine under the portable kernel, on the host's model of the processor.

use crate::acpi::MAX_IO_APICS;
use crate::apic::Apic;
use crate::clock::Rates;
use crate::console::{Console, FIRST_LINE};
use crate::cpu::Device;
use crate::interrupts;
use crate::ioapic::IoApic;
use crate::machine::{Machine, Parts};
use crate::ports;
use crate::registers::{BY_CALL, FLAGS, FS_BASE, GS_BASE, HOW, word};
use keel_abi::error::ErrorCode;
use keel_abi::message::MessageInfo;
use keel_abi::x86_64::registers as order;
use keel_abi::x86_64::{cap_type, irq, label, memory};
use keel_abi::{label as generic, slot, syscall};
use keel_arch::cpu::space::DeviceMap;
use keel_arch::model::{self, executed};
use keel_kernel::Kernel;
use keel_kernel::arch::{Arch, TakenInterrupt};
use keel_kernel::boot::region::PhysRegion;
use keel_kernel::boot::{BootInput, UserImage, boot};
use keel_kernel::cap::{Cap, FrameCap, Mapping, TableCap, VmRights};
use keel_kernel::cdt;
use keel_kernel::ipc::fault::Fault;
use keel_kernel::object::irq::Interrupts;
use keel_kernel::object::tcb::{FLAG_FPU_DISABLED, TcbSlot};
use keel_kernel::object::{Table, Tcb};
use keel_kernel::store::checked::CheckedMemory;
use keel_kernel::store::{Kind, Ref, Store};
use keel_kernel::units::{Irq, PhysAddr, Ticks, VirtAddr};

const RAM: PhysRegion = PhysRegion::new(0x10_0000, 0x100_0000);
const KERNEL: PhysRegion = PhysRegion::new(0x20_0000, 0x24_0000);
const IMAGE: PhysRegion = PhysRegion::new(0x30_0000, 0x30_4000);
const VIRTUAL: u64 = 0x40_0000;
/// The kernel's root table, and its last entry.
const OWN_ROOT: PhysAddr = PhysAddr(0x21_0000);
const OWN_ENTRY: u64 = 0x21_1023;
/// Where tests put objects of their own: free memory.
const OBJECTS: PhysAddr = PhysAddr(0x40_0000);
const APIC: u64 = 0xfee0_0000;
const END: u64 = APIC + 0xb0;
const TIMER: u64 = APIC + 0x380;
const IO_APIC: u64 = 0xfec0_0000;
const WINDOW: u64 = IO_APIC + 0x10;
const PINS: u64 = 24;

/// A kernel that has just booted.
fn kernel() -> Kernel<Machine> {
    kernel_with(false)
}

/// A kernel that has just booted on a processor that has instructions for the bases of fs and gs, or not.
fn kernel_with(has_base_instructions: bool) -> Kernel<Machine> {
    let device = |base| Device::new(DeviceMap::model(base, 0x1000));
    model::write_device(WINDOW, (PINS as u32 - 1) << 16);
    model::write_device(FIRST_LINE.wrapping_add(5).into(), 0x20);
    let mut io_apics = [const { None }; MAX_IO_APICS];
    io_apics[0] = Some(IoApic::new(device(IO_APIC)));
    let parts = Parts {
        apic: Apic::new(device(APIC), irq::TIMER_VECTOR as u32, irq::SPURIOUS_VECTOR as u32),
        io_apics,
        rates: Rates { counter_mhz: 1000, timer_ratio: 1 << 31 },
        has_base_instructions,
        console: Console::new(FIRST_LINE),
        power: None,
        no_space: OWN_ROOT.0,
    };
    let memory = CheckedMemory::new(Machine::PHYS_WINDOW, RAM.start, RAM.bytes());
    let slots = Ref::at(Store::<Machine>::window(KERNEL.start)).unwrap();
    let mut kernel = Kernel::new(Machine::new(parts), memory, Interrupts::new(slots, interrupts::COUNT));
    let own_root = object::<Table>(OWN_ROOT);
    kernel.store.created(Kind::Table, own_root.address(), 4096);
    kernel.store[own_root].entries[511] = OWN_ENTRY;
    let image =
        UserImage { physical: IMAGE, offset: IMAGE.start.0.wrapping_sub(VIRTUAL), entry: VirtAddr(VIRTUAL) };
    let input = BootInput {
        memory: &[RAM],
        reserved: &[KERNEL],
        reclaimed: PhysRegion::new(0, 0),
        window_top: PhysAddr(510 << 30),
        device_top: PhysAddr(memory::DEVICE_TOP),
        image,
        extra: &[],
        machine_caps: &[(slot::IO_PORT_CONTROL, ports::control())],
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
    Machine::initialise(&mut kernel.store[tcb].registers);
    tcb
}

/// The slot `number` of the root CNode.
fn slot_of(kernel: &Kernel<Machine>, number: u64) -> Ref<keel_kernel::cspace::Slot> {
    let tcb = kernel.core.current.unwrap();
    let Cap::CNode(cnode) = kernel.store[tcb.slot(TcbSlot::CSpace)].cap() else { panic!("no CSpace") };
    cnode.slots.nth(number)
}

/// A slot with a capability to a new table of a level, mapped nowhere.
fn table(kernel: &mut Kernel<Machine>, number: u64, level: u8) -> u64 {
    let table: Ref<Table> = object(OBJECTS.offset((number + 4) << 12));
    kernel.store.created(Kind::Table, table.address(), 4096);
    put(kernel, 4000 + number, Cap::Table(TableCap { table, level, mapping: Mapping::NONE }))
}

/// A slot with a capability to a new page of a level, mapped nowhere. Nobody looks at its memory.
fn page(kernel: &mut Kernel<Machine>, number: u64, level: u8) -> u64 {
    let frame = FrameCap {
        base: PhysAddr(1 << 30),
        level,
        device: true,
        rights: VmRights::ReadWrite,
        mapping: Mapping::NONE,
    };
    put(kernel, 4000 + number, Cap::Frame(frame))
}

/// Puts a capability into a slot.
fn put(kernel: &mut Kernel<Machine>, number: u64, cap: Cap) -> u64 {
    let place = slot_of(kernel, number);
    cdt::insert_root(&mut kernel.store, cap, place);
    number
}

/// The current thread calls `slot` with a message and a capability; the label of the answer.
fn call(kernel: &mut Kernel<Machine>, slot: u64, label: u64, words: &[u64], cap: Option<u64>) -> u64 {
    let tcb = kernel.core.current.unwrap();
    let buffer = kernel.receive_buffer(tcb).unwrap();
    if let Some(cap) = cap {
        // The capabilities stand behind the 120 message words, the length and the tag.
        kernel.store.save(buffer.offset(122 * 8), cap);
    }
    for (index, value) in words.iter().enumerate().skip(4) {
        kernel.store.save(buffer.offset((index as u64 + 1) * 8), *value);
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

/// The first words of the answer.
fn answer(kernel: &Kernel<Machine>) -> [u64; 4] {
    let tcb = kernel.core.current.unwrap();
    order::MESSAGE.map(|register| kernel.store[tcb].registers.words[word(register)])
}

const OK: u64 = ErrorCode::NoError as u64;
const FAILED_LOOKUP: u64 = ErrorCode::FailedLookup as u64;
const DELETE_FIRST: u64 = ErrorCode::DeleteFirst as u64;
const REVOKE_FIRST: u64 = ErrorCode::RevokeFirst as u64;
const ILLEGAL: u64 = ErrorCode::IllegalOperation as u64;
const INVALID_ARGUMENT: u64 = ErrorCode::InvalidArgument as u64;
const RANGE: u64 = ErrorCode::RangeError as u64;

#[test]
fn the_root_task_runs_in_its_address_space_with_the_kernel_behind() {
    let kernel = kernel();
    let tcb = kernel.core.current.unwrap();
    let (root, asid) = kernel.vspace_root(kernel.store[tcb.slot(TcbSlot::VSpace)].cap()).unwrap();
    assert_eq!((asid, model::read("cr3")), (1, Store::<Machine>::physical(root.address()).0));
    assert_eq!(kernel.store[root].entries[511], OWN_ENTRY);
    assert_eq!(kernel.store[tcb].registers.words[FLAGS], 0x202);
}

#[test]
fn time_comes_before_tables_in_the_root_task() {
    let kernel = kernel();
    let cap = |number| kernel.store[slot_of(&kernel, number)].cap();
    assert_eq!(cap(16), Cap::SchedControl { core: 0 });
    for (number, level) in [(17, 2), (18, 1), (19, 0)] {
        assert!(matches!(cap(number), Cap::Table(table) if table.level == level && table.mapping.is_some()));
    }
}

#[test]
fn tables_are_what_their_type_says_to_those_who_ask() {
    let mut kernel = kernel();
    let tcb = kernel.core.current.unwrap();
    let expected = [
        (17, cap_type::PDPT),
        (18, cap_type::PAGE_DIRECTORY),
        (19, cap_type::PAGE_TABLE),
        (slot::INIT_VSPACE, cap_type::PML4),
        (slot::IO_PORT_CONTROL, cap_type::IO_PORT_CONTROL),
    ];
    for (number, tag) in expected {
        let registers = &mut kernel.store[tcb].registers.words;
        registers[word(order::SYSCALL_NUMBER)] = syscall::DEBUG_CAP_IDENTIFY.cast_unsigned();
        registers[word(order::CAPABILITY)] = number;
        kernel.handle_syscall();
        assert_eq!(kernel.store[tcb].registers.words[word(order::CAPABILITY)], tag);
    }
}

const SPACE: Option<u64> = Some(slot::INIT_VSPACE);
/// An address at which nothing is mapped, behind another entry of the root.
const FAR: u64 = 5 << 39 | 3 << 30 | 7 << 21;

#[test]
fn tables_go_to_their_level_and_nowhere_else() {
    let mut kernel = kernel();
    let [low, middle, high] = [0, 1, 2].map(|level| table(&mut kernel, level.into(), level));
    let map = |kernel: &mut _, table, label| call(kernel, table, label, &[FAR + 0x1234, 0], SPACE);
    let missing = |kernel: &mut Kernel<_>, table, label, bits| {
        assert_eq!(map(kernel, table, label), FAILED_LOOKUP);
        assert_eq!(answer(kernel), [0, 2, bits, answer(kernel)[3]]);
    };
    missing(&mut kernel, low, label::PAGE_TABLE_MAP, 39);
    missing(&mut kernel, middle, label::PAGE_DIRECTORY_MAP, 39);
    // The label of another level is no label of this one.
    assert_eq!(map(&mut kernel, high, label::PAGE_TABLE_MAP), ILLEGAL);
    assert_eq!(map(&mut kernel, high, label::PDPT_MAP), OK);
    missing(&mut kernel, low, label::PAGE_TABLE_MAP, 30);
    assert_eq!(map(&mut kernel, middle, label::PAGE_DIRECTORY_MAP), OK);
    assert_eq!(map(&mut kernel, low, label::PAGE_TABLE_MAP), OK);
    for (number, level, label) in
        [(3, 0, label::PAGE_TABLE_MAP), (4, 1, label::PAGE_DIRECTORY_MAP), (5, 2, label::PDPT_MAP)]
    {
        let second = table(&mut kernel, number, level);
        assert_eq!(map(&mut kernel, second, label), DELETE_FIRST);
    }
    assert_eq!(call(&mut kernel, low, label::PAGE_TABLE_UNMAP, &[], None), OK);
    assert_eq!(call(&mut kernel, low, label::PDPT_UNMAP, &[], None), ILLEGAL);
    // The last address is rounded down before it is checked; those behind are not user level's.
    assert_eq!(call(&mut kernel, low, label::PAGE_TABLE_MAP, &[memory::MAP_LIMIT, 0], SPACE), FAILED_LOOKUP);
    let behind = call(&mut kernel, low, label::PAGE_TABLE_MAP, &[memory::MAP_LIMIT + 1, 0], SPACE);
    assert_eq!(behind, INVALID_ARGUMENT);
}

#[test]
fn the_attributes_of_tables_are_in_their_entries() {
    let mut kernel = kernel();
    let high = table(&mut kernel, 2, 2);
    assert_eq!(call(&mut kernel, high, label::PDPT_MAP, &[FAR, 7], SPACE), OK);
    let root = kernel.root_of(1).unwrap();
    assert_eq!(kernel.store[root].entries[5] & 0xfff, 0x1f);
}

#[test]
fn pages_need_the_tables_of_their_size() {
    let mut kernel = kernel();
    let [low, middle, high] = [0, 1, 2].map(|level| table(&mut kernel, level.into(), level));
    let [small, large, huge] = [0, 1, 2].map(|level| page(&mut kernel, 10 + u64::from(level), level));
    let map = |kernel: &mut _, page| call(kernel, page, label::PAGE_MAP, &[FAR & !0x3fff_ffff, 3, 0], SPACE);
    let bits = |kernel: &mut Kernel<_>, page| {
        assert_eq!(map(kernel, page), FAILED_LOOKUP);
        answer(kernel)[2]
    };
    assert_eq!([small, large, huge].map(|page| bits(&mut kernel, page)), [39; 3]);
    let at = [FAR & !0x3fff_ffff, 0];
    assert_eq!(call(&mut kernel, high, label::PDPT_MAP, &at, SPACE), OK);
    assert_eq!([small, large].map(|page| bits(&mut kernel, page)), [30; 2]);
    // A huge page, which keeps tables out, and is replaced by another one.
    assert_eq!(map(&mut kernel, huge), OK);
    assert_eq!(call(&mut kernel, middle, label::PAGE_DIRECTORY_MAP, &at, SPACE), DELETE_FIRST);
    let other = page(&mut kernel, 13, 2);
    assert_eq!(map(&mut kernel, other), OK);
    assert_eq!(call(&mut kernel, other, label::PAGE_UNMAP, &[], None), OK);
    assert_eq!(call(&mut kernel, huge, label::PAGE_UNMAP, &[], None), OK);
    assert_eq!(call(&mut kernel, middle, label::PAGE_DIRECTORY_MAP, &at, SPACE), OK);
    assert_eq!(map(&mut kernel, huge), DELETE_FIRST);
    assert_eq!(bits(&mut kernel, small), 21);
    assert_eq!(call(&mut kernel, low, label::PAGE_TABLE_MAP, &at, SPACE), OK);
    assert_eq!(map(&mut kernel, large), DELETE_FIRST);
    assert_eq!(map(&mut kernel, small), OK);
}

#[test]
fn map_of_a_page_checks_in_the_order_of_the_sheet() {
    let mut kernel = kernel();
    let small = page(&mut kernel, 10, 0);
    let mut map = |address| call(&mut kernel, small, label::PAGE_MAP, &[address, 3, 0], SPACE);
    // Range before alignment, and what ends at the limit is in range.
    assert_eq!(map(u64::MAX), INVALID_ARGUMENT);
    assert_eq!(map(memory::MAP_LIMIT), INVALID_ARGUMENT);
    assert_eq!(map(memory::MAP_LIMIT - 0xfff), INVALID_ARGUMENT);
    assert_eq!(map(memory::MAP_LIMIT - 0x1000), ErrorCode::AlignmentError as u64);
    assert_eq!(map(memory::LAST_PAGE), FAILED_LOOKUP);
    // Place before range.
    let image = (0..4000).find(|&number| {
        matches!(kernel.store[slot_of(&kernel, number)].cap(), Cap::Frame(frame) if frame.base == IMAGE.start)
    });
    let elsewhere = call(&mut kernel, image.unwrap(), label::PAGE_MAP, &[u64::MAX, 3, 0], SPACE);
    assert_eq!((elsewhere, answer(&kernel)[0]), (INVALID_ARGUMENT, 0));
}

#[test]
fn translations_are_forgotten_where_they_can_be_cached() {
    let mut kernel = kernel();
    let root = model::read("cr3");
    let arch = &mut kernel.arch;
    arch.flush_page(2, VirtAddr(0x1000));
    arch.flush_asid(2);
    arch.forget_spaces(2..=2);
    assert_eq!(executed(), []);
    arch.flush_page(1, VirtAddr(0x1000));
    arch.flush_asid(1);
    assert_eq!(executed(), [("invlpg", 0x1000), ("mov cr3", root)]);
    arch.forget_spaces(0..=511);
    assert_eq!(executed(), [("mov cr3", OWN_ROOT.0)]);
}

const CLOSED: u64 = 1 << 3;
const NO_FPU: u8 = 7;

#[test]
fn the_fpu_follows_those_who_use_it() {
    let mut kernel = kernel();
    let [a, b, c] = [0, 1, 2].map(|number| thread(&mut kernel, number));
    let Kernel { arch, store, .. } = &mut kernel;
    let closed = || model::read("cr0") & CLOSED != 0;
    let fault = Some(Fault::UserException { number: NO_FPU.into(), code: 0 });
    model::set("cr0", CLOSED);
    arch.switch_to(store, a, None);
    assert!(closed());
    assert_eq!(arch.fault(store, a, NO_FPU, 0, 0), None);
    // It begins with the exceptions of both units masked.
    let initial = model::fpu();
    assert!(!closed());
    assert_eq!((initial[0], initial[3], initial.iter().sum::<u64>()), (0x37f, 0x1f80, 0x37f + 0x1f80));
    model::set_fpu([7; 72]);
    arch.switch_to(store, b, None);
    assert!(closed());
    assert_eq!(arch.fault(store, b, NO_FPU, 0, 0), None);
    assert_eq!((closed(), model::fpu()), (false, initial));
    arch.switch_to(store, a, None);
    assert_eq!(arch.fault(store, a, NO_FPU, 0, 0), None);
    assert_eq!((closed(), model::fpu()[1]), (false, 7));
    // One that must not use it does not get it.
    store[c].flags = FLAG_FPU_DISABLED;
    arch.switch_to(store, c, None);
    assert_eq!(arch.fault(store, c, NO_FPU, 0, 0), fault);
    assert!(closed());
    arch.release_fpu(store, a);
    assert_eq!((closed(), store[a].fpu.0[1]), (true, 7));
    // Dead threads are not touched: the store would notice.
    store.destroyed(Kind::Tcb, a.address());
    arch.switch_to(store, b, None);
    assert_eq!(arch.fault(store, b, NO_FPU, 0, 0), None);
}

const FS: &str = "msr 0xc0000100";
const GS: &str = "msr 0xc0000101";

#[test]
fn bases_are_loaded_unless_all_are_zero() {
    let mut kernel = kernel();
    let [a, b, c] = [0, 1, 2].map(|number| thread(&mut kernel, number));
    let Kernel { arch, store, .. } = &mut kernel;
    store[c].registers.words[FS_BASE] = 0x1000;
    store[c].registers.words[GS_BASE] = 0x2000;
    arch.switch_to(store, a, None);
    arch.switch_to(store, b, None);
    assert!(!executed().iter().any(|&(instruction, _)| instruction == "wrmsr"));
    arch.switch_to(store, c, None);
    assert_eq!((model::read(FS), model::read(GS)), (0x1000, 0x2000));
    // The thread has loaded selectors.
    model::set(FS, 0);
    for segment in ["ds", "es", "fs", "gs"] {
        model::set(segment, 0x1b);
    }
    arch.switch_to(store, b, None);
    assert_eq!(["ds", "es", "fs", "gs"].map(model::read), [0; 4]);
    assert_eq!((model::read(FS), model::read(GS)), (0, 0));
    arch.switch_to(store, c, None);
    assert_eq!((model::read(FS), model::read(GS)), (0x1000, 0x2000));
}

#[test]
fn a_thread_can_change_bases_by_instructions() {
    let mut kernel = kernel_with(true);
    let [a, b] = [0, 1].map(|number| thread(&mut kernel, number));
    let Kernel { arch, store, .. } = &mut kernel;
    arch.switch_to(store, a, None);
    // What the thread does; the trap saves it.
    model::set(FS, 0x5000);
    store[a].registers.words[FS_BASE] = 0x5000;
    arch.switch_to(store, b, None);
    assert_eq!(model::read(FS), 0);
    arch.switch_to(store, a, None);
    assert_eq!(model::read(FS), 0x5000);
}

/// The current thread makes a call without a message.
fn plain_call(kernel: &mut Kernel<Machine>, number: i64, argument: u64) {
    let tcb = kernel.core.current.unwrap();
    let registers = &mut kernel.store[tcb].registers.words;
    registers[word(order::SYSCALL_NUMBER)] = number.cast_unsigned();
    registers[word(order::CAPABILITY)] = argument;
    kernel.handle_syscall();
}

#[test]
fn threads_set_their_own_base_by_a_call() {
    let mut kernel = kernel();
    let tcb = kernel.core.current.unwrap();
    plain_call(&mut kernel, syscall::SET_TLS_BASE, 0x7000);
    assert_eq!((model::read(FS), kernel.store[tcb].registers.words[FS_BASE]), (0x7000, 0x7000));
    // What no register can hold is ignored by the call, and 0 by way of the TCB: there is nobody to tell.
    plain_call(&mut kernel, syscall::SET_TLS_BASE, 1 << 63);
    assert_eq!(model::read(FS), 0x7000);
    assert_eq!(call(&mut kernel, slot::INIT_TCB, generic::TCB_SET_TLS_BASE, &[0x8000], None), OK);
    assert_eq!(model::read(FS), 0x8000);
    assert_eq!(call(&mut kernel, slot::INIT_TCB, generic::TCB_SET_TLS_BASE, &[1 << 63], None), OK);
    assert_eq!((model::read(FS), kernel.store[tcb].registers.words[FS_BASE]), (0, 0));
}

#[test]
fn written_registers_are_all_loaded() {
    let mut kernel = kernel();
    let tcb = thread(&mut kernel, 0);
    kernel.store[tcb].registers.words[HOW] = BY_CALL;
    Machine::written(&mut kernel.store[tcb].registers);
    assert_ne!(kernel.store[tcb].registers.words[HOW], BY_CALL);
}

/// Makes the handler of a pin's interrupt with these words, in slot 4040.
fn issue(kernel: &mut Kernel<Machine>, label: u64, words: [u64; 5]) -> u64 {
    let words = [4040, 64, words[0], words[1], words[2], words[3], words[4]];
    call(kernel, slot::IRQ_CONTROL, label, &words, Some(slot::INIT_CNODE))
}

const PIN: u64 = label::IRQ_ISSUE_IRQ_HANDLER_IOAPIC;
const MESSAGE: u64 = label::IRQ_ISSUE_IRQ_HANDLER_MSI;

#[test]
fn interrupts_are_asked_for_in_the_order_of_the_sheet() {
    let mut kernel = kernel();
    let range = |kernel: &mut Kernel<_>, label, words, max| {
        assert_eq!(issue(kernel, label, words), RANGE);
        assert_eq!(answer(kernel)[..2], [0, max]);
    };
    range(&mut kernel, PIN, [9, 99, 9, 9, 108], 107);
    range(&mut kernel, PIN, [1, 99, 9, 9, 5], 0);
    range(&mut kernel, PIN, [0, PINS, 9, 9, 5], PINS - 1);
    range(&mut kernel, PIN, [0, 4, 2, 9, 5], 1);
    range(&mut kernel, PIN, [0, 4, 0, 2, 5], 1);
    range(&mut kernel, MESSAGE, [256, 99, 9, 9, 5], 255);
    range(&mut kernel, MESSAGE, [0, 32, 9, 9, 5], 31);
    range(&mut kernel, MESSAGE, [0, 0, 8, 9, 5], 7);
    assert_eq!(issue(&mut kernel, PIN, [0, 4, 0, 0, 5]), OK);
    assert_eq!(issue(&mut kernel, PIN, [9, 99, 9, 9, 5]), REVOKE_FIRST);
    assert_eq!(issue(&mut kernel, MESSAGE, [999, 99, 9, 9, 6]), DELETE_FIRST);
    // Numbers of the first PCs mean nothing.
    let words = [1, 4041, 64];
    let get = generic::IRQ_ISSUE_IRQ_HANDLER;
    assert_eq!(call(&mut kernel, slot::IRQ_CONTROL, get, &words, Some(slot::INIT_CNODE)), ILLEGAL);
}

#[test]
fn a_pins_interrupt_is_masked_until_it_is_acknowledged() {
    let mut kernel = kernel();
    assert_eq!(issue(&mut kernel, PIN, [0, 4, 1, 1, 5]), OK);
    let pin = || model::read_device(WINDOW);
    assert_eq!(pin(), 0xa000 | 0x35);
    kernel.arch.note_interrupt(0x35);
    model::write_device(END, 99);
    kernel.handle_irq();
    assert_eq!((pin(), model::read_device(END)), (0x1_a035, 0));
    assert_eq!(call(&mut kernel, 4040, generic::IRQ_ACK_IRQ, &[], None), OK);
    assert_eq!(pin(), 0xa035);
    kernel.arch.disable_interrupt(Irq(5));
    assert_eq!(pin(), 0x1_a035);
    // Nobody's any more: acknowledging does nothing.
    kernel.arch.ack_interrupt(Irq(5));
    assert_eq!(pin(), 0x1_a035);
}

#[test]
fn messages_are_ended_and_not_masked() {
    let mut kernel = kernel();
    let before = model::read_device(WINDOW);
    assert_eq!(issue(&mut kernel, MESSAGE, [0, 3, 0, 0, 7]), OK);
    model::set("vector", 0x37);
    model::write_device(END, 99);
    assert_eq!(kernel.arch.take_interrupt(), Some(TakenInterrupt::Device(Irq(7))));
    kernel.arch.hold_interrupt(Irq(7));
    assert_eq!((model::read_device(END), model::read_device(WINDOW)), (0, before));
}

#[test]
fn the_timer_is_set_again_when_it_comes_too_early() {
    let mut kernel = kernel();
    let arch = &mut kernel.arch;
    model::set("tsc", 1000);
    arch.set_deadline(Ticks(3000));
    assert_eq!(model::read_device(TIMER), 1001);
    model::set("tsc", 2000);
    arch.note_interrupt(157);
    assert_eq!(arch.take_interrupt(), None);
    assert_eq!(model::read_device(TIMER), 501);
    model::set("tsc", 3000);
    arch.note_interrupt(157);
    model::write_device(END, 99);
    assert_eq!(arch.take_interrupt(), Some(TakenInterrupt::Timer));
    assert_eq!(model::read_device(END), 0);
    // One that is spurious has nothing to end.
    model::write_device(END, 99);
    arch.note_interrupt(255);
    assert_eq!((arch.take_interrupt(), model::read_device(END)), (None, 99));
}

#[test]
fn ports_are_issued_once_used_and_freed() {
    let mut kernel = kernel();
    let cnode = Some(slot::INIT_CNODE);
    let issue = |kernel: &mut Kernel<_>, first, last, slot| {
        let words = [first, last, slot, 64];
        call(kernel, slot::IO_PORT_CONTROL, label::IO_PORT_CONTROL_ISSUE, &words, cnode)
    };
    assert_eq!(issue(&mut kernel, 8, 7, 4040), INVALID_ARGUMENT);
    assert_eq!(answer(&kernel)[0], 1);
    assert_eq!(issue(&mut kernel, 0x60, 0x64, 4040), OK);
    assert_eq!(issue(&mut kernel, 0x64, 0x70, 4041), REVOKE_FIRST);
    assert_eq!(issue(&mut kernel, 0x65, 0x70, 4040), DELETE_FIRST);
    assert_eq!(issue(&mut kernel, 0x65, 0x70, 4041), OK);
    model::write_device(0x60, 0x1234);
    assert_eq!(call(&mut kernel, 4040, label::IO_PORT_IN_16, &[0x60], None), OK);
    assert_eq!(answer(&kernel)[0], 0x1234);
    assert_eq!(call(&mut kernel, 4040, label::IO_PORT_OUT_32, &[0x61, 0x77], None), OK);
    assert_eq!(model::read_device(0x61), 0x77);
    for (label, words) in [
        (label::IO_PORT_IN_8, &[0x65][..]),
        (label::IO_PORT_IN_8, &[0x5f]),
        (label::IO_PORT_IN_16, &[0x64]),
        (label::IO_PORT_OUT_32, &[0x62, 0]),
        (label::PAGE_MAP, &[0, 0, 0]),
    ] {
        assert_eq!(call(&mut kernel, 4040, label, words, None), ILLEGAL);
    }
    let cut_off = call(&mut kernel, 4040, label::IO_PORT_OUT_8, &[0x60], None);
    assert_eq!(cut_off, ErrorCode::TruncatedMessage as u64);
    // There is one that issues; the others are its children.
    let copy = [4042, 64, slot::IO_PORT_CONTROL, 64, 15];
    assert_eq!(call(&mut kernel, slot::INIT_CNODE, generic::CNODE_COPY, &copy, cnode), ILLEGAL);
    let copy = [4042, 64, 4040, 64, 15];
    assert_eq!(call(&mut kernel, slot::INIT_CNODE, generic::CNODE_COPY, &copy, cnode), OK);
    assert_eq!(call(&mut kernel, slot::INIT_CNODE, generic::CNODE_DELETE, &[4040, 64], None), OK);
    assert_eq!(issue(&mut kernel, 0x60, 0x60, 4043), REVOKE_FIRST);
    let revoke =
        call(&mut kernel, slot::INIT_CNODE, generic::CNODE_REVOKE, &[slot::IO_PORT_CONTROL, 64], None);
    assert_eq!(revoke, OK);
    assert!([4040, 4041, 4042].iter().all(|&number| kernel.store[slot_of(&kernel, number)].is_empty()));
    assert_eq!(issue(&mut kernel, 0, 0xffff, 4040), OK);
}

#[test]
fn the_console_is_a_serial_line() {
    let mut kernel = kernel();
    plain_call(&mut kernel, syscall::DEBUG_PUT_CHAR, b'k'.into());
    assert_eq!(model::read_device(FIRST_LINE.into()), b'k'.into());
}
