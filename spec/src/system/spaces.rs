// SPDX-License-Identifier: MIT OR Apache-2.0

//! The capabilities in a thread: its spaces, its IPC buffer, its handlers (`invocations.md` §5.2).
//!
//! Everything is checked before anything is replaced. An old capability is deleted before the new one is copied in its
//! place; should the deletion have taken the new one's source with it, the place stays empty.

use super::call::Message;
use super::cnode::error_of;
use super::error::Error;
use super::fault::is_handler;
use super::{BUFFER, CSPACE, Cap, FAULT_HANDLER, System, TIMEOUT_HANDLER, VSPACE};
use crate::algebra::{Kind, Rights};
use crate::concrete::{Object, Slot};

/// Alignment of IPC buffers.
const BUFFER_ALIGNMENT: u64 = 1024;

/// What goes into a slot of a thread.
pub(super) struct Install {
    /// Where it comes from.
    source: Slot,
    /// What is there.
    was: Cap,
    /// The data word that it is minted with, if any.
    data: Option<u64>,
    /// Whether the slot only becomes empty.
    is_nothing: bool,
}

impl System {
    /// Configure.
    pub(super) fn configure(&mut self, thread: Object, message: &Message) -> Result<(), Error> {
        message.require(3)?;
        message.extra(2)?;
        let address = self.argument(message, 2);
        let buffer = self.new_buffer(message, 2, address)?;
        self.check_no_long_deletion(thread, message)?;
        let cspace = self.new_space(message, 0, Kind::CNode)?;
        let vspace = self.new_space(message, 1, Kind::VSpace)?;
        self.thread_mut(message.sender).replacing = Some(thread);
        self.install(thread, CSPACE, &cspace)?;
        self.install(thread, VSPACE, &vspace)?;
        self.install(thread, BUFFER, &buffer)?;
        self.thread_mut(thread).buffer = address;
        self.has_replaced(message);
        Ok(())
    }

    /// SetSpace.
    pub(super) fn set_space(&mut self, thread: Object, message: &Message) -> Result<(), Error> {
        message.require(2)?;
        message.extra(2)?;
        self.check_no_long_deletion(thread, message)?;
        let cspace = self.new_space_from(message, 1, 0, Kind::CNode)?;
        let vspace = self.new_space_from(message, 2, 1, Kind::VSpace)?;
        let handler = self.new_handler(message, 0, 1)?;
        self.thread_mut(message.sender).replacing = Some(thread);
        self.install(thread, FAULT_HANDLER, &handler)?;
        self.install(thread, CSPACE, &cspace)?;
        self.install(thread, VSPACE, &vspace)?;
        self.has_replaced(message);
        Ok(())
    }

    /// SetIPCBuffer.
    pub(super) fn set_ipc_buffer(&mut self, thread: Object, message: &Message) -> Result<(), Error> {
        message.require(1)?;
        message.extra(0)?;
        let address = self.argument(message, 0);
        let buffer = self.new_buffer(message, 0, address)?;
        self.thread_mut(message.sender).replacing = Some(thread);
        self.install(thread, BUFFER, &buffer)?;
        self.thread_mut(thread).buffer = address;
        self.has_replaced(message);
        Ok(())
    }

    /// SetTimeoutEndpoint.
    pub(super) fn set_timeout_endpoint(&mut self, thread: Object, message: &Message) -> Result<(), Error> {
        let handler = self.new_handler(message, 0, 1)?;
        self.thread_mut(message.sender).replacing = Some(thread);
        self.install(thread, TIMEOUT_HANDLER, &handler)?;
        self.has_replaced(message);
        Ok(())
    }

    /// A space of a thread that is being taken apart is not replaced, unless by who is in the middle of that.
    fn check_no_long_deletion(&self, thread: Object, message: &Message) -> Result<(), Error> {
        let is_dying = |place| self.cap(&Self::slot_of(thread, place)).kind == Kind::Zombie;
        let is_own = self.thread(message.sender).replacing == Some(thread);
        if !is_own && (is_dying(CSPACE) || is_dying(VSPACE)) { Err(Error::IllegalOperation) } else { Ok(()) }
    }

    /// The sender has replaced what it wanted to; it may have replaced itself.
    fn has_replaced(&mut self, message: &Message) {
        if let Some(sender) = self.threads.get_mut(&message.sender) {
            sender.replacing = None;
        }
    }

    /// A buffer at `address` in the frame of an extra capability; none at address 0.
    fn new_buffer(&self, message: &Message, index: usize, address: u64) -> Result<Install, Error> {
        let source = message.extra(index)?;
        let was = self.cap(&source);
        if address == 0 {
            return Ok(Install { source, was, data: None, is_nothing: true });
        }
        let frame = self.authority.derived(&self.x, &source, &Rights::ALL, None).map_err(error_of)?;
        if frame.kind != Kind::Frame || self.is_device(frame.object) {
            return Err(Error::IllegalOperation);
        }
        if !address.is_multiple_of(BUFFER_ALIGNMENT) {
            return Err(Error::Alignment);
        }
        Ok(Install { source, was, data: None, is_nothing: false })
    }

    /// The root of a space: extra capability and data word with the same number.
    fn new_space(&self, message: &Message, index: usize, kind: Kind) -> Result<Install, Error> {
        self.new_space_from(message, index, index as u64, kind)
    }

    /// The root of a space, with the guard of a data word that is not 0.
    fn new_space_from(
        &self,
        message: &Message,
        index: usize,
        word: u64,
        kind: Kind,
    ) -> Result<Install, Error> {
        let source = message.extra(index)?;
        let was = self.cap(&source);
        let data = match self.argument(message, word) {
            0 => None,
            word => Some(self.data_for(source, word)?),
        };
        let root = self.authority.derived(&self.x, &source, &Rights::ALL, data.as_ref()).map_err(error_of)?;
        // Without an identifier an address space cannot be used.
        if root.kind != kind || kind == Kind::VSpace && root.data == 0 {
            return Err(Error::IllegalOperation);
        }
        Ok(Install { source, was, data: data.filter(|_| kind == Kind::CNode), is_nothing: false })
    }

    /// A handler, or none; `number` is the capability's number in an error.
    pub(super) fn new_handler(&self, message: &Message, index: usize, number: u64) -> Result<Install, Error> {
        let source = message.extra(index)?;
        let was = self.cap(&source);
        let is_nothing = was.kind == Kind::Null;
        if !is_nothing && !is_handler(&was) {
            return Err(Error::InvalidCapability(number));
        }
        Ok(Install { source, was, data: None, is_nothing })
    }

    /// Replaces what is in a slot of a thread.
    pub(super) fn install(&mut self, thread: Object, place: u64, new: &Install) -> Result<(), Error> {
        let slot = Self::slot_of(thread, place);
        self.delete(slot)?;
        let is = self.cap(&new.source);
        let is_there = (is.kind, is.object, is.data, is.rights, is.watermark)
            == (new.was.kind, new.was.object, new.was.data, new.was.rights, new.was.watermark);
        if is_there && !new.is_nothing {
            let copied = self.authority.copy(&self.x, &new.source, &slot, &Rights::ALL, new.data.as_ref());
            copied.map_err(error_of)?;
        }
        Ok(self.pause()?)
    }
}
