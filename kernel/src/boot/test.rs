// SPDX-License-Identifier: MIT OR Apache-2.0

//! Boots the host's machine and looks at what the root task gets.

use super::*;
use crate::cap::tag;
use crate::host::{Host, MAX_IRQ, check, place};
use crate::object::irq::Interrupts;
use crate::store::checked::CheckedMemory;
use crate::units::KernelAddr;
use keel_abi::aarch64::memory::DEVICE_TOP;
use keel_abi::aarch64::registers::Register;
use keel_abi::bootinfo::extra::FDT;

const RAM: PhysRegion = PhysRegion::new(0x4000_0000, 0x4200_0000);
const KERNEL: PhysRegion = PhysRegion::new(0x4000_0000, 0x4001_2340);
const GIC: PhysRegion = PhysRegion::new(0x800_0000, 0x801_1000);
const IMAGE: PhysRegion = PhysRegion::new(0x4010_0000, 0x4010_4800);
const VIRTUAL: u64 = 0x3f_e000;
const ENTRY: VirtAddr = VirtAddr(0x40_0010);
const WINDOW_TOP: PhysAddr = PhysAddr(0x7f_c000_0000);

const INPUT: BootInput = BootInput {
    memory: &[RAM],
    reserved: &[KERNEL, GIC],
    reclaimed: PhysRegion::new(0, 0),
    window_top: WINDOW_TOP,
    device_top: PhysAddr(DEVICE_TOP),
    image: UserImage { physical: IMAGE, offset: IMAGE.start.0 - VIRTUAL, entry: ENTRY },
    extra: &[],
    machine_caps: &[],
};

/// A kernel about to boot. Its interrupt slots lie at the start of its image.
fn kernel() -> Kernel<Host> {
    let memory = CheckedMemory::new(Host::PHYS_WINDOW, RAM.start, RAM.bytes());
    let slots = Ref::at(Store::<Host>::window(KERNEL.start)).unwrap();
    Kernel::new(Host::default(), memory, Interrupts::new(slots, MAX_IRQ.0 + 1))
}

/// A booted system.
struct System {
    kernel: Kernel<Host>,
    booted: Booted,
    cnode: Ref<Slot>,
    info: KernelAddr,
}

fn boot_with(input: &BootInput) -> System {
    let mut kernel = kernel();
    let booted = boot(&mut kernel, input).unwrap();
    check::check(&mut kernel);
    let tcb = kernel.core.current.unwrap();
    let Cap::CNode(cnode) = kernel.store[tcb.slot(TcbSlot::CSpace)].cap() else { panic!("no CSpace") };
    let cnode = cnode.slots;
    let Cap::Frame(info) = kernel.store[cnode.nth(slot::BOOT_INFO_FRAME)].cap() else {
        panic!("no BootInfo")
    };
    let info = Store::<Host>::window(info.base);
    System { kernel, booted, cnode, info }
}

impl System {
    fn cap(&self, slot: u64) -> Cap {
        self.kernel.store[self.cnode.nth(slot)].cap()
    }

    fn frame(&self, slot: u64) -> FrameCap {
        let Cap::Frame(frame) = self.cap(slot) else { panic!("slot {slot} has no frame") };
        frame
    }

    fn word(&self, offset: usize) -> u64 {
        self.kernel.store.load(self.info.offset(offset as u64))
    }

    fn region(&self, offset: usize) -> std::ops::Range<u64> {
        self.word(offset)..self.word(offset + 8)
    }

    /// What is mapped at `address`: physical address and raw entry.
    fn mapped(&self, address: u64) -> Option<(PhysAddr, u64)> {
        let Cap::VSpace(space) = self.cap(slot::INIT_VSPACE) else { panic!("no VSpace") };
        let (place, physical) = self.kernel.lookup_page(space.root, VirtAddr(address))?;
        Some((physical, self.kernel.raw_entry(place)))
    }

