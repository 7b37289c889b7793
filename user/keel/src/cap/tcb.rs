// SPDX-License-Identifier: MIT OR Apache-2.0

//! Threads.

use keel_abi::label;

use super::{Blueprint, CNode, CNodeData, Cap, Endpoint, FixedSize, Frame, Invoked, Notification};
use super::{SchedContext, VSpace, invoke};
use crate::arch::{
    STACK_GAP,
    abi::registers::{self, Register, USER_CONTEXT_WORDS},
};

/// A thread.
pub enum Tcb {}

impl FixedSize for Tcb {
    const BLUEPRINT: Blueprint = Blueprint::Tcb;
}

/// A thread's registers, in the order of the interface (`invocations.md` §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registers(pub [u64; USER_CONTEXT_WORDS]);

impl Default for Registers {
    fn default() -> Self {
        Self([0; USER_CONTEXT_WORDS])
    }
}

impl Registers {
    /// The registers of a thread that starts at `entry`, a function, with a stack that ends here and a first argument.
    pub fn starting_at(entry: u64, stack_end: u64, argument: u64) -> Self {
        Self::default()
            .with(registers::PROGRAM_COUNTER, entry)
            .with(registers::STACK_POINTER, stack_end.wrapping_sub(STACK_GAP))
            .with(registers::CAPABILITY, argument)
    }

    /// With this value in this register.
    pub fn with(mut self, register: Register, value: u64) -> Self {
        if let Some(word) = self.0.get_mut(register as usize) {
            *word = value;
        }
        self
    }

    /// The value of this register; 0 for one that is not part of the context.
    pub fn get(&self, register: Register) -> u64 {
        self.0.get(register as usize).copied().unwrap_or(0)
    }
}

/// What [`Cap::<Tcb>::set_sched_params`] sets.
#[derive(Clone, Copy, Debug)]
pub struct SchedParams {
    /// A thread whose MCP allows the two values below.
    pub authority: Cap<Tcb>,
    /// Highest priority that the thread may give.
    pub max_controlled_priority: u8,
    /// The thread's priority.
    pub priority: u8,
    /// The time it runs on, or null.
    pub sched_context: Cap<SchedContext>,
    /// Where its faults go, or null.
    pub fault_endpoint: Cap<Endpoint>,
}

impl Cap<Tcb> {
    fn invoke_plain(self, label: u64) -> Invoked {
        invoke(self.cptr(), label, &[], &[]).map(drop)
    }

    /// Reads all registers; suspends the thread first if asked.
    pub fn read_registers(self, suspend: bool) -> Invoked<Registers> {
        let words = [suspend.into(), USER_CONTEXT_WORDS as u64];
        let reply = invoke(self.cptr(), label::TCB_READ_REGISTERS, &words, &[])?;
        let mut registers = Registers::default();
        reply.copy_words(&mut registers.0);
        Ok(registers)
    }

    /// Writes all registers; resumes the thread then if asked.
    pub fn write_registers(self, registers: &Registers, resume: bool) -> Invoked {
        let mut words = [0; USER_CONTEXT_WORDS + 2];
        words[0] = resume.into();
        words[1] = USER_CONTEXT_WORDS as u64;
        words[2..].copy_from_slice(&registers.0);
        invoke(self.cptr(), label::TCB_WRITE_REGISTERS, &words, &[]).map(drop)
    }

    /// Copies registers from another thread. `flags`: bit 0 suspends the source, bit 1 resumes this
    /// thread, bit 2 copies the frame registers, bit 3 the integer registers.
    pub fn copy_registers(self, source: Cap<Tcb>, flags: u64) -> Invoked {
        invoke(self.cptr(), label::TCB_COPY_REGISTERS, &[flags], &[source.cptr()]).map(drop)
    }

