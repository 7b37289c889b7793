// SPDX-License-Identifier: MIT OR Apache-2.0

//! Every invocation with its checks in order, as data (`invocations.md §3–§12`).
//!
//! The kernel does not read this table; it is for those who look at the kernel from outside. Each way
//! that an invocation can end, success or a check that fails, is a [`Row`] with a stable name:
//!
//! ```text
//! UntypedRetype/success
//! UntypedRetype/DeleteFirst#13              step 13 of the sheet's list, and its error
//! UntypedRetype/FailedLookup.LeftOver#8     one of the failures of a lookup, which is one step
//! ```
//!
//! A suite of tests names the rows that a case exercises, and can then tell which have no case.
//!
//! Invariants:
//!
//! * **I1** Row names are unique over all architectures and options.
//! * **I2** The steps of an invocation are in the order in which the kernel checks them, and their
//!   numbers count up. Of those that fail the first decides the error.

mod aarch64;
mod generic;
mod riscv64;
mod x86_64;

use crate::config::{Condition, Options};
use crate::error::{ErrorCode, LookupFailureKind};

/// The tables: what all architectures have, then what each adds.
pub const TABLES: [&[Invocation]; 4] =
    [generic::INVOCATIONS, aarch64::INVOCATIONS, riscv64::INVOCATIONS, x86_64::INVOCATIONS];

/// All invocations, of all architectures and options.
pub fn all() -> impl Iterator<Item = &'static Invocation> {
    TABLES.into_iter().flatten()
}

/// All rows, of all architectures and options.
pub fn all_rows() -> impl Iterator<Item = Row> {
    all().flat_map(Invocation::rows)
}

/// The rows that a build of one architecture has.
pub fn rows(architecture: Architectures, options: &'static Options) -> impl Iterator<Item = Row> {
    all_rows().filter(move |row| row.exists(architecture, options))
}

/// One way in which an invocation can end.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Unique and stable.
    pub name: &'static str,
    /// What is invoked.
    pub invocation: &'static Invocation,
    /// The check that fails, `None` for success.
    pub check: Option<&'static Check>,
}

impl Row {
    /// Whether a build of this architecture has it.
    pub fn exists(&self, architecture: Architectures, options: &Options) -> bool {
        self.invocation.exists(architecture, options)
            && self.check.is_none_or(|check| check.exists(architecture, options))
    }
}

/// A method of an object.
#[derive(Clone, Copy, Debug)]
pub struct Invocation {
    /// As the interface writes it.
    pub name: &'static str,
    /// Its label in this build.
    pub label: u64,
    /// What it is invoked on.
    pub object: Object,
    /// Where it exists.
    pub architectures: Architectures,
    /// When it exists.
    pub condition: Condition,
    /// Name of the row of success; `None` if it can only fail.
    pub success: Option<&'static str>,
    /// The checks in order, step by step. A slot lookup is one step of several checks.
    pub steps: &'static [&'static [Check]],
}

impl Invocation {
    /// Whether a build of this architecture has it.
    pub fn exists(&self, architecture: Architectures, options: &Options) -> bool {
        self.architectures.contains(architecture) && self.condition.holds(options)
    }

    /// The checks in order.
    pub fn checks(&self) -> impl Iterator<Item = &'static Check> + use<> {
        self.steps.iter().copied().flatten()
    }

    /// Success and each failure.
    pub fn rows(&'static self) -> impl Iterator<Item = Row> {
        let success = self.success.map(|name| Row { name, invocation: self, check: None });
        let failures =
            self.checks().map(move |check| Row { name: check.id, invocation: self, check: Some(check) });
        success.into_iter().chain(failures)
    }
}

/// A condition under which an invocation fails.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// Unique and stable: `UntypedRetype/DeleteFirst#13`.
    pub id: &'static str,
    /// Its place in the order.
    pub step: u32,
    /// The error it gives.
    pub error: ErrorCode,
    /// The words that go with it.
    pub detail: Detail,
    /// Where it is made.
    pub architectures: Architectures,
    /// When it is made.
    pub condition: Condition,
    /// What fails.
    pub note: &'static str,
}

impl Check {
    /// Whether a build of this architecture makes it.
    pub fn exists(&self, architecture: Architectures, options: &Options) -> bool {
        self.architectures.contains(architecture) && self.condition.holds(options)
    }
}