    fn assert_mapped(&self, frame: &FrameCap, address: u64, attributes: u64) {
        let raw = Host::page_entry(frame.base, 0, VmRights::ReadWrite, attributes);
        assert_eq!(self.mapped(address), Some((frame.base, raw)));
        let mapping = Mapping { asid: 1, address: VirtAddr(address), ..Mapping::NONE };
        let expected =
            FrameCap { base: frame.base, level: 0, device: false, rights: VmRights::ReadWrite, mapping };
        assert_eq!(*frame, expected);
    }

    fn untypeds(&self) -> Vec<UntypedCap> {
        let untyped = |slot| match self.cap(slot) {
            Cap::Untyped(untyped) => untyped,
            other => panic!("slot {slot} has {other:?}"),
        };
        self.region(offset_of!(BootInfo, untyped)).map(untyped).collect()
    }
}

#[test]
fn fixed_slots_hold_what_the_interface_says() {
    let system = boot_with(&INPUT);
    let tags = (0..slot::NUM_INITIAL).map(|number| RawCap::from(system.cap(number)).tag());
    let expected = [
        tag::NULL,
        tag::TCB,
        tag::CNODE,
        tag::VSPACE,
        tag::IRQ_CONTROL,
        tag::ASID_CONTROL,
        tag::ASID_POOL,
        tag::NULL,
        tag::NULL,
        tag::FRAME,
        tag::FRAME,
        tag::DOMAIN_SET,
        tag::NULL,
        tag::NULL,
        tag::SCHED_CONTEXT,
        tag::NULL,
    ];
    assert!(tags.eq(expected));
    let Cap::CNode(root) = system.cap(slot::INIT_CNODE) else { unreachable!() };
    assert_eq!((root.radix, root.guard_bits, root.guard), (12, 52, 0));
    assert!(matches!(system.cap(slot::INIT_VSPACE), Cap::VSpace(VSpaceCap { asid: 1, .. })));
    assert!(matches!(system.cap(slot::INIT_ASID_POOL), Cap::AsidPool { base: 0, .. }));
    assert!(matches!(system.cap(slot::INIT_SCHED_CONTEXT), Cap::SchedContext { bits: 7, .. }));
}

#[test]
fn machine_caps_go_to_their_slots() {
    let raw = RawCap { word0: 25 << 58, word1: 7 };
    let system = boot_with(&BootInput { machine_caps: &[(slot::SMC, raw)], ..INPUT });
    assert_eq!(system.cap(slot::SMC), Cap::Machine(raw));
}

#[test]
fn dynamic_slots_come_in_order_without_gaps() {
    let content = [7; 5000];
    let extra = [ExtraChunk { id: FDT, content: &content }];
    let system = boot_with(&BootInput { extra: &extra, ..INPUT });
    // The image crosses a boundary of 2 MiB: two tables of the lowest level.
    assert_eq!(system.region(offset_of!(BootInfo, user_image_paging)), 16..20);
    assert_eq!(system.region(offset_of!(BootInfo, extra_bi_pages)), 20..22);
    assert_eq!(system.region(offset_of!(BootInfo, sched_control)), 22..23);
    assert_eq!(system.region(offset_of!(BootInfo, user_image_frames)), 23..28);
    let untyped = system.region(offset_of!(BootInfo, untyped));
    assert_eq!(untyped.start, 28);
    assert_eq!(system.region(offset_of!(BootInfo, empty)), untyped.end..4096);
    assert!((untyped.end..4096).all(|slot| system.cap(slot).is_null()));
    assert_eq!(system.region(offset_of!(BootInfo, shared_frames)), 0..0);
    assert_eq!(system.region(offset_of!(BootInfo, io_space_caps)), 0..0);
    assert_eq!(system.cap(22), Cap::SchedControl { core: 0 });

    let addresses = [0, 0, 0x20_0000, 0x40_0000];
    for (slot, address) in (16..20).zip(addresses) {
        let Cap::Table(table) = system.cap(slot) else { panic!("slot {slot} has no table") };
        assert_eq!(table.mapping, Mapping { asid: 1, address: VirtAddr(address), ..Mapping::NONE });
    }
}

