// SPDX-License-Identifier: MIT OR Apache-2.0

//! Capabilities to I/O ports (`invocations.md §12`, `memory.md §10`).

use keel::cap::CPtr;
use keel_abi::{arch::label, slot};

use crate::{
    cases::Case,
    check::*,
    invoke::*,
    lookups::{Lookup, Request},
    tester::*,
};

/// The cases of this file.
pub const CASES: &[Case] = cases![
    unknown_labels,
    issue_checks_in_order,
    issue_looks_up_the_slot,
    ranges_do_not_overlap,
    accesses_check_in_order,
    what_is_written_is_read,
];

const CONTROL: CPtr = CPtr::new(slot::IO_PORT_CONTROL);
/// The first of ports that no device has.
const FREE: u64 = 0x1000;

/// Accesses that read, and their bytes.
const READS: [(&str, u64); 3] = [("X86IOPortIn8", 1), ("X86IOPortIn16", 2), ("X86IOPortIn32", 4)];
/// Accesses that write, and their bytes.
const WRITES: [(&str, u64); 3] = [("X86IOPortOut8", 1), ("X86IOPortOut16", 2), ("X86IOPortOut32", 4)];

fn ports(t: &mut Tester, first: u64, last: u64) -> Outcome<CPtr> {
    let slot = t.slot()?;
    accepts("X86IOPortControlIssue", CONTROL, &[first, last, slot.bits(), DEPTH], &[CNODE])?;
    Ok(slot)
}

/// `invocations.md §2`.
fn unknown_labels(t: &mut Tester) -> Outcome {
    let ports = ports(t, FREE, FREE)?;
    for label in [0, label::IO_PORT_IN_8, label::PAGE_MAP] {
        refuses_label("X86IOPortControlUnknownLabel/IllegalOperation#1", label, CONTROL)?;
    }
    for label in [0, label::IO_PORT_CONTROL_ISSUE, label::PAGE_MAP] {
        refuses_label("X86IOPortUnknownLabel/IllegalOperation#1", label, ports)?;
    }
    Ok(())
}

/// `invocations.md §12`, Issue.
fn issue_checks_in_order(t: &mut Tester) -> Outcome {
    let (full, row) = (t.endpoint()?, "X86IOPortControlIssue/TruncatedMessage#1");
    refuses(row, CONTROL, &[FREE + 1, FREE, 0], &[CNODE], &[])?;
    refuses(row, CONTROL, &[FREE + 1, FREE, 0, 65], &[], &[])?;
    ports(t, FREE, FREE + 7)?;
    let row = "X86IOPortControlIssue/InvalidArgument#2";
    refuses(row, CONTROL, &[FREE + 1, FREE, 0, 65], &[NULL], &[1])?;
    let row = "X86IOPortControlIssue/RevokeFirst#3";
    refuses(row, CONTROL, &[FREE, FREE, 0, 65], &[NULL], &[])?;
    let words = [FREE + 8, FREE + 8, full.bits(), DEPTH];
    refuses("X86IOPortControlIssue/DeleteFirst#5", CONTROL, &words, &[CNODE], &[])
}

/// `invocations.md §12`, Issue.
fn issue_looks_up_the_slot(t: &mut Tester) -> Outcome {
    let lookup = Lookup { invocation: "X86IOPortControlIssue", step: "#4", side: 0 };
    lookup.fails(t, |root, index, depth| Request::new(CONTROL, &[FREE, FREE, index, depth], &[root]))
}

/// `memory.md §10`: with any live range; the last capability frees the ports.
fn ranges_do_not_overlap(t: &mut Tester) -> Outcome {
    let first = ports(t, FREE + 0x10, FREE + 0x1f)?;
    let copy = t.copy(first, ALL)?;
    let taken = "X86IOPortControlIssue/RevokeFirst#3";
    for (from, to) in [(0, 0xffff), (0x10, 0x10), (0x1f, 0x30), (0, 0x10), (0x18, 0x18)] {
        let (from, to) = (FREE + from, (FREE + to).min(0xffff));
        refuses(taken, CONTROL, &[from, to, 0, 65], &[NULL], &[])?;
    }
    ports(t, FREE + 0x20, FREE + 0x20)?;
    t.delete(first)?;
    refuses(taken, CONTROL, &[FREE + 0x10, FREE + 0x10, 0, 65], &[NULL], &[])?;
    t.delete(copy)?;
    ports(t, FREE + 0x10, FREE + 0x1f)?;
    Ok(())
}

/// `invocations.md §12`: [port, port + bytes) inside the range.
fn accesses_check_in_order(t: &mut Tester) -> Outcome {
    let cap = ports(t, FREE, FREE + 3)?;
    for (access, bytes) in READS {
        refuses_with(&[access, "/TruncatedMessage#1"], None, cap, &[], &[], &[])?;
        for port in [FREE - 1, FREE + 5 - bytes, 0xffff] {
            refuses_with(&[access, "/IllegalOperation#2"], None, cap, &[port], &[], &[])?;
        }
        accepts(access, cap, &[FREE + 4 - bytes], &[])?;
        accepts(access, cap, &[FREE], &[])?;
    }
    for (access, bytes) in WRITES {
        refuses_with(&[access, "/TruncatedMessage#1"], None, cap, &[FREE], &[], &[])?;
        for port in [FREE - 1, FREE + 5 - bytes, 0xffff] {
            refuses_with(&[access, "/IllegalOperation#2"], None, cap, &[port, 0], &[], &[])?;
        }
        accepts(access, cap, &[FREE + 4 - bytes, 0], &[])?;
    }
    Ok(())
}

/// `invocations.md §12`: the byte that a device keeps: a page register of the DMA controller.
fn what_is_written_is_read(t: &mut Tester) -> Outcome {
    let cap = ports(t, 0x80, 0x8f)?;
    for byte in [0x5a, 0xa5] {
        accepts("X86IOPortOut8", cap, &[0x83, byte], &[])?;
        same("byte", byte, accepts("X86IOPortIn8", cap, &[0x83], &[])?.word(0))?;
    }
    Ok(())
}
