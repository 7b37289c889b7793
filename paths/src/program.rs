// SPDX-License-Identifier: MIT OR Apache-2.0

//! Functions taken apart into blocks.
//!
//! A block is entered at its first instruction only and left behind its last. It ends at the latest behind a call, and
//! begins at each mark, so that what a mark says is true of the block. All addresses are those of the shipped kernel.

use crate::decode::{Flow, Instruction, Length, Stack};
use crate::image::{Image, Mark, Symbol};
use crate::twin;
use anyhow::{Context, Result, bail, ensure};
use keel_bounds::kind;
use std::collections::{BTreeMap, BTreeSet};

/// How a block ends, if not by going on to others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// It does.
    GoesOn,
    /// Back to the caller.
    Returns,
    /// To user level: the instruction is an exception return.
    Leaves,
    /// The processor stops.
    Stops,
    /// It jumps to a computed address.
    Computed,
}

/// A call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Call {
    /// Of the function with this number.
    To(usize),
    /// Of what a register says.
    Computed,
}

/// A block.
#[derive(Clone, Debug)]
pub struct Block {
    /// Address of the first instruction in the shipped kernel.
    pub start: u64,
    /// Number of instructions.
    pub instructions: u64,
    /// What is said of it.
    pub marks: Vec<Mark>,
    /// Whether its last instruction repeats itself.
    pub repeats: bool,
    /// What its last instruction calls.
    pub call: Option<Call>,
    /// The blocks behind it.
    pub next: Vec<usize>,
    /// How it ends.
    pub end: End,
    /// The constant in the register of the third argument at its end.
    pub length: Length,
    /// What its instructions do to the stack pointer, in order.
    pub stack: Vec<Stack>,
}

/// A function.
#[derive(Clone, Debug)]
pub struct Function {
    /// Name and place.
    pub symbol: Symbol,
    /// Its blocks; the first is where it begins.
    pub blocks: Vec<Block>,
}

/// All functions of a kernel.
pub struct Program<'a> {
    /// The kernel as it is shipped.
    pub image: Image<'a>,
    /// The functions.
    pub functions: Vec<Function>,
    /// All marks.
    pub marks: Vec<Mark>,
}

impl<'a> Program<'a> {
    /// Takes the kernel apart that is shipped as `image`, with the marks of its `twin` ([`crate::twin`]).
    pub fn new(image: Image<'a>, twin: &Image<'a>) -> Result<Self> {
        let twins = twin::functions(&image, twin)?;
        let numbers = twins.keys().enumerate().map(|(number, &start)| (start, number)).collect();
        let mut functions = Vec::new();
        for (&start, function) in &twins {
            let blocks =
                blocks(twin, &twins, &numbers, start).with_context(|| function.symbol.name.clone())?;
            functions.push(Function { symbol: function.symbol.clone(), blocks });
        }
        Ok(Self { image, functions, marks: twin.marks.values().flatten().copied().collect() })
    }

    /// The number of the function with this name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.functions.iter().position(|function| function.symbol.name == name)
    }
}

/// The addresses at which blocks begin. Of marks one behind the other the first begins one, unless others are jumped to.
fn leaders(twin: &Image<'_>, start: u64, function: &twin::Function) -> BTreeSet<u64> {
    let mut leaders = BTreeSet::from([start]);
    let mut behind_mark = None;
    for (instruction, _) in function.instructions.values() {
        if let Flow::Jump(to) | Flow::Branch(to) = instruction.flow {
            leaders.insert(to);
        }
        let behind = instruction.address + instruction.bytes;
        if instruction.flow != Flow::Next {
            leaders.insert(behind);
        }
        if twin.marks.contains_key(&instruction.address) {
            if behind_mark != Some(instruction.address) {
                leaders.insert(instruction.address);
            }
            behind_mark = Some(behind);
        }
    }
    leaders.retain(|leader| function.instructions.contains_key(leader));
    leaders
}