#[test]
fn scalars_of_boot_info_are_set() {
    let system = boot_with(&INPUT);
    let expected = [
        (offset_of!(BootInfo, extra_len), 0),
        (offset_of!(BootInfo, node_id), 0),
        (offset_of!(BootInfo, num_nodes), 1),
        (offset_of!(BootInfo, num_io_pt_levels), 0),
        (offset_of!(BootInfo, ipc_buffer), VIRTUAL + 0x5000),
        (offset_of!(BootInfo, init_thread_cnode_size_bits), 12),
        (offset_of!(BootInfo, init_thread_domain), 0),
    ];
    for (offset, value) in expected {
        assert_eq!(system.word(offset), value, "offset {offset}");
    }
    assert_eq!(system.region(offset_of!(BootInfo, extra_bi_pages)), 0..0);
    for offset in (size_of::<BootInfo>()..4096).step_by(8) {
        assert_eq!(system.word(offset), 0);
    }
}

#[test]
fn the_image_and_its_company_are_mapped() {
    let system = boot_with(&INPUT);
    let frames = system.region(offset_of!(BootInfo, user_image_frames));
    for (page, slot) in frames.enumerate() {
        let offset = 0x1000 * page as u64;
        let frame = system.frame(slot);
        assert_eq!(frame.base, IMAGE.start.offset(offset));
        system.assert_mapped(&frame, VIRTUAL + offset, Host::IMAGE_ATTRIBUTES);
    }
    let data = Host::DATA_ATTRIBUTES;
    system.assert_mapped(&system.frame(slot::INIT_IPC_BUFFER), VIRTUAL + 0x5000, data);
    system.assert_mapped(&system.frame(slot::BOOT_INFO_FRAME), VIRTUAL + 0x6000, data);
    assert_eq!(system.mapped(VIRTUAL - 0x1000), None);
    assert_eq!(system.mapped(VIRTUAL + 0x7000), None);
}

#[test]
fn extra_boot_info_holds_the_chunks_back_to_back() {
    let first: Vec<u8> = (0..5001_u32).map(|i| i as u8 ^ (i >> 8) as u8).collect();
    let second = [0xaa; 11];
    let extra = [ExtraChunk { id: FDT, content: &first }, ExtraChunk { id: 9, content: &second }];
    let system = boot_with(&BootInput { extra: &extra, ..INPUT });

    let mut expected = [FDT.to_le_bytes(), 5017_u64.to_le_bytes()].concat();
    expected.extend(&first);
    expected.extend([9_u64.to_le_bytes(), 27_u64.to_le_bytes()].concat());
    expected.extend(second);
    assert_eq!(system.word(offset_of!(BootInfo, extra_len)), expected.len() as u64);

    let mut found = Vec::new();
    for (page, slot) in system.region(offset_of!(BootInfo, extra_bi_pages)).enumerate() {
        let frame = system.frame(slot);
        system.assert_mapped(&frame, VIRTUAL + 0x7000 + 0x1000 * page as u64, Host::IMAGE_ATTRIBUTES);
        let window = Store::<Host>::window(frame.base);
        let words = (0..4096).step_by(8).map(|offset| system.kernel.store.load(window.offset(offset)));
        found.extend(words.flat_map(u64::to_le_bytes));
    }
    assert_eq!(found.len(), 0x2000);
    assert_eq!(found[..expected.len()], expected);
    assert!(found[expected.len()..].iter().all(|&byte| byte == 0));
}

