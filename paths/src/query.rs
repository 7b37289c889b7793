// SPDX-License-Identifier: MIT OR Apache-2.0

//! Which path is asked for, and the answer.

use crate::length::Evaluation;
use crate::program::Program;
use crate::reach::Reach;
use crate::stack::Depths;
use crate::way::Trace;
use anyhow::{Context, Result};
use keel_bounds::{Values, group, kind};

use crate::image::Mark;

/// What bounds depend on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Parameters(pub Values);

impl Parameters {
    /// What programs usually do.
    pub const ORDINARY: Self = Self([1, 4, 0, 1, 7]);
    /// The worst that they can do.
    pub const WORST: Self = Self(keel_bounds::MOST);
}

/// A case: a group and its value (see [`keel_bounds::group`]).
pub type Case = (u64, u64);

/// A question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Query<'a> {
    /// The functions at which traps enter the kernel.
    pub entries: &'a [&'a str],
    /// Only ways that contradict none of these cases.
    pub only: Vec<Case>,
    /// Only ways that pass this case.
    pub through: Option<Case>,
    /// The values that bounds depend on.
    pub parameters: Parameters,
}

/// A block on a path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// How often it is executed.
    pub times: u64,
    /// Address of its first instruction.
    pub address: u64,
    /// Its instructions.
    pub instructions: u64,
    /// The function.
    pub function: String,
    /// Where in the source it comes from.
    pub source: String,
}

/// The longest path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// Its instructions.
    pub instructions: u64,
    /// Its blocks in order.
    pub steps: Vec<Step>,
    /// The deepest stack of any path, in bytes.
    pub stack: u64,
}

impl Query<'_> {
    /// Whether no way leads through a block with these marks.
    pub fn excludes(&self, marks: &[Mark]) -> bool {
        let contradicts = |&(group, value): &Case| {
            let mut said =
                marks.iter().filter(|mark| mark.kind == kind::CASE && mark.words[0] == group).peekable();
            said.peek().is_some() && said.all(|mark| mark.words[1] != value)
        };
        let is_another =
            |mark: &Mark| mark.kind == kind::NOT_CASE && self.only.contains(&(mark.words[0], mark.words[1]));
        marks.iter().any(|mark| mark.kind == kind::OUTSIDE || is_another(mark))
            || self.only.iter().any(contradicts)
    }

    /// Whether a block with these marks passes the case that is asked for.
    pub fn is_passed(&self, marks: &[Mark]) -> bool {
        let is_it =
            |mark: &Mark| mark.kind == kind::CASE && self.through == Some((mark.words[0], mark.words[1]));
        marks.iter().any(is_it)
    }

    /// The longest path, none if there is no path.
    pub fn answer(&self, program: &Program<'_>) -> Result<Option<Answer>> {
        let reach = Reach::new(program, self);
        let mut evaluation = Evaluation::new(program, self, &reach);
        let mut depths = Depths::new(program, &reach);
        let mut longest = None;
        let mut stack = 0;
        for name in self.entries {
            let entry = program.find(name).with_context(|| format!("there is no function {name}"))?;
            longest = longest.max(evaluation.longest_from(entry)?);
            stack = stack.max(depths.of(entry));
        }
        Ok(longest.map(|path| {
            let mut steps = Vec::new();
            unfold(program, path.trace.as_deref(), 1, &mut steps);
            Answer { instructions: path.instructions, steps, stack }
        }))
    }
}

/// The blocks of a trace in order.
fn unfold(program: &Program<'_>, trace: Option<&Trace>, times: u64, steps: &mut Vec<Step>) {
    let mut work = vec![(trace, times)];
    while let Some((trace, times)) = work.pop() {
        match trace {
            None => {}
            Some(Trace::Both(first, second)) => {
                work.extend([(Some(&**second), times), (Some(&**first), times)])
            }
            Some(Trace::Repeated(count, trace)) => work.push((Some(trace), times * count)),
            Some(&Trace::Block(function, block, instructions)) => {
                let function = &program.functions[function];
                let block = &function.blocks[block];
                steps.push(Step {
                    times,
                    address: block.start,
                    instructions,
                    function: function.symbol.name.clone(),
                    source: program.image.source(block.start),
                });
            }
        }
    }
}

/// The cases of a group that the source names.
pub fn cases(program: &Program<'_>, of: u64) -> Vec<u64> {
    let marks = program.marks.iter();
    let mut values: Vec<_> = marks
        .filter(|mark| mark.kind == kind::CASE && mark.words[0] == of)
        .map(|mark| mark.words[1])
        .collect();
    values.sort_unstable();
    values.dedup();
    values
}

/// All groups there are.
pub const GROUPS: [u64; 3] = [group::ENTRY, group::OPERATION, group::FAULT];