/// The blocks of a function that begins at `start` in the twin.
fn blocks(
    twin: &Image<'_>,
    twins: &BTreeMap<u64, twin::Function>,
    numbers: &BTreeMap<u64, usize>,
    start: u64,
) -> Result<Vec<Block>> {
    let function = &twins[&start];
    let leaders = leaders(twin, start, function);
    let places: BTreeMap<u64, usize> =
        leaders.iter().enumerate().map(|(index, &leader)| (leader, index)).collect();
    let twin_end = function
        .instructions
        .last_key_value()
        .map_or(start, |(last, (instruction, _))| last + instruction.bytes);
    let mut blocks = Vec::new();
    let mut tails = Vec::new();
    for &start in &leaders {
        let end = leaders.range(start + 1..).next().copied().unwrap_or(twin_end);
        let mut block = Block {
            start: function.instructions[&start].1.address,
            instructions: 0,
            marks: twin.marks.range(start..end).flat_map(|(_, marks)| marks).copied().collect(),
            repeats: false,
            call: None,
            next: Vec::new(),
            end: End::GoesOn,
            length: Length::Same,
            stack: Vec::new(),
        };
        let mut last = Flow::Next;
        for (instruction, original) in function.instructions.range(start..end).map(|(_, both)| both) {
            block.instructions += original.count;
            if instruction.stack != Stack::Same {
                block.stack.push(instruction.stack);
            }
            if instruction.length != Length::Same {
                block.length = instruction.length;
            }
            last = instruction.flow;
        }
        for mark in block.marks.iter().filter(|mark| mark.kind == kind::TRAP) {
            block.instructions += straight(twins, mark.words[0])?;
            let bytes = mark.words[1].cast_signed();
            block.stack.extend([Stack::Moves(-bytes), Stack::Moves(bytes)]);
        }
        let others = finish(&mut block, last, &places, numbers, end)?;
        tails.extend(others.into_iter().map(|other| (blocks.len(), other)));
        blocks.push(block);
    }
    for (from, callee) in tails {
        let index = blocks.len();
        blocks.push(Block {
            start: blocks[from].start,
            instructions: 0,
            marks: Vec::new(),
            repeats: false,
            call: Some(Call::To(callee)),
            next: Vec::new(),
            end: End::Returns,
            length: Length::Unknown,
            stack: Vec::new(),
        });
        blocks[from].next.push(index);
    }
    Ok(blocks)
}

/// How many instructions the function at an address of the twin has, none of which leads back.
fn straight(twins: &BTreeMap<u64, twin::Function>, address: u64) -> Result<u64> {
    let function = twins.get(&address);
    let function = function.with_context(|| format!("{address:#x} is no beginning of a function"))?;
    let leads_back = |(&at, (instruction, _)): (&u64, &(Instruction, _))| match instruction.flow {
        Flow::Jump(to) | Flow::Branch(to) => (address..=at).contains(&to),
        _ => false,
    };
    ensure!(!function.instructions.iter().any(leads_back), "a trap's {} has a loop", function.symbol.name);
    Ok(function.instructions.values().map(|(_, original)| original.count).sum())
}

/// Sets where a block goes, whose last instruction has `flow`; `behind` is the address behind it. Gives the functions that
/// it goes on to besides.
fn finish(
    block: &mut Block,
    flow: Flow,
    places: &BTreeMap<u64, usize>,
    numbers: &BTreeMap<u64, usize>,
    behind: u64,
) -> Result<Vec<usize>> {
    let mut tails = Vec::new();
    let number = |address: u64| {
        numbers.get(&address).copied().with_context(|| format!("{address:#x} is no beginning of a function"))
    };
    let go_on = |block: &mut Block, tails: &mut Vec<usize>| {
        match (places.get(&behind), numbers.get(&behind)) {
            (Some(&next), _) => block.next.push(next),
            // Into the next function, if control comes so far.
            (None, Some(&next)) => tails.push(next),
            // What never returns is often called last.
            (None, None) if block.call.is_some() => block.end = End::Stops,
            (None, None) => bail!("control leaves the function at its end, {behind:#x}"),
        }
        Ok(())
    };
    block.repeats = flow == Flow::Repeats;
    match flow {
        Flow::Next | Flow::Repeats => go_on(block, &mut tails)?,
        Flow::Jump(to) => match places.get(&to) {
            Some(&next) => block.next.push(next),
            None => (block.call, block.end) = (Some(Call::To(number(to)?)), End::Returns),
        },
        Flow::Branch(to) => {
            match places.get(&to) {
                Some(&next) => block.next.push(next),
                None => tails.push(number(to)?),
            }
            go_on(block, &mut tails)?;
        }
        Flow::Call(to) => {
            block.call = Some(Call::To(number(to)?));
            go_on(block, &mut tails)?;
        }
        Flow::CallBy(_) | Flow::ComputedCall => {
            block.call = Some(Call::Computed);
            go_on(block, &mut tails)?;
        }
        Flow::JumpBy(_) | Flow::ComputedJump => block.end = End::Computed,
        Flow::Return => block.end = End::Returns,
        Flow::Leave => block.end = End::Leaves,
        Flow::Stop => block.end = End::Stops,
    }
    block.next.sort_unstable();
    block.next.dedup();
    Ok(tails)
}