#[test]
fn the_initial_thread_runs() {
    let system = boot_with(&INPUT);
    let Cap::Tcb(tcb) = system.cap(slot::INIT_TCB) else { unreachable!() };
    let store = &system.kernel.store;
    let thread = &store[tcb];
    assert_eq!(
        (thread.priority, thread.max_controlled_priority, thread.domain, thread.flags),
        (255, 255, 0, 0)
    );
    assert_eq!(thread.state, ThreadState::Running);
    assert_eq!(thread.ipc_buffer, VIRTUAL + 0x5000);
    assert!(thread.name.starts_with(b"rootserver\0"));
    let registers = &thread.registers.words;
    assert_eq!(registers[Host::REGISTERS.argument], VIRTUAL + 0x6000);
    assert_eq!(registers[Host::REGISTERS.next_pc], ENTRY.0);
    assert_eq!(registers[place(Register::Sp)], 0);
    assert_eq!(system.kernel.core.current, Some(tcb));

    let Cap::VSpace(space) = system.cap(slot::INIT_VSPACE) else { unreachable!() };
    let loaded = system.kernel.arch.loaded().unwrap();
    assert_eq!((loaded.tcb, loaded.vspace), (tcb, Some((space.root, 1))));

    let buffer = FrameCap { mapping: Mapping::NONE, ..system.frame(slot::INIT_IPC_BUFFER) };
    assert_eq!(store[tcb.slot(TcbSlot::IpcBuffer)].cap(), Cap::Frame(buffer));
    assert_eq!(store[tcb.slot(TcbSlot::VSpace)].cap(), Cap::VSpace(space));
    assert!(store[tcb.slot(TcbSlot::FaultHandler)].is_empty());
    assert!(store[tcb.slot(TcbSlot::TimeoutHandler)].is_empty());
}

#[test]
fn each_byte_is_untyped_once_or_in_use() {
    let system = boot_with(&INPUT);
    assert_eq!(system.booted, Booted { untypeds_dropped: 0 });
    let untypeds = system.untypeds();
    assert!(untypeds.is_sorted_by_key(|untyped| (!untyped.device, untyped.base)));

    // Laid side by side, untypeds, objects and what is kept fill everything from 0 to the top.
    let extent = |untyped: &UntypedCap| PhysRegion {
        start: untyped.base,
        end: untyped.base.offset(1 << untyped.bits),
    };
    let mut parts: Vec<PhysRegion> = untypeds.iter().map(extent).collect();
    let objects = root_objects(&system.kernel);
    let image = INPUT.image_pages();
    parts.extend([KERNEL, GIC, image, objects]);
    parts.sort_by_key(|part| part.start);
    assert_eq!(parts.first().map(|part| part.start), Some(PhysAddr(0)));
    assert_eq!(parts.last().map(|part| part.end), Some(INPUT.device_top));
    assert!(parts.is_sorted_by(|a, b| a.end == b.start));
    for untyped in &untypeds {
        assert_eq!(untyped.device, !RAM.contains(&extent(untyped)));
        assert_eq!(untyped.watermark, if untyped.device { 0 } else { 1 << untyped.bits });
    }
}

/// From the first to the last of the objects that boot made in `RAM`.
fn root_objects(kernel: &Kernel<Host>) -> PhysRegion {
    let Cap::CNode(root) = kernel.store[kernel.core.current.unwrap().slot(TcbSlot::CSpace)].cap() else {
        panic!("no CSpace")
    };
    let start = Store::<Host>::physical(root.slots.address());
    let context = kernel.store[kernel.core.current.unwrap()].sched_context.unwrap();
    PhysRegion { start, end: Store::<Host>::physical(context.address()).offset(128) }
}

#[test]
fn boot_info_describes_the_untypeds() {
    let system = boot_with(&INPUT);
    let untypeds = system.untypeds();
    for (index, untyped) in untypeds.iter().enumerate() {
        let offset = offset_of!(BootInfo, untyped_list) + 16 * index;
        assert_eq!(system.word(offset), untyped.base.0);
        assert_eq!(system.word(offset + 8), u64::from(untyped.bits) | u64::from(untyped.device) << 8);
    }
    assert_eq!(system.word(offset_of!(BootInfo, untyped_list) + 16 * untypeds.len() + 8), 0);
}

#[test]
fn initial_caps_have_no_parents() {
    let system = boot_with(&INPUT);
    let roots = (0..4096).filter(|&slot| !system.cap(slot).is_null());
    assert!(
        roots.map(|slot| &system.kernel.store[system.cnode.nth(slot)].node).all(|node| node.prev().is_none())
    );
}

