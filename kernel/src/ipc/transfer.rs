// SPDX-License-Identifier: MIT OR Apache-2.0

//! The transfer of a message: registers, buffer words, capabilities (`syscalls.md` §11).
//!
//! Bound: 120 words and 3 capabilities; each capability takes at most one resolution of 64 levels, and all three
//! together one receive slot (two resolutions).

use crate::Kernel;
use crate::arch::Arch;
use crate::cap::{Cap, RawCap, VmRights, tag};
use crate::cdt;
use crate::cspace::{self, FULL_DEPTH, Slot};
use crate::error::LookupFailure;
use crate::invocation::{buffer_word, usable_length};
use crate::ipc::rendezvous::ExtraCaps;
use crate::object::tcb::TcbSlot;
use crate::object::{Endpoint, Tcb};
use crate::store::{Ref, Store};
use crate::units::KernelAddr;
use keel_abi::message::{MESSAGE_REGISTERS, MessageInfo, ipc_buffer};
use keel_bounds::{at_most, entry, fact, not_entered_by, only_if, only_unless};

/// Along what a message travels.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// The endpoint, none for an answer: capabilities to it arrive as badges.
    pub endpoint: Option<Ref<Endpoint>>,
    /// What the receiver sees of the sender's capability.
    pub badge: u64,
    /// Whether capabilities may go along.
    pub grant: bool,
    /// The extra capabilities, if they have been looked up already.
    pub caps: Option<ExtraCaps>,
}

impl<A: Arch> Kernel<A> {
    /// Transfers the message of `from`, or its fault if it has raised one, to `to`.
    pub(super) fn transfer(&mut self, from: Ref<Tcb>, to: Ref<Tcb>, route: Route) {
        let info = if self.store[from].fault.is_some() {
            self.write_fault_message(from, to)
        } else {
            self.copy_message(from, to, &route)
        };
        self.deliver_badge(to, route.badge);
        self.store[to].registers.words[A::REGISTERS.info] = info.word();
    }

    /// Copies registers, buffer words and capabilities; the info word for the receiver.
    fn copy_message(&mut self, from: Ref<Tcb>, to: Ref<Tcb>, route: &Route) -> MessageInfo {
        // Other entries than system calls send no messages but those about faults.
        not_entered_by::<{ entry::INTERRUPT }>();
        not_entered_by::<{ entry::FAULT }>();
        not_entered_by::<{ entry::FPU }>();
        not_entered_by::<{ entry::UNKNOWN_SYSCALL }>();
        only_unless::<{ fact::PREEMPTED }>();
        only_unless::<{ fact::TELLS_FAULT }>();
        let info = MessageInfo(self.store[from].registers.words[A::REGISTERS.info]);
        let mut rounds = at_most!(MESSAGE_REGISTERS);
        for &register in A::REGISTERS.message.iter().take(info.length()) {
            rounds.count();
            let word = self.store[from].registers.words[register];
            self.store[to].registers.words[register] = word;
        }
        if info.length() <= MESSAGE_REGISTERS && info.extra_caps() == 0 {
            return MessageInfo::new(info.label(), 0, 0, info.length());
        }
        let (source, target) = (self.send_buffer(from), self.receive_buffer(to));
        let both = source.zip(target);
        let length = usable_length(info, both.map(|(source, _)| source));
        let (mut count, mut unwrapped) = (0, 0);
        if let Some((source, target)) = both {
            let mut rounds = at_most!(words);
            for index in MESSAGE_REGISTERS as u64..length {
                rounds.count();
                let word = self.store.load(buffer_word(source, index));
                self.store.save(buffer_word(target, index), word);
            }
            if route.grant && info.extra_caps() > 0 {
                let caps = route.caps.unwrap_or_else(|| self.lookup_waiting_caps(from, info, source));
                (count, unwrapped) = self.transfer_caps(caps, route.endpoint, to, target);
            }
        }
        MessageInfo::new(info.label(), unwrapped, count, length as usize)
    }

    /// The capabilities that `from` sends, which has waited until it could.
    fn lookup_waiting_caps(&self, from: Ref<Tcb>, info: MessageInfo, source: KernelAddr) -> ExtraCaps {
        only_if::<{ fact::RECEIVES }>();
        self.lookup_extra_caps(from, info, source).unwrap_or_default()
    }

    /// Transfers `caps` one by one until one cannot be. How many went, and a bit for each that went as a badge.
    fn transfer_caps(
        &mut self,
        caps: ExtraCaps,
        endpoint: Option<Ref<Endpoint>>,
        to: Ref<Tcb>,
        buffer: KernelAddr,
    ) -> (usize, u64) {
        let mut unwrapped = 0;
        let mut place = ReceivePlace::NotLookedUp;
        let mut lookups = at_most!(1);
        let mut rounds = at_most!(caps);
        for (index, slot) in caps.iter().enumerate() {
            let Some(slot) = *slot else { return (index, unwrapped) };
            rounds.count();
            match self.store[slot].cap() {
                Cap::Endpoint(cap) if Some(cap.object) == endpoint => {
                    let word = ipc_buffer::CAPS_OR_BADGES + index;
                    self.store.save(buffer.offset(word as u64 * 8), cap.badge);
                    unwrapped |= 1 << index;
                }
                cap => {
                    let ReceivePlace::Free(target) = place.take(|| {
                        lookups.count();
                        self.receive_slot(to, buffer)
                    }) else {
                        return (index, unwrapped);
                    };
                    match self.derive(slot, cap) {
                        Ok(derived) if !derived.is_null() => self.insert_copy(derived.into(), slot, target),
                        _ => return (index, unwrapped),
                    }
                }
            }
        }
        (caps.len(), unwrapped)
    }

