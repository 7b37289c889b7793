// SPDX-License-Identifier: MIT OR Apache-2.0

//! The kernel as it is shipped, and its twin.
//!
//! Marks are no instructions, so the address of one does not say whether it is the last thing before a loop or the
//! first thing in it, at the end of one branch or where the branches meet. In the *twin*, built from the same source, each
//! mark is an instruction that does nothing, and so has one place in the flow of control. Here the two are held against
//! each other: function by function, the instructions that do something must be as many, go to the same places and do
//! the same to stack and third argument. So what the marks say of the twin is true of the shipped kernel.
//!
//! Instructions that do nothing and are no marks align what follows. Where they stand differs between the two; those of
//! the shipped kernel count, with the instruction before them.

use crate::decode::{Flow, Instruction};
use crate::image::{Image, Symbol};
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;

/// What an instruction of the twin is in the shipped kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Original {
    /// The address; of an instruction that is not there, that of the next.
    pub address: u64,
    /// Instructions there.
    pub count: u64,
}

/// A function of the twin.
pub struct Function {
    /// Name and place in the shipped kernel.
    pub symbol: Symbol,
    /// The instructions by their addresses, and what they are.
    pub instructions: BTreeMap<u64, (Instruction, Original)>,
}

/// The functions of `twin`, by their addresses there.
pub fn functions<'a>(shipped: &Image<'a>, twin: &Image<'a>) -> Result<BTreeMap<u64, Function>> {
    ensure!(
        shipped.architecture == twin.architecture,
        "the kernel with marks is one for another architecture"
    );
    ensure!(shipped.symbols.len() == twin.symbols.len(), "the kernel with marks has other functions");
    let mut functions = BTreeMap::new();
    for (original, copy) in shipped.symbols.values().zip(twin.symbols.values()) {
        ensure!(original.name == copy.name, "{}: with marks there is {} instead", original.name, copy.name);
        let instructions = pair([(shipped, original), (twin, copy)])
            .with_context(|| format!("{}: with marks it has other code", original.name))?;
        functions.insert(copy.start, Function { symbol: original.clone(), instructions });
    }
    for address in twin.marks.keys() {
        let is_idle = twin.function_at(*address).is_none_or(|symbol| {
            functions[&symbol.start].instructions.get(address).is_some_and(|(mark, _)| mark.is_idle)
        });
        ensure!(is_idle, "the mark at {} has no place of its own", twin.source(*address));
    }
    Ok(functions)
}

/// The instructions of a function's copy, with those of the original.
fn pair<'i>(of: [(&Image<'i>, &Symbol); 2]) -> Result<BTreeMap<u64, (Instruction, Original)>> {
    let mut sides = Vec::new();
    for (image, symbol) in of {
        sides.push(image.instructions(symbol)?);
    }
    let [shipped, twin] = [0, 1].map(|side| Side::new(of[side].0, of[side].1, &sides[side]));
    ensure!(
        shipped.working.len() == twin.working.len(),
        "{} instructions instead of {}",
        twin.working.len(),
        shipped.working.len()
    );
    for (index, (one, other)) in shipped.working.iter().zip(&twin.working).enumerate() {
        ensure!(
            shipped.goes(one) == twin.goes(other) && one.stack == other.stack && one.length == other.length,
            "instruction {index}, at {:#x} and {:#x}",
            one.address,
            other.address
        );
    }
    let mut paired = BTreeMap::new();
    for instruction in &sides[1] {
        let index = twin.index(instruction.address);
        let (address, count) = match shipped.working.get(index) {
            Some(original) if !instruction.is_idle => (original.address, 1 + shipped.idle_behind(index)),
            Some(original) => (original.address, 0),
            None => (shipped.symbol.end, 0),
        };
        paired.insert(instruction.address, (*instruction, Original { address, count }));
    }
    Ok(paired)
}

/// One of the two.
struct Side<'a, 'i> {
    image: &'a Image<'i>,
    symbol: &'a Symbol,
    /// All instructions.
    all: &'a [Instruction],
    /// Those that do something.
    working: Vec<Instruction>,
}

/// Where control goes, in terms of both.
#[derive(PartialEq, Eq, Debug)]
enum Target {
    /// To the working instruction of this number.
    Inside(usize),
    /// To the function of this number.
    Function(usize),
    /// To what is neither.
    Elsewhere,
}

impl<'a, 'i> Side<'a, 'i> {
    fn new(image: &'a Image<'i>, symbol: &'a Symbol, all: &'a [Instruction]) -> Self {
        let working = all.iter().copied().filter(|instruction| !instruction.is_idle).collect();
        Self { image, symbol, all, working }
    }

    /// How many working instructions stand before `address`.
    fn index(&self, address: u64) -> usize {
        self.working.partition_point(|instruction| instruction.address < address)
    }

    /// How many instructions that do nothing are executed behind a working one, if it is not a jump.
    fn idle_behind(&self, index: usize) -> u64 {
        let address = self.working[index].address;
        let behind = self.all.partition_point(|instruction| instruction.address <= address);
        self.all[behind..].iter().take_while(|instruction| instruction.is_idle).count() as u64
    }

    /// What an instruction does to the flow of control.
    fn goes(&self, instruction: &Instruction) -> (std::mem::Discriminant<Flow>, Option<Target>) {
        let to = match instruction.flow {
            Flow::Jump(to) | Flow::Branch(to) | Flow::Call(to) => Some(to),
            _ => None,
        };
        let target = to.map(|to| {
            if (self.symbol.start..self.symbol.end).contains(&to) {
                return Target::Inside(self.index(to));
            }
            self.image
                .symbols
                .keys()
                .position(|&start| start == to)
                .map_or(Target::Elsewhere, Target::Function)
        });
        (std::mem::discriminant(&instruction.flow), target)
    }
}