#[test]
fn memory_above_the_window_is_device_memory() {
    let high = PhysRegion::new(WINDOW_TOP.0 - 0x10_0000, WINDOW_TOP.0 + 0x10_0000);
    // What is below the window's top is kept, so that the host need not have it.
    let low = PhysRegion { end: WINDOW_TOP, ..high };
    let system = boot_with(&BootInput { memory: &[RAM, high], reserved: &[KERNEL, low], ..INPUT });
    let untypeds = system.untypeds();
    assert!(untypeds.iter().any(|untyped| untyped.device && untyped.base == WINDOW_TOP));
    assert!(untypeds.iter().all(|untyped| untyped.device || untyped.base < RAM.end));
}

#[test]
fn what_boot_needs_holds_no_object_and_is_free_afterwards() {
    // As high as can be, where the root task's objects go otherwise; and where there is no memory.
    let high = PhysRegion::new(RAM.end.0 - 0x4_0000, RAM.end.0);
    let system = boot_with(&BootInput { reclaimed: high, ..INPUT });
    let free: u64 = system
        .untypeds()
        .iter()
        .filter(|untyped| high.contains(&PhysRegion::new(untyped.base.0, untyped.base.0 + 1)))
        .map(|untyped| 1 << untyped.bits)
        .sum();
    assert_eq!(free, high.bytes());
    let nowhere = PhysRegion::new(RAM.end.0, RAM.end.0 + 0x1000);
    let system = boot_with(&BootInput { reclaimed: nowhere, ..INPUT });
    assert!(system.untypeds().iter().all(|untyped| untyped.base != nowhere.start));
}

#[test]
fn untypeds_without_a_place_are_counted() {
    let holes: Vec<PhysRegion> = (0..24)
        .map(|i| RAM.start.0 + 0x30_0000 + i * 0x10_0000)
        .map(|at| PhysRegion::new(at, at + 16))
        .collect();
    let reserved = [vec![KERNEL, GIC], holes].concat();
    let system = boot_with(&BootInput { reserved: &reserved, ..INPUT });
    assert_eq!(system.untypeds().len(), MAX_UNTYPEDS);
    assert!(system.booted.untypeds_dropped > 0);
}

#[test]
fn what_cannot_boot_says_why() {
    let error = |input: &BootInput| boot(&mut kernel(), input).unwrap_err();
    let image = |physical, offset, entry| UserImage { physical, offset, entry: VirtAddr(entry) };
    let with_image = |image| error(&BootInput { image, ..INPUT });
    let (start, offset) = (IMAGE.start.0, INPUT.image.offset);
    let region = PhysRegion::new;

    assert_eq!(with_image(image(region(start, start), offset, ENTRY.0)), BootError::ImageEmpty);
    assert_eq!(with_image(image(region(start, start - 0x1000), offset, ENTRY.0)), BootError::ImageEmpty);
    assert_eq!(
        with_image(image(region(start + 8, start + 0x1000), offset, ENTRY.0)),
        BootError::ImageNotAligned
    );
    assert_eq!(with_image(image(IMAGE, offset + 8, ENTRY.0)), BootError::ImageNotAligned);
    assert_eq!(with_image(image(IMAGE, offset, VIRTUAL - 1)), BootError::EntryOutsideImage);
    assert_eq!(with_image(image(IMAGE, offset, VIRTUAL + 0x5000)), BootError::EntryOutsideImage);
    // The image fits below the top, but not what follows it; the second one wraps around.
    let highest = Host::USER_TOP + 1 - 0x7000;
    let boots = image(IMAGE, start.wrapping_sub(highest), highest);
    assert!(boot(&mut kernel(), &BootInput { image: boots, ..INPUT }).is_ok());
    for virt in [highest + 0x1000, 0_u64.wrapping_sub(0x3000)] {
        assert_eq!(with_image(image(IMAGE, start.wrapping_sub(virt), virt)), BootError::ImageTooHigh);
    }
    let outside = image(region(RAM.end.0 - 0x1000, RAM.end.0 + 0x1000), RAM.end.0, u64::MAX - 0xfff);
    assert_eq!(with_image(outside), BootError::ImageTooHigh);
    let outside = image(region(RAM.end.0 - 0x1000, RAM.end.0 + 0x1000), offset, RAM.end.0 - offset);
    assert_eq!(with_image(outside), BootError::ImageOutsideMemory);
    let inside = image(region(0x4001_2000, 0x4001_4000), 0, 0x4001_2000);
    assert_eq!(with_image(inside), BootError::ImageOverlapsKernel);
    let huge = image(region(start, start + 0x100_0000), offset, ENTRY.0);
    assert_eq!(with_image(huge), BootError::RootCNodeTooSmall);

    let full = [KERNEL, region(IMAGE.end.0.next_multiple_of(0x1000), RAM.end.0)];
    let small = [region(KERNEL.end.0, IMAGE.start.0 - 0x1000)];
    let reserved = [full.as_slice(), &small].concat();
    assert_eq!(error(&BootInput { reserved: &reserved, ..INPUT }), BootError::NoMemory);
    let many: Vec<PhysRegion> = (0..70).map(|i| region(i * 0x1000, i * 0x1000 + 8)).collect();
    assert_eq!(error(&BootInput { reserved: &many, ..INPUT }), BootError::TooManyRegions);
}

