// SPDX-License-Identifier: MIT OR Apache-2.0

//! Mapping, as far as it is RISC-V's own (`invocations.md §11`, `memory.md §1–§5`).

use keel::cap::Blueprint;

use crate::{
    cases::{
        Case,
        asid::{assigned, pool},
        frame::{reads, stale_roots},
    },
    check::*,
    invoke::*,
    machine::{self, FREE_ADDRESSES, NORMAL, R0, TABLES, page_map, peek, poke},
    tester::*,
};

/// The cases of this file.
pub const CASES: &[Case] = cases![
    a_page_is_mapped_after_checks_in_order,
    a_mapping_is_not_replaced,
    a_table_is_in_the_way_of_a_mapped_capability,
    a_page_without_any_right_has_no_entry,
    a_page_may_be_executable_alone,
    an_assigned_root_is_not_unmapped,
    a_root_is_not_mapped_as_a_table,
    a_mapped_table_is_no_root,
    a_thread_in_a_mapped_table_faults,
    a_copy_of_a_root_is_the_root,
];

const RW: u64 = READ | WRITE;
const MAP: &str = "RISCVPageMap";

/// `invocations.md §11`, PageMap.
fn a_page_is_mapped_after_checks_in_order(t: &mut Tester) -> Outcome {
    let (frame, root, table) = (t.frame()?, t.make(Blueprint::VSpace)?, t.make(Blueprint::PageTable)?);
    let (nowhere, taken) = stale_roots(t)?;
    let (frame_of_other, _) = t.mapped_frame()?;
    let other = t.vspace()?;
    let bad = [!0, RW, NORMAL];
    refuses("RISCVPageMap/TruncatedMessage#1", frame, &bad[..2], &[VSPACE], &[])?;
    refuses("RISCVPageMap/TruncatedMessage#1", frame, &bad, &[], &[])?;
    for wrong in [NULL, CNODE, frame, root, table] {
        refuses(page_map::NO_ROOT, frame, &bad, &[wrong], &[1])?;
    }
    refuses(page_map::NOWHERE, frame, &bad, &[nowhere], &[0, 1])?;
    // A root whose identifier another one has, and a table that is mapped below a root.
    accepts(TABLES[0].map, table, &[0, 0], &[other])?;
    for wrong in [taken, table] {
        refuses(page_map::OTHER_ROOT, frame, &bad, &[wrong], &[1])?;
    }
    // From here on with a capability that is mapped in another space.
    refuses(page_map::BEYOND, frame_of_other, &bad, &[other], &[0])?;
    refuses(page_map::MISALIGNED, frame_of_other, &[0x1001, RW, NORMAL], &[other], &[])?;
    let words = [0x1000, RW, NORMAL];
    refuses(page_map::level(21), frame_of_other, &words, &[other], &[0, 2, 21])?;
    t.map(other, frame, 0x1000, NORMAL)?;
    refuses(page_map::OTHER_SPACE, frame_of_other, &words, &[other], &[1])?;
    let copy = t.copy(frame, ALL)?;
    refuses(page_map::OCCUPIED, copy, &words, &[other], &[])
}

/// `invocations.md §11`: a capability that is not mapped does not replace what is.
fn a_mapping_is_not_replaced(t: &mut Tester) -> Outcome {
    let ((frame, address), other) = (t.mapped_frame()?, t.frame()?);
    poke(address, 1);
    let words = [address, RW, NORMAL];
    refuses(page_map::OCCUPIED, other, &words, &[VSPACE], &[])?;
    let copy = t.copy(frame, ALL)?;
    refuses(page_map::OCCUPIED, copy, &words, &[VSPACE], &[])?;
    same("content", 1, peek(address))?;
    accepts("RISCVPageUnmap", frame, &[], &[])?;
    accepts(MAP, other, &words, &[VSPACE])?;
    same("content of the other", 0, peek(address))?;
    // The first one's capability is not mapped any more: this does nothing.
    accepts("RISCVPageUnmap", frame, &[], &[])?;
    t.delete(frame)?;
    same("content of the other", 0, peek(address))
}

/// `memory.md §5`: the level is checked before the place.
fn a_table_is_in_the_way_of_a_mapped_capability(t: &mut Tester) -> Outcome {
    let (frame, address) = (t.make(Blueprint::LargePage)?, t.addresses(21));
    t.map(VSPACE, frame, address, NORMAL)?;
    let next = t.addresses(21);
    t.map_tables(VSPACE, next)?;
    refuses(page_map::level(12), frame, &[next, RW, NORMAL], &[VSPACE], &[0, 2, 12])?;
    refuses(page_map::OTHER_ADDRESS, frame, &[address + (4 << 21), RW, NORMAL], &[VSPACE], &[0])
}

