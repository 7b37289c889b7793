// SPDX-License-Identifier: MIT OR Apache-2.0

//! Replacing the capabilities in a thread: its spaces, its IPC buffer, its handlers (`invocations.md` §5.2).
//!
//! The old capability is deleted first. If it was the last one to an object that may take several units, and the
//! caller may be preempted between them and behind the last, and come again. A thread notes whose spaces it is replacing, so that it finds the zombie
//! in the slot to be its own; anybody else is refused meanwhile.

use super::TcbSlot;
use super::invocation::Invocation;
use crate::Kernel;
use crate::arch::Arch;
use crate::cap::{Cap, RawCap, tag};
use crate::cspace::Slot;
use crate::error::Error;
use crate::invocation::{Message, Preempted};
use crate::ipc::fault::is_valid_handler;
use crate::object::Tcb;
use crate::object::cnode::Update;
use crate::store::Ref;
use keel_bounds::{at_most, fact, only_unless};

/// A capability to be copied into one of a thread's slots.
#[derive(Clone, Copy, Debug)]
pub struct Install {
    /// What goes into the slot; a null capability leaves it empty.
    pub(super) cap: RawCap,
    /// Where it comes from, and what was there when it was checked.
    pub(super) source: Ref<Slot>,
    /// What the source held when it was checked.
    pub(super) raw: RawCap,
}

/// Which capabilities of a thread are replaced: those that are `Some`.
#[derive(Clone, Copy, Debug)]
pub struct SetSpaces {
    /// Who does it.
    pub(super) thread: Ref<Tcb>,
    /// Whose they are.
    pub(super) target: Ref<Tcb>,
    /// New fault handler.
    pub(super) fault_handler: Option<Install>,
    /// New timeout handler.
    pub(super) timeout_handler: Option<Install>,
    /// New root of the CSpace.
    pub(super) cspace: Option<Install>,
    /// New root of the VSpace.
    pub(super) vspace: Option<Install>,
    /// The buffer's address and frame.
    pub(super) buffer: Option<(u64, Install)>,
}

impl SetSpaces {
    /// Replaces nothing yet.
    pub(super) const fn nothing(thread: Ref<Tcb>, target: Ref<Tcb>) -> Self {
        Self {
            thread,
            target,
            fault_handler: None,
            timeout_handler: None,
            cspace: None,
            vspace: None,
            buffer: None,
        }
    }
}

/// Alignment of IPC buffers in bytes.
const IPC_BUFFER_ALIGN: u64 = 1024;

impl<A: Arch> Kernel<A> {
    /// Checks Configure.
    pub(super) fn decode_configure(&self, target: Ref<Tcb>, message: &Message) -> Result<Invocation, Error> {
        message.require(3)?;
        let (cspace, vspace, frame) = (0, 1, 2);
        self.extra_cap(message, frame)?;
        let buffer = self.decode_buffer(message, self.argument(message, 2), frame)?;
        self.check_no_long_deletion(target, message)?;
        let cspace = self.decode_cspace(message, cspace, self.argument(message, 0))?;
        let vspace = self.decode_vspace(message, vspace, self.argument(message, 1))?;
        Ok(Invocation::SetSpaces(SetSpaces {
            cspace: Some(cspace),
            vspace: Some(vspace),
            buffer: Some(buffer),
            ..SetSpaces::nothing(message.sender, target)
        }))
    }

    /// Checks SetSpace.
    pub(super) fn decode_set_space(&self, target: Ref<Tcb>, message: &Message) -> Result<Invocation, Error> {
        message.require(2)?;
        let (handler, cspace, vspace) = (0, 1, 2);
        self.extra_cap(message, vspace)?;
        self.check_no_long_deletion(target, message)?;
        let cspace = self.decode_cspace(message, cspace, self.argument(message, 0))?;
        let vspace = self.decode_vspace(message, vspace, self.argument(message, 1))?;
        let fault_handler = self.decode_handler(message, handler, 1)?;
        Ok(Invocation::SetSpaces(SetSpaces {
            fault_handler: Some(fault_handler),
            cspace: Some(cspace),
            vspace: Some(vspace),
            ..SetSpaces::nothing(message.sender, target)
        }))
    }

    /// Checks SetIPCBuffer.
    pub(super) fn decode_set_ipc_buffer(
        &self,
        target: Ref<Tcb>,
        message: &Message,
    ) -> Result<Invocation, Error> {
        message.require(1)?;
        self.extra_cap(message, 0)?;
        let buffer = self.decode_buffer(message, self.argument(message, 0), 0)?;
        Ok(Invocation::SetSpaces(SetSpaces {
            buffer: Some(buffer),
            ..SetSpaces::nothing(message.sender, target)
        }))
    }