#[test]
fn the_root_task_lies_where_tools_expect_it() {
    // 1 GiB from 1 GiB on, an image of one page, radix 12, no extra information: 2^17 for the CNode, seven pages
    // (root, 3 tables, pool, IPC buffer, BootInfo), thread and context; the start is a multiple of 2^17.
    let sizes = Sizes { radix: 12, tables: 3, extra_bits: None };
    assert_eq!(sizes.total(), 0x2_0000 + 7 * 0x1000 + 0x800 + 0x80);
    let mut free = Regions::new();
    free.add(&PhysRegion::new(0x4000_0000, 0x8000_0000)).unwrap();
    let all = free.take_highest(sizes.total(), sizes.alignment_bits()).unwrap();
    assert_eq!(all, PhysRegion::new(0x7ffc_0000, 0x7ffe_7880));
    // With a device tree of 1 MiB and its header, that needs 2 MiB and decides the alignment.
    let sizes = Sizes { extra_bits: Some(21), ..sizes };
    assert_eq!(sizes.alignment_bits(), 21);
    for extra_bits in [None, Some(12), Some(16), Some(17), Some(21)] {
        let sizes = Sizes { extra_bits, ..sizes };
        let all = PhysRegion::new(0x4000_0000, 0x4000_0000 + sizes.total());
        let objects = Objects::place(all, &sizes);
        assert_eq!(objects.sched_context.offset(128), all.end);
        for (place, bits) in
            [(objects.cnode, 17), (objects.extra, extra_bits.unwrap_or(12)), (objects.tcb, 11)]
        {
            assert_eq!(place.0 % (1 << bits), 0);
        }
    }
}

#[test]
fn tables_are_counted_by_the_spans_they_cover() {
    let layout = |start: u64, pages| Layout {
        image: VirtAddr(start),
        image_pages: pages,
        ipc_buffer: VirtAddr(0),
        boot_info: VirtAddr(0),
        extra: VirtAddr(0),
        extra_pages: 0,
        end: start + (pages << 12),
    };
    assert_eq!(layout(0x40_0000, 1).table_count(4), 3);
    assert_eq!(layout(0x3f_f000, 1).table_count(4), 3);
    assert_eq!(layout(0x3f_f000, 2).table_count(4), 4);
    assert_eq!(layout(0x3fff_f000, 2).table_count(4), 5);
    assert_eq!(layout(0x7f_ffff_f000, 2).table_count(4), 6);
    assert_eq!(layout(0x3fff_f000, 2).table_count(3), 4);
    let tables: Vec<_> = layout(0x3fff_f000, 513).tables(0).map(|address| address.0).collect();
    assert_eq!(tables, [0x3fe0_0000, 0x4000_0000]);
}
