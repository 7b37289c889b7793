// SPDX-License-Identifier: MIT OR Apache-2.0

//! Each misuse that the map is there to find, found.

use crate::host::Host;
use crate::object::{Endpoint, SchedContext, Tcb};
use crate::store::{Kind, Ref, Store, checked::CheckedMemory};
use crate::units::{KernelAddr, PhysAddr};
use crate::{arch::Arch, object::tcb::TcbSlot};

const BASE: PhysAddr = PhysAddr(0x4000_0000);

fn store() -> Store<Host> {
    Store::new(CheckedMemory::new(Host::PHYS_WINDOW, BASE, 1 << 16))
}

fn at(offset: u64) -> KernelAddr {
    Store::<Host>::window(BASE.offset(offset))
}

fn named<T>(offset: u64) -> Ref<T> {
    Ref::at(at(offset)).expect("not the null address")
}

#[test]
fn objects_live_die_and_make_room_once_cleared() {
    let mut store = store();
    store.created(Kind::Tcb, at(0x800), 0x800);
    store[named::<Tcb>(0x800)].priority = 7;
    assert_eq!(store[named::<Tcb>(0x800)].priority, 7);
    assert!(store[named::<Tcb>(0x800).slot(TcbSlot::TimeoutHandler)].is_empty());
    store.destroyed(Kind::Tcb, at(0x800));
    store.clear(at(0x800), 0x800);
    store.created(Kind::SchedContext, at(0x800), 0x80);
    assert_eq!(store[named::<SchedContext>(0x800)].refill_count, 0);
    assert_eq!(store[named::<SchedContext>(0x800).refill(1)].amount.0, 0);
}

#[test]
fn words_of_frames_are_read_and_written() {
    let mut store = store();
    store.created(Kind::Frame, at(0x1000), 0x1000);
    store.save(at(0x1ff8), 5);
    assert_eq!(store.load(at(0x1ff8)), 5);
}

#[test]
fn device_frames_live_but_hold_nothing() {
    let mut store = store();
    let device = Store::<Host>::window(PhysAddr(0x900_0000));
    store.created(Kind::Frame, device, 0x1000);
    store.destroyed(Kind::Frame, device);
}

/// Names a test of something that must panic, and what it says.
macro_rules! misuse {
    ($name:ident, $message:literal, |$store:ident| $body:block) => {
        #[test]
        #[should_panic(expected = $message)]
        fn $name() {
            let mut $store = store();
            $store.created(Kind::Endpoint, at(0x10), 0x10);
            $store.created(Kind::Tcb, at(0x800), 0x800);
            $body
        }
    };
}

misuse!(an_access_where_nothing_is, "nothing lives there", |store| {
    store[named::<Endpoint>(0x20)].canceller = None;
});
misuse!(an_access_after_death, "nothing lives there", |store| {
    store.destroyed(Kind::Endpoint, at(0x10));
    store[named::<Endpoint>(0x10)].canceller = None;
});
misuse!(an_access_at_the_wrong_type, "Endpoint KernelAddr", |store| {
    store[named::<Endpoint>(0x800)].canceller = None;
});
misuse!(an_access_beside_the_start, "Tcb KernelAddr", |store| {
    store[named::<Tcb>(0x840)].priority = 1;
});
misuse!(a_slot_behind_the_last_of_a_tcb, "Slots KernelAddr", |store| {
    let behind = named::<Tcb>(0x800).slot(TcbSlot::TimeoutHandler).nth(1);
    store[behind] = crate::cspace::Slot::default();
});
misuse!(a_kernel_object_as_a_frame, "Frame KernelAddr", |store| {
    store.load(at(0x800));
});
misuse!(an_object_over_another, "overlaps the live", |store| {
    store.created(Kind::Frame, at(0), 0x1000);
});
misuse!(clearing_under_a_live_object, "overlaps the live", |store| {
    store.clear(at(0), 0x100);
});
misuse!(an_object_in_memory_that_is_not_clear, "is not clear", |store| {
    store.destroyed(Kind::Endpoint, at(0x10));
    store.created(Kind::Endpoint, at(0x10), 0x10);
});
misuse!(a_misaligned_object, "misaligned", |store| {
    store.created(Kind::Notification, at(0x20), 0x40);
});
misuse!(a_death_at_the_wrong_type, "does not live", |store| {
    store.destroyed(Kind::Reply, at(0x10));
});
misuse!(an_object_outside_memory, "is not memory", |store| {
    store.created(Kind::Reply, at(0x10000), 0x20);
});