/// `memory.md §3`: its entry is invalid, its capability counts as mapped.
fn a_page_without_any_right_has_no_entry(t: &mut Tester) -> Outcome {
    let (frame, other, address) = (t.frame()?, t.frame()?, t.addresses(12));
    let no_rights = [address, 0, machine::DEVICE];
    t.map_tables(VSPACE, address)?;
    accepts(MAP, frame, &no_rights, &[VSPACE])?;
    reads(t, address, false)?;
    refuses(page_map::OTHER_ADDRESS, frame, &[address + 0x1000, RW, NORMAL], &[VSPACE], &[0])?;
    // So nothing is in the way of another.
    accepts(MAP, other, &[address, RW, NORMAL], &[VSPACE])?;
    poke(address, 3);
    accepts("RISCVPageUnmap", frame, &[], &[])?;
    same("content", 3, peek(address))
}

/// `memory.md §3, §4`: execution depends on the attribute alone.
fn a_page_may_be_executable_alone(t: &mut Tester) -> Outcome {
    let (frame, address) = t.mapped_frame()?;
    // A return: `ret`, an instruction of 4 bytes, and behind it an undefined one.
    poke(address, 0x0000_8067);
    accepts(MAP, frame, &[address, 0, NORMAL], &[VSPACE])?;
    let puppet = t.puppet(ABOVE)?;
    puppet.runs_code(machine::unify(), &[])?;
    puppet.done()?;
    let end = machine::nothing().end;
    let registers = [(R0, address), (keel_abi::riscv64::registers::Register::Ra, end)];
    puppet.runs_code(machine::jump(), &registers)?;
    let fault = puppet.fault()?;
    same("UserException", keel_abi::fault::USER_EXCEPTION, fault.label)?;
    same("pc, where the page has returned to", end, fault.words()[0])?;
    reads(t, address, false)
}

/// `invocations.md §11`, PageTableUnmap: of the final capability, too.
fn an_assigned_root_is_not_unmapped(t: &mut Tester) -> Outcome {
    let root = t.vspace()?;
    refuses("RISCVPageTableUnmap/RevokeFirst#2", root, &[], &[], &[])?;
    let copy = t.copy(root, ALL)?;
    refuses("RISCVPageTableUnmap/RevokeFirst#1", root, &[], &[], &[])?;
    t.delete(copy)?;
    refuses("RISCVPageTableUnmap/RevokeFirst#2", root, &[], &[], &[])?;
    // It is as usable as before.
    t.map_tables(root, FREE_ADDRESSES.start)
}

/// `invocations.md §11`, PageTableMap: a root counts as mapped.
fn a_root_is_not_mapped_as_a_table(t: &mut Tester) -> Outcome {
    let (root, other) = (t.vspace()?, t.vspace()?);
    refuses("RISCVPageTableMap/InvalidCapability#2", root, &[0, 0], &[other], &[0])
}

/// `invocations.md §9, §11`: a table below a root gets no identifier, and nothing is mapped in it as in a
/// root.
fn a_mapped_table_is_no_root(t: &mut Tester) -> Outcome {
    let (root, table, next) = (t.vspace()?, t.make(Blueprint::PageTable)?, t.make(Blueprint::PageTable)?);
    accepts(TABLES[0].map, table, &[0, 0], &[root])?;
    refuses("RISCVASIDPoolAssign/InvalidCapability#3", ASID_POOL, &[], &[table], &[1])?;
    refuses("RISCVPageTableMap/InvalidCapability#6", next, &[0, 0], &[table], &[1])
}

/// `invocations.md §5.2`: any table that is mapped is accepted; one that is no root is an empty space.
fn a_thread_in_a_mapped_table_faults(t: &mut Tester) -> Outcome {
    let (root, table, puppet) = (t.vspace()?, t.make(Blueprint::PageTable)?, t.puppet(ABOVE)?);
    let words = [0, 0];
    refuses("TCBSetSpace/IllegalOperation#9", puppet.tcb, &words, &[puppet.done, CNODE, table], &[])?;
    accepts(TABLES[0].map, table, &[0, 0], &[root])?;
    accepts("TCBSetSpace", puppet.tcb, &words, &[puppet.done, CNODE, table])?;
    let code = machine::nothing();
    puppet.runs_code(code, &[])?;
    let fault = puppet.fault()?;
    fault.is(keel_abi::fault::VM_FAULT, &[code.start, code.start, 1, 1])
}

/// `semantics.md §1`: an assigned root can be copied.
fn a_copy_of_a_root_is_the_root(t: &mut Tester) -> Outcome {
    let pool = pool(t)?;
    let (root, frame) = (assigned(t, pool)?, t.frame()?);
    let copy = t.copy(root, ALL)?;
    t.map(copy, frame, 0x1000, NORMAL)?;
    accepts(MAP, frame, &[0x1000, READ, NORMAL], &[root])?;
    t.delete(root)?;
    accepts(MAP, frame, &[0x1000, RW, NORMAL], &[copy])?;
    t.delete(copy)?;
    // The identifier is free again.
    let next = assigned(t, pool)?;
    refuses(page_map::level(30), frame, &[0x1000, RW, NORMAL], &[next], &[0, 2, 30])
}