    /// Sets CSpace, VSpace and IPC buffer. `cspace_data` 0 leaves the CNode's guard as it is; buffer
    /// address 0 means none.
    pub fn configure(
        self,
        cspace: Cap<CNode>,
        cspace_data: CNodeData,
        vspace: Cap<VSpace>,
        buffer_address: u64,
        buffer: Cap<Frame>,
    ) -> Invoked {
        let words = [cspace_data.word(), 0, buffer_address];
        let caps = [cspace.cptr(), vspace.cptr(), buffer.cptr()];
        invoke(self.cptr(), label::TCB_CONFIGURE, &words, &caps).map(drop)
    }

    /// Sets fault endpoint, CSpace and VSpace.
    pub fn set_space(
        self,
        fault_endpoint: Cap<Endpoint>,
        cspace: Cap<CNode>,
        cspace_data: CNodeData,
        vspace: Cap<VSpace>,
    ) -> Invoked {
        let caps = [fault_endpoint.cptr(), cspace.cptr(), vspace.cptr()];
        invoke(self.cptr(), label::TCB_SET_SPACE, &[cspace_data.word(), 0], &caps).map(drop)
    }

    /// Sets the IPC buffer; address 0 removes it.
    pub fn set_ipc_buffer(self, address: u64, buffer: Cap<Frame>) -> Invoked {
        invoke(self.cptr(), label::TCB_SET_IPC_BUFFER, &[address], &[buffer.cptr()]).map(drop)
    }

    /// Sets where the end of a budget is reported; null for nowhere.
    pub fn set_timeout_endpoint(self, endpoint: Cap<Endpoint>) -> Invoked {
        invoke(self.cptr(), label::TCB_SET_TIMEOUT_ENDPOINT, &[], &[endpoint.cptr()]).map(drop)
    }

    /// Sets the priority, at most the MCP of `authority`.
    pub fn set_priority(self, authority: Cap<Tcb>, priority: u8) -> Invoked {
        invoke(self.cptr(), label::TCB_SET_PRIORITY, &[priority.into()], &[authority.cptr()]).map(drop)
    }

    /// Sets the MCP, at most that of `authority`.
    pub fn set_mc_priority(self, authority: Cap<Tcb>, priority: u8) -> Invoked {
        invoke(self.cptr(), label::TCB_SET_MC_PRIORITY, &[priority.into()], &[authority.cptr()]).map(drop)
    }

    /// Sets priorities, scheduling context and fault endpoint at once.
    pub fn set_sched_params(self, params: SchedParams) -> Invoked {
        let words = [params.max_controlled_priority.into(), params.priority.into()];
        let caps = [params.authority.cptr(), params.sched_context.cptr(), params.fault_endpoint.cptr()];
        invoke(self.cptr(), label::TCB_SET_SCHED_PARAMS, &words, &caps).map(drop)
    }

    /// Stops the thread.
    pub fn suspend(self) -> Invoked {
        self.invoke_plain(label::TCB_SUSPEND)
    }

    /// Starts a stopped thread, at the instruction it stopped at.
    pub fn resume(self) -> Invoked {
        self.invoke_plain(label::TCB_RESUME)
    }

    /// Binds a notification: its signals also end the thread's waits on endpoints.
    pub fn bind_notification(self, notification: Cap<Notification>) -> Invoked {
        invoke(self.cptr(), label::TCB_BIND_NOTIFICATION, &[], &[notification.cptr()]).map(drop)
    }

    /// Unbinds the notification.
    pub fn unbind_notification(self) -> Invoked {
        self.invoke_plain(label::TCB_UNBIND_NOTIFICATION)
    }

    /// Sets the thread pointer.
    pub fn set_tls_base(self, address: u64) -> Invoked {
        invoke(self.cptr(), label::TCB_SET_TLS_BASE, &[address], &[]).map(drop)
    }

    /// Clears and sets flags ([`keel_abi::object::TCB_FPU_DISABLED`]); gives the new flags.
    pub fn set_flags(self, clear: u64, set: u64) -> Invoked<u64> {
        invoke(self.cptr(), label::TCB_SET_FLAGS, &[clear, set], &[]).map(|reply| reply.word(0))
    }
}
