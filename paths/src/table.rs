// SPDX-License-Identifier: MIT OR Apache-2.0

//! The table: every entry to the kernel and every operation with its longest path.

use crate::program::Program;
use crate::query::{Answer, Case, Parameters, Query, cases};
use anyhow::{Result, ensure};
use keel_abi::{fault, label, syscall};
use keel_bounds::{entry, group, operation};
use object::Architecture;

/// A row.
#[derive(Clone, Debug)]
pub struct Row {
    /// What is entered or done.
    pub name: String,
    /// With the values that programs usually have.
    pub ordinary: Answer,
    /// With the worst values.
    pub worst: Answer,
}

/// A part of the table.
#[derive(Clone, Debug)]
pub struct Section {
    /// What its rows are.
    pub title: &'static str,
    /// The rows.
    pub rows: Vec<Row>,
}

/// The functions at which traps from user level enter the kernel.
pub fn entries(architecture: Architecture) -> &'static [&'static str] {
    match architecture {
        Architecture::Aarch64 => &["keel_vector_user_sync", "keel_vector_user_irq", "keel_vector_user_error"],
        Architecture::X86_64 => &["keel_call", "keel_call_with_bases", "keel_stubs"],
        _ => &["keel_trap"],
    }
}

/// Computes the table.
pub fn compute(program: &Program<'_>) -> Result<Vec<Section>> {
    let call = (group::ENTRY, syscall::CALL.cast_unsigned());
    let sections = [
        ("System calls, interrupts and faults", group::ENTRY, None),
        ("What Call does", group::OPERATION, Some(call)),
        ("Messages about faults", group::FAULT, None),
    ];
    let mut computed = Vec::new();
    for (title, of, also) in sections {
        let mut rows = Vec::new();
        for value in cases(program, of) {
            rows.extend(row(program, (of, value), also)?);
        }
        ensure!(!rows.is_empty(), "the kernel has no path for: {title}");
        computed.push(Section { title, rows });
    }
    Ok(computed)
}

/// The row of a case, nothing if there is no path through it.
fn row(program: &Program<'_>, case: Case, also: Option<Case>) -> Result<Option<Row>> {
    // A message about a fault can be that of another fault than the one that the kernel was entered by.
    let itself = (case.0 != group::FAULT).then_some(case);
    let also = also.or_else(|| (case.0 == group::FAULT).then(|| (group::ENTRY, raised_by(case.1))));
    let ask = |parameters| {
        let only = itself.into_iter().chain(also).collect();
        Query { entries: entries(program.image.architecture), only, through: Some(case), parameters }
            .answer(program)
    };
    let (Some(ordinary), Some(worst)) = (ask(Parameters::ORDINARY)?, ask(Parameters::WORST)?) else {
        return Ok(None);
    };
    Ok(Some(Row { name: name(program.image.architecture, case), ordinary, worst }))
}

/// The entry to the kernel in which a fault comes up.
fn raised_by(fault: u64) -> u64 {
    match fault {
        fault::CAP_FAULT => syscall::CALL.cast_unsigned(),
        fault::UNKNOWN_SYSCALL => entry::UNKNOWN_SYSCALL,
        fault::TIMEOUT => entry::INTERRUPT,
        _ => entry::FAULT,
    }
}

/// The longest path of a Retype of `objects` objects, with ordinary values otherwise.
pub fn retype(program: &Program<'_>, objects: u64) -> Result<Option<u64>> {
    let Parameters([levels, words, caps, _, height]) = Parameters::ORDINARY;
    let retype = (group::OPERATION, label::UNTYPED_RETYPE);
    let query = Query {
        entries: entries(program.image.architecture),
        only: vec![retype, (group::ENTRY, syscall::CALL.cast_unsigned())],
        through: Some(retype),
        parameters: Parameters([levels, words, caps, objects, height]),
    };
    Ok(query.answer(program)?.map(|answer| answer.instructions))
}

/// What a case is called.
fn name(architecture: Architecture, (of, value): Case) -> String {
    let known = match of {
        group::ENTRY => match value {
            entry::INTERRUPT => Some("interrupt"),
            entry::FAULT => Some("fault"),
            entry::FPU => Some("first use of the FPU"),
            entry::UNKNOWN_SYSCALL => Some("unknown system call"),
            _ => syscall::name(value.cast_signed()),
        },
        group::FAULT => fault::name(value),
        _ => operation_name(architecture, value),
    };
    known.map_or_else(|| format!("{of}.{value}"), String::from)
}

/// What an operation is called. Some do the work of several invocations.
fn operation_name(architecture: Architecture, value: u64) -> Option<&'static str> {
    let generic = |label: u64| {
        let index = label.checked_sub(label::FIRST)? as usize;
        label::TABLE
            .iter()
            .filter(|entry| entry.condition.holds(&keel_abi::config::Options::BUILD))
            .nth(index)
    };
    let _ = architecture;
    Some(match value {
        operation::SEND => "message to an endpoint",
        operation::SIGNAL => "signal",
        operation::REPLY => "reply",
        operation::NOTHING => "no such capability",
        operation::REFUSED => "refused invocation",
        operation::PAGE_MAP => "PageMap",
        operation::PAGE_UNMAP => "PageUnmap",
        operation::PAGE_GET_ADDRESS => "PageGetAddress",
        operation::TABLE_MAP => "PageTableMap",
        operation::TABLE_UNMAP => "PageTableUnmap",
        operation::MAKE_POOL => "ASIDControlMakePool",
        operation::ASSIGN => "ASIDPoolAssign",
        operation::MAINTAIN => "cache maintenance",
        operation::MACHINE => "other operations of the machine",
        label::CNODE_COPY => "CNodeCopy, Mint",
        label::CNODE_MOVE => "CNodeMove, Mutate",
        label::TCB_CONFIGURE => "TCBConfigure, SetSpace, SetIPCBuffer, SetTimeoutEndpoint",
        label::TCB_SET_PRIORITY => "TCBSetPriority, SetMCPriority",
        label => return generic(label).map(|entry| entry.name),
    })
}