    /// A buffer at `address` in the frame that extra capability `index` names; none at address 0.
    #[inline(always)]
    pub(super) fn decode_buffer(
        &self,
        message: &Message,
        address: u64,
        index: usize,
    ) -> Result<(u64, Install), Error> {
        let (source, cap) = self.extra_cap(message, index)?;
        let raw = self.store[source].raw;
        if address == 0 {
            return Ok((0, Install { cap: RawCap::NULL, source, raw }));
        }
        match self.derive(source, cap)? {
            Cap::Frame(frame) if !frame.device => {
                if address.is_multiple_of(IPC_BUFFER_ALIGN) {
                    Ok((address, Install { cap: Cap::Frame(frame).into(), source, raw }))
                } else {
                    Err(Error::Alignment)
                }
            }
            _ => Err(Error::IllegalOperation),
        }
    }

    /// Whether somebody else is in the middle of replacing the target's spaces.
    pub(super) fn check_no_long_deletion(&self, target: Ref<Tcb>, message: &Message) -> Result<(), Error> {
        let is_zombie = |slot| matches!(self.store[target.slot(slot)].cap(), Cap::Zombie(_));
        let mine = self.store[message.sender].replacing == Some(target);
        if !mine && (is_zombie(TcbSlot::CSpace) || is_zombie(TcbSlot::VSpace)) {
            return Err(Error::IllegalOperation);
        }
        Ok(())
    }

    /// The CSpace root in extra capability `index`, with the guard of a data word that is not 0.
    #[inline(always)]
    pub(super) fn decode_cspace(&self, message: &Message, index: usize, data: u64) -> Result<Install, Error> {
        let install = self.decode_space(message, index, data)?;
        if install.cap.tag() == tag::CNODE { Ok(install) } else { Err(Error::IllegalOperation) }
    }

    /// The VSpace root in extra capability `index`.
    #[inline(always)]
    pub(super) fn decode_vspace(&self, message: &Message, index: usize, data: u64) -> Result<Install, Error> {
        let install = self.decode_space(message, index, data)?;
        if A::is_vspace_root(&install.cap.into()) { Ok(install) } else { Err(Error::IllegalOperation) }
    }

    /// What extra capability `index` becomes with a data word that is not 0.
    #[inline(always)]
    pub(super) fn decode_space(&self, message: &Message, index: usize, data: u64) -> Result<Install, Error> {
        let source = message.extra_slot(index)?;
        let raw = self.store[source].raw;
        let cap = if data == 0 { raw } else { self.updated(raw.into(), data, Update::Set)?.into() };
        Ok(Install { cap: self.derive_raw(source, cap)?, source, raw })
    }

    /// The handler in extra capability `index`; `number` is its number in an error.
    #[inline(always)]
    pub(super) fn decode_handler(
        &self,
        message: &Message,
        index: usize,
        number: u64,
    ) -> Result<Install, Error> {
        let source = message.extra_slot(index)?;
        let raw = self.store[source].raw;
        if !is_valid_handler(raw) {
            return Err(Error::InvalidCapability(number));
        }
        Ok(Install { cap: raw, source, raw })
    }

    /// Replaces capabilities one after the other. Each is deleted first, which may take several units.
    pub(super) fn set_spaces(&mut self, spaces: &SetSpaces) -> Result<(), Preempted> {
        let target = spaces.target;
        self.store[spaces.thread].replacing = Some(target);
        let slots = [
            (TcbSlot::FaultHandler, spaces.fault_handler.as_ref()),
            (TcbSlot::TimeoutHandler, spaces.timeout_handler.as_ref()),
            (TcbSlot::CSpace, spaces.cspace.as_ref()),
            (TcbSlot::VSpace, spaces.vspace.as_ref()),
            (TcbSlot::IpcBuffer, spaces.buffer.as_ref().map(|(_, install)| install)),
        ];
        let mut rounds = at_most!(5);
        for (slot, install) in slots {
            rounds.count();
            if let Some(install) = install {
                self.install(target, slot, install)?;
            }
        }
        if let Some((address, _)) = spaces.buffer {
            self.store[target].ipc_buffer = address;
        }
        self.store[spaces.thread].replacing = None;
        Ok(())
    }

    /// Puts a capability into a slot of `target` in place of what is there.
    ///
    /// Where an object dies of it there is a preemption point behind that. Whoever comes again from there finds its
    /// capability in the slot, and with a second one to the same object, its source, putting it there once more is
    /// short. So each object that dies is progress.
    pub(super) fn install(
        &mut self,
        target: Ref<Tcb>,
        slot: TcbSlot,
        install: &Install,
    ) -> Result<(), Preempted> {
        let slot = target.slot(slot);
        if self.is_last(slot) {
            self.delete_slot(slot)?;
            only_unless::<{ fact::PREEMPTED }>();
            self.fill(slot, install);
            return self.preemption_point();
        }
        self.delete_copy(slot);
        self.fill(slot, install);
        Ok(())
    }

    /// Puts a capability into the empty `slot`, provided that the source still holds what it held: the deletion of the
    /// old capability may have deleted it.
    fn fill(&mut self, slot: Ref<Slot>, install: &Install) {
        if !install.cap.is_null() && self.store[install.source].raw == install.raw {
            self.insert_copy(install.cap, install.source, slot);
        }
    }
}