/// The words of an error reply (`errors-and-faults.md §1`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Detail {
    /// None.
    None,
    /// Number of the argument.
    Argument(u64),
    /// Number of an argument, but which is not said.
    AnyArgument,
    /// Number of the capability, 0 for the invoked one.
    Capability(u64),
    /// Least and greatest value allowed, as the sheet writes them.
    Range(&'static str, &'static str),
    /// A lookup failure.
    Lookup(Side, LookupFailureKind),
    /// A lookup failure, but which is not said.
    AnyLookup(Side),
    /// Bytes that are free.
    FreeBytes,
}

/// Which lookup failed; the first word of a FailedLookup (`errors-and-faults.md §1`).
#[repr(u64)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// Of a target.
    Target = 0,
    /// Of a source.
    Source = 1,
}

/// A set of architectures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Architectures(u8);

impl Architectures {
    /// aarch64.
    pub const AARCH64: Self = Self(1 << 0);
    /// riscv64.
    pub const RISCV64: Self = Self(1 << 1);
    /// x86_64.
    pub const X86_64: Self = Self(1 << 2);
    /// aarch64 and riscv64.
    pub const DEVICE_TREE: Self = Self(Self::AARCH64.0 | Self::RISCV64.0);
    /// aarch64 and x86_64.
    pub const BREAKPOINTS: Self = Self(Self::AARCH64.0 | Self::X86_64.0);
    /// All.
    pub const ALL: Self = Self(Self::DEVICE_TREE.0 | Self::X86_64.0);

