// SPDX-License-Identifier: MIT OR Apache-2.0

//! The cases, one file for each object or theme. Those of one architecture are in [`machine`].

use core::fmt::{self, Display};

use crate::{check::Outcome, machine, tester::Tester};

/// A case.
pub struct Case {
    module: &'static str,
    name: &'static str,
    /// What it does.
    pub run: fn(&mut Tester) -> Outcome,
}

impl Case {
    /// A case by the path of its module and its function.
    pub const fn new(module: &'static str, name: &'static str, run: fn(&mut Tester) -> Outcome) -> Self {
        Self { module, name, run }
    }

    fn theme(&self) -> &'static str {
        self.module.rsplit("::").next().unwrap_or(self.module)
    }

    /// Whether this is the case of that name, or one of the theme of that name.
    pub fn matches(&self, filter: &str) -> bool {
        match filter.split_once("::") {
            Some((theme, name)) => self.theme() == theme && self.name == name,
            None => self.name == filter || self.theme() == filter,
        }
    }
}

impl Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{}", self.theme(), self.name)
    }
}

/// Lists functions of a file as its cases.
macro_rules! cases {
    ($($function:ident),* $(,)?) => {
        &[$($crate::cases::Case::new(::core::module_path!(), stringify!($function), $function)),*]
    };
}

/// Declares the files and lists their cases, in this order.
macro_rules! themes {
    ($($theme:ident),* $(,)?) => {
        $(pub mod $theme;)*

        const THEMES: &[&[Case]] = &[$($theme::CASES),*];
    };
}

themes! {
    untyped,
    cnode,
    tcb,
    sched_context,
    sched_control,
    irq,
    domain,
    asid,
    frame,
    table,
    vspace,
    endpoint,
    notification,
    reply,
    faults,
    registers,
    scheduling,
    budget,
    passive,
    lookup,
    transfer,
    derivation,
    deletion,
    debug,
    boot,
}

/// All cases: those that all architectures have, then those of this one.
pub fn all() -> impl Iterator<Item = &'static Case> {
    THEMES.iter().chain(machine::THEMES).copied().flatten()
}
