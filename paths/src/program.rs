// SPDX-License-Identifier: MIT OR Apache-2.0

//! Functions taken apart into blocks.
//!
//! A block is entered at its first instruction only and left behind its last. It ends at the latest behind a call, and
//! begins at each mark, so that what a mark says is true of the block.

use crate::decode::{self, Flow, Instruction, Length, Stack};
use crate::image::{Image, Mark, Symbol};
use anyhow::{Context, Result};
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
    /// Address of the first instruction.
    pub start: u64,
    /// Number of instructions.
    pub instructions: u64,
    /// What is said of it.
    pub marks: Vec<Mark>,
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
    /// What they were taken from.
    pub image: Image<'a>,
    /// The functions.
    pub functions: Vec<Function>,
    /// Their numbers, by their addresses.
    numbers: BTreeMap<u64, usize>,
}

impl<'a> Program<'a> {
    /// Takes a kernel apart.
    pub fn new(image: Image<'a>) -> Result<Self> {
        let numbers: BTreeMap<_, _> =
            image.symbols.keys().enumerate().map(|(number, &start)| (start, number)).collect();
        let mut functions = Vec::new();
        for symbol in image.symbols.values() {
            let blocks = blocks(&image, &numbers, symbol).with_context(|| symbol.name.clone())?;
            functions.push(Function { symbol: symbol.clone(), blocks });
        }
        Ok(Self { image, functions, numbers })
    }

    /// The number of the function with this name.
    pub fn find(&self, name: &str) -> Option<usize> {
        let symbol = self.image.symbols.values().find(|symbol| symbol.name == name)?;
        self.numbers.get(&symbol.start).copied()
    }
}

/// The instructions of a function.
fn instructions(image: &Image<'_>, symbol: &Symbol) -> Result<BTreeMap<u64, Instruction>> {
    let code = image.code(symbol.start, symbol.end)?;
    let mut instructions = BTreeMap::new();
    let mut at = symbol.start;
    while at < symbol.end {
        let rest = &code[(at - symbol.start) as usize..];
        let instruction =
            decode::decode(image.architecture, at, rest).with_context(|| format!("at {at:#x}"))?;
        instructions.insert(at, instruction);
        at += instruction.bytes;
    }
    Ok(instructions)
}

/// The addresses at which blocks begin.
fn leaders(image: &Image<'_>, symbol: &Symbol, instructions: &BTreeMap<u64, Instruction>) -> BTreeSet<u64> {
    let mut leaders = BTreeSet::from([symbol.start]);
    for instruction in instructions.values() {
        if let Flow::Jump(to) | Flow::Branch(to) = instruction.flow {
            leaders.insert(to);
        }
        if instruction.flow != Flow::Next {
            leaders.insert(instruction.address + instruction.bytes);
        }
    }
    leaders.extend(image.marks.range(symbol.start..symbol.end).map(|(&address, _)| address));
    leaders.retain(|leader| instructions.contains_key(leader));
    leaders
}

/// The blocks of a function.
fn blocks(image: &Image<'_>, numbers: &BTreeMap<u64, usize>, symbol: &Symbol) -> Result<Vec<Block>> {
    let instructions = instructions(image, symbol)?;
    let leaders = leaders(image, symbol, &instructions);
    let places: BTreeMap<u64, usize> =
        leaders.iter().enumerate().map(|(index, &leader)| (leader, index)).collect();
    let mut blocks = Vec::new();
    let mut tails = Vec::new();
    for &start in &leaders {
        let end = leaders.range(start + 1..).next().copied().unwrap_or(symbol.end);
        let mut block = Block {
            start,
            instructions: 0,
            marks: image.marks.get(&start).cloned().unwrap_or_default(),
            call: None,
            next: Vec::new(),
            end: End::GoesOn,
            length: Length::Same,
            stack: Vec::new(),
        };
        let mut last = Flow::Next;
        for instruction in instructions.range(start..end).map(|(_, instruction)| instruction) {
            block.instructions += 1;
            if instruction.stack != Stack::Same {
                block.stack.push(instruction.stack);
            }
            if instruction.length != Length::Same {
                block.length = instruction.length;
            }
            last = instruction.flow;
        }
        finish(&mut block, last, &places, numbers, end, &mut tails)?;
        blocks.push(block);
    }
    for (from, to) in tails {
        let index = blocks.len();
        blocks.push(Block {
            start: to.0,
            instructions: 0,
            marks: Vec::new(),
            call: Some(Call::To(to.1)),
            next: Vec::new(),
            end: End::Returns,
            length: Length::Unknown,
            stack: Vec::new(),
        });
        if let Some(block) = blocks.iter_mut().find(|block| block.start == from) {
            block.next.push(index);
        }
    }
    Ok(blocks)
}

/// Conditional jumps to other functions: from the block at an address to an address, which is that of a function.
type Tails = Vec<(u64, (u64, usize))>;

/// Sets where a block goes, whose last instruction has `flow`; `behind` is the address behind it.
fn finish(
    block: &mut Block,
    flow: Flow,
    places: &BTreeMap<u64, usize>,
    numbers: &BTreeMap<u64, usize>,
    behind: u64,
    tails: &mut Tails,
) -> Result<()> {
    let number = |address: u64| {
        numbers.get(&address).copied().with_context(|| format!("{address:#x} is no beginning of a function"))
    };
    let go_on = |block: &mut Block| match places.get(&behind) {
        Some(&next) => block.next.push(next),
        // What never returns is often called last.
        None => block.end = End::Stops,
    };
    match flow {
        Flow::Next => go_on(block),
        Flow::Jump(to) => match places.get(&to) {
            Some(&next) => block.next.push(next),
            None => (block.call, block.end) = (Some(Call::To(number(to)?)), End::Returns),
        },
        Flow::Branch(to) => {
            match places.get(&to) {
                Some(&next) => block.next.push(next),
                None => tails.push((block.start, (to, number(to)?))),
            }
            go_on(block);
        }
        Flow::Call(to) => {
            block.call = Some(Call::To(number(to)?));
            go_on(block);
        }
        Flow::ComputedCall => {
            block.call = Some(Call::Computed);
            go_on(block);
        }
        Flow::ComputedJump => block.end = End::Computed,
        Flow::Return => block.end = End::Returns,
        Flow::Leave => block.end = End::Leaves,
        Flow::Stop => block.end = End::Stops,
    }
    block.next.sort_unstable();
    block.next.dedup();
    Ok(())
}