    /// Whether all of `other` is in here.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// What an invocation is invoked on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names say it all")]
pub enum Object {
    Untyped,
    CNode,
    Tcb,
    SchedContext,
    SchedControl,
    IrqControl,
    IrqHandler,
    DomainSet,
    AsidControl,
    AsidPool,
    VSpace,
    PageTable,
    Page,
    Smc,
    SgiSignal,
    Vcpu,
    Pdpt,
    PageDirectory,
    IoPageTable,
    IoSpace,
    IoPortControl,
    IoPort,
}

/// An [`Invocation`]: name, label, object, where and when it exists; then its steps, each with its
/// number, error, details, `on` which architectures, `when`, and what fails. `fails` instead of
/// `invocation` has no success.
macro_rules! invocation {
    ($name:expr, $label:expr, $object:ident, $architectures:ident, $condition:ident; $($steps:tt)*) => {
        $crate::invocations::invocation!(
            @ Some(concat!($name, "/success")), $name, $label, $object, $architectures, $condition; $($steps)*
        )
    };
    (@ $success:expr, $name:expr, $label:expr, $object:ident, $architectures:ident, $condition:ident; $(
        $step:literal $error:ident $(($($detail:tt)*))? $(on $on:ident)? $(when $when:ident)? $note:literal;
    )*) => {
        $crate::invocations::Invocation {
            name: $name,
            label: $label,
            object: $crate::invocations::Object::$object,
            architectures: $crate::invocations::Architectures::$architectures,
            condition: $crate::config::Condition::$condition,
            success: $success,
            steps: &[$($crate::invocations::step!(
                $error ($($($detail)*)?) $name, $step, [$($on)?], [$($when)?], $note
            )),*],
        }
    };
}

/// The invocation of an object with a label that it has no method for.
macro_rules! unknown_label {
    ($name:expr, $object:ident, $architectures:ident, $condition:ident) => {
        $crate::invocations::invocation!(
            @ None, concat!($name, "UnknownLabel"), $crate::label::INVALID_INVOCATION, $object,
            $architectures, $condition;
            1 IllegalOperation "label of no method of the object";
        )
    };
}

/// The checks of a step. `lookup` is the slot lookup rule of `invocations.md §2`; `lookup_below` the
/// same where the root is known to be a CNode.
macro_rules! step {
    (lookup ($side:ident) $name:expr, $step:literal, $on:tt, $when:tt, $note:literal) => {
        &[
            $crate::invocations::check!(".InvalidRoot", FailedLookup, $crate::invocations::Detail::Lookup(
                $crate::invocations::Side::$side, $crate::error::LookupFailureKind::InvalidRoot
            ), $name, $step, $on, $when, "root not a CNode"),
            $crate::invocations::check!("", RangeError, $crate::invocations::Detail::Range("1", "64"),
                $name, $step, $on, $when, "depth < 1 or > 64"),
            $crate::invocations::check!(".GuardMismatch", FailedLookup, $crate::invocations::Detail::Lookup(
                $crate::invocations::Side::$side, $crate::error::LookupFailureKind::GuardMismatch
            ), $name, $step, $on, $when, "guard differs"),
            $crate::invocations::check!(".DepthMismatch", FailedLookup, $crate::invocations::Detail::Lookup(
                $crate::invocations::Side::$side, $crate::error::LookupFailureKind::DepthMismatch
            ), $name, $step, $on, $when, "level of a CNode larger than the bits left"),
            $crate::invocations::check!(".LeftOver", FailedLookup, $crate::invocations::Detail::Lookup(
                $crate::invocations::Side::$side, $crate::error::LookupFailureKind::DepthMismatch
            ), $name, $step, $on, $when, "bits left over where the walk ends (bits found 0)"),
        ]
    };
    (lookup_below ($side:ident) $name:expr, $step:literal, $on:tt, $when:tt, $note:literal) => {
        &[
            $crate::invocations::check!("", RangeError, $crate::invocations::Detail::Range("1", "64"),
                $name, $step, $on, $when, "depth < 1 or > 64"),
            $crate::invocations::check!(".GuardMismatch", FailedLookup, $crate::invocations::Detail::Lookup(
                $crate::invocations::Side::$side, $crate::error::LookupFailureKind::GuardMismatch
            ), $name, $step, $on, $when, "guard differs"),
            $crate::invocations::check!(".DepthMismatch", FailedLookup, $crate::invocations::Detail::Lookup(
                $crate::invocations::Side::$side, $crate::error::LookupFailureKind::DepthMismatch
            ), $name, $step, $on, $when, "level of a CNode larger than the bits left"),
            $crate::invocations::check!(".LeftOver", FailedLookup, $crate::invocations::Detail::Lookup(
                $crate::invocations::Side::$side, $crate::error::LookupFailureKind::DepthMismatch
            ), $name, $step, $on, $when, "bits left over where the walk ends (bits found 0)"),
        ]
    };
    (FailedLookup ($side:ident $kind:ident) $($rest:tt)*) => {
        &[$crate::invocations::check!(
            concat!(".", stringify!($kind)), FailedLookup,
            $crate::invocations::Detail::Lookup(
                $crate::invocations::Side::$side, $crate::error::LookupFailureKind::$kind
            ),
            $($rest)*
        )]
    };
    (FailedLookup ($side:ident) $($rest:tt)*) => {
        &[$crate::invocations::check!(
            "", FailedLookup, $crate::invocations::Detail::AnyLookup($crate::invocations::Side::$side), $($rest)*
        )]
    };
    (InvalidArgument () $($rest:tt)*) => {
        &[$crate::invocations::check!(
            "", InvalidArgument, $crate::invocations::Detail::AnyArgument, $($rest)*
        )]
    };
    (InvalidArgument ($number:literal) $($rest:tt)*) => {
        &[$crate::invocations::check!(
            "", InvalidArgument, $crate::invocations::Detail::Argument($number), $($rest)*
        )]
    };
    (InvalidCapability ($number:literal) $($rest:tt)*) => {
        &[$crate::invocations::check!(
            "", InvalidCapability, $crate::invocations::Detail::Capability($number), $($rest)*
        )]
    };
    (RangeError ($min:literal, $max:literal) $($rest:tt)*) => {
        &[$crate::invocations::check!(
            "", RangeError, $crate::invocations::Detail::Range($min, $max), $($rest)*
        )]
    };
    (NotEnoughMemory () $($rest:tt)*) => {
        &[$crate::invocations::check!(
            "", NotEnoughMemory, $crate::invocations::Detail::FreeBytes, $($rest)*
        )]
    };
    ($error:ident () $($rest:tt)*) => {
        &[$crate::invocations::check!("", $error, $crate::invocations::Detail::None, $($rest)*)]
    };
}

/// A [`Check`].
macro_rules! check {
    ($suffix:expr, $error:ident, $detail:expr, $name:expr, $step:literal, [], $when:tt, $note:literal) => {
        $crate::invocations::check!($suffix, $error, $detail, $name, $step, [ALL], $when, $note)
    };
    ($suffix:expr, $error:ident, $detail:expr, $name:expr, $step:literal, $on:tt, [], $note:literal) => {
        $crate::invocations::check!($suffix, $error, $detail, $name, $step, $on, [Always], $note)
    };
    ($suffix:expr, $error:ident, $detail:expr, $name:expr, $step:literal, [$on:ident], [$when:ident],
        $note:literal) => {
        $crate::invocations::Check {
            id: concat!($name, "/", stringify!($error), $suffix, "#", $step),
            step: $step,
            error: $crate::error::ErrorCode::$error,
            detail: $detail,
            architectures: $crate::invocations::Architectures::$on,
            condition: $crate::config::Condition::$when,
            note: $note,
        }
    };
}

use {check, invocation, step, unknown_label};

#[cfg(test)]
mod test;