    /// The empty slot that the receiver's buffer names for a capability.
    fn receive_slot(&self, to: Ref<Tcb>, buffer: KernelAddr) -> Option<Ref<Slot>> {
        let word = |index: usize| self.store.load(buffer.offset(index as u64 * 8));
        let root = self.lookup_cap(to, word(ipc_buffer::RECEIVE_CNODE)).ok()?;
        let (index, depth) = (word(ipc_buffer::RECEIVE_INDEX), word(ipc_buffer::RECEIVE_DEPTH));
        cspace::empty_slot(&self.store, self.store[root].raw, index, depth).ok()
    }

    /// Looks up the extra capabilities that the message of `tcb` with this info word and buffer names. On failure,
    /// the address that could not be resolved and why.
    #[inline(always)]
    pub fn lookup_extra_caps(
        &self,
        tcb: Ref<Tcb>,
        info: MessageInfo,
        buffer: KernelAddr,
    ) -> Result<ExtraCaps, (u64, LookupFailure)> {
        let mut caps = ExtraCaps::default();
        let count = info.extra_caps();
        let mut rounds = at_most!(caps);
        for (index, slot) in caps.iter_mut().enumerate() {
            if index == count {
                break;
            }
            rounds.count();
            let word = ipc_buffer::CAPS_OR_BADGES + index;
            let address = self.store.load(buffer.offset(word as u64 * 8));
            match self.lookup_cap(tcb, address) {
                Ok(found) => *slot = Some(found),
                Err(failure) => return Err((address, failure)),
            }
        }
        Ok(caps)
    }

    /// The slot that `address` names in the CSpace of `tcb`. Bits left over are ignored.
    #[inline(always)]
    pub fn lookup_cap(&self, tcb: Ref<Tcb>, address: u64) -> Result<Ref<Slot>, LookupFailure> {
        let root = self.store[tcb].slots[TcbSlot::CSpace as usize].raw;
        match root.only_level_slot::<A>(address) {
            Some(slot) => Ok(slot),
            None => self.lookup_in_levels(root, address),
        }
    }

    /// As [`Self::lookup_cap`], from `root`, however many levels there are.
    #[inline(never)]
    fn lookup_in_levels(&self, root: RawCap, address: u64) -> Result<Ref<Slot>, LookupFailure> {
        cspace::resolve(&self.store, root, address, FULL_DEPTH).map(|(slot, _)| slot)
    }

    /// Puts `cap`, derived from the one in `source`, into the empty `target`.
    #[inline]
    pub fn insert_copy(&mut self, raw: RawCap, source: Ref<Slot>, target: Ref<Slot>) {
        let original = self.store[source].raw;
        let flags = cdt::flags_of_copy::<A>(original, raw);
        if raw.tag() == tag::UNTYPED
            && let Cap::Untyped(mut shared) = Cap::from(original)
        {
            // From now on only what the copy gives out counts as this memory's use.
            shared.watermark = 1 << shared.bits;
            self.store[source].raw = Cap::Untyped(shared).into();
        }
        cdt::insert(&mut self.store, raw, flags, target, source);
    }

    /// The IPC buffer of `tcb` in the kernel's window, if it can be sent from.
    #[must_use]
    pub fn send_buffer(&self, tcb: Ref<Tcb>) -> Option<KernelAddr> {
        self.ipc_buffer(tcb, |rights| rights != VmRights::KernelOnly)
    }

    /// The IPC buffer of `tcb` in the kernel's window, if it can be received into.
    #[must_use]
    pub fn receive_buffer(&self, tcb: Ref<Tcb>) -> Option<KernelAddr> {
        self.ipc_buffer(tcb, |rights| rights == VmRights::ReadWrite)
    }

    /// The IPC buffer of `tcb`, if the frame's rights suit.
    fn ipc_buffer(&self, tcb: Ref<Tcb>, suits: impl Fn(VmRights) -> bool) -> Option<KernelAddr> {
        let address = self.store[tcb].ipc_buffer;
        if address == 0 {
            return None;
        }
        let Cap::Frame(frame) = self.store[tcb].slots[TcbSlot::IpcBuffer as usize].cap() else { return None };
        if frame.device || !suits(frame.rights) {
            return None;
        }
        let offset = address & ((1 << frame.bits()) - 1);
        Some(Store::<A>::window(frame.base).offset(offset))
    }
}

/// The one slot into which a message can put a capability.
#[derive(Clone, Copy)]
enum ReceivePlace {
    /// Nobody has asked yet.
    NotLookedUp,
    /// It is there and empty.
    Free(Ref<Slot>),
    /// There is none, or it has been used.
    None,
}

impl ReceivePlace {
    /// The place, which from now on is used; found by `find` on first use.
    fn take(&mut self, find: impl FnOnce() -> Option<Ref<Slot>>) -> Self {
        let place = match *self {
            Self::NotLookedUp => find().map_or(Self::None, Self::Free),
            used => used,
        };
        *self = Self::None;
        place
    }
}
