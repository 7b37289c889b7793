// SPDX-License-Identifier: MIT OR Apache-2.0

//! The build options that move numbers of the interface.
//!
//! They are read from the environment when this crate is compiled (cargo rebuilds when one changes):
//! `on`/`off`/`1`/`0` for switches, decimal numbers for the rest. Anything else fails the build.
//! Numbers are constant functions of [`Options`], so tests can look at every numbering in one build;
//! [`Options::BUILD`] is the one at hand.

/// The options that decide labels, object types and limits (README.md, "Configuration switches").
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// Radix of the root CNode: `KEEL_ROOT_CNODE_BITS`.
    pub root_cnode_bits: u64,
    /// Number of domains: `KEEL_DOMAINS`.
    pub domains: u64,
    /// Breakpoint invocations and fault 4 exist: `KEEL_HARDWARE_DEBUG`.
    pub hardware_debug: bool,
    /// Arm kernel at EL2 with VCPU objects: `KEEL_HYP`.
    pub hyp: bool,
    /// Number of cores: `KEEL_CORES`.
    pub cores: u64,
    /// x86 IO page tables and IO spaces exist: `KEEL_X86_IOMMU`.
    pub x86_iommu: bool,
    /// The Arm SMC capability exists: `KEEL_SMC`.
    pub smc: bool,
    /// User level may read the performance counters: `KEEL_EXPORT_PMU`.
    pub export_pmu: bool,
}

impl Options {
    /// What is built when no option is given.
    pub const DEFAULT: Self = Self {
        root_cnode_bits: 12,
        domains: 1,
        hardware_debug: false,
        hyp: false,
        cores: 1,
        x86_iommu: false,
        smc: false,
        export_pmu: false,
    };

    /// The options of this build.
    pub const BUILD: Self = Self {
        root_cnode_bits: number(option_env!("KEEL_ROOT_CNODE_BITS"), Self::DEFAULT.root_cnode_bits),
        domains: number(option_env!("KEEL_DOMAINS"), Self::DEFAULT.domains),
        hardware_debug: switch(option_env!("KEEL_HARDWARE_DEBUG"), Self::DEFAULT.hardware_debug),
        hyp: switch(option_env!("KEEL_HYP"), Self::DEFAULT.hyp),
        cores: number(option_env!("KEEL_CORES"), Self::DEFAULT.cores),
        x86_iommu: switch(option_env!("KEEL_X86_IOMMU"), Self::DEFAULT.x86_iommu),
        smc: switch(option_env!("KEEL_SMC"), Self::DEFAULT.smc),
        export_pmu: switch(option_env!("KEEL_EXPORT_PMU"), Self::DEFAULT.export_pmu),
    };

    /// Whether there are several cores.
    pub const fn smp(&self) -> bool {
        self.cores > 1
    }
}

// One build never mixes these (scheduling.md §7); the rest are the limits of what the numbers index.
const _: () = {
    let options = Options::BUILD;
    assert!(options.root_cnode_bits >= 5 && options.root_cnode_bits <= 27, "KEEL_ROOT_CNODE_BITS: 5 to 27");
    assert!(options.domains >= 1 && options.domains <= 256, "KEEL_DOMAINS: 1 to 256");
    assert!(options.cores >= 1 && options.cores <= 256, "KEEL_CORES: 1 to 256");
    assert!(options.cores == 1 || options.domains == 1, "KEEL_CORES and KEEL_DOMAINS cannot both exceed 1");
};

/// When something of the interface exists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Condition {
    /// In every build.
    Always,
    /// With the breakpoint calls.
    HardwareDebug,
    /// In Arm kernels at EL2.
    Hyp,
    /// In Arm kernels at EL1.
    NotHyp,
    /// With several cores.
    Smp,
    /// With one core.
    NotSmp,
    /// With x86 IO page tables.
    X86Iommu,
    /// With the Arm SMC capability.
    Smc,
    /// In no build of this kernel, but in others that have the same interface.
    Never,
}

impl Condition {
    /// Whether it exists with these options.
    pub const fn holds(self, options: &Options) -> bool {
        match self {
            Self::Always => true,
            Self::HardwareDebug => options.hardware_debug,
            Self::Hyp => options.hyp,
            Self::NotHyp => !options.hyp,
            Self::Smp => options.smp(),
            Self::NotSmp => !options.smp(),
            Self::X86Iommu => options.x86_iommu,
            Self::Smc => options.smc,
            Self::Never => false,
        }
    }
}

/// The value of a switch, or `default` where it is not given.
const fn switch(value: Option<&str>, default: bool) -> bool {
    match value {
        None => default,
        Some(text) => match text.as_bytes() {
            b"on" | b"1" => true,
            b"off" | b"0" => false,
            _ => panic!("a KEEL_ switch is neither on, off, 1 nor 0"),
        },
    }
}

/// The value of a decimal number, or `default` where it is not given.
const fn number(value: Option<&str>, default: u64) -> u64 {
    let Some(text) = value else { return default };
    // A sign is more than a decimal number.
    match (text.as_bytes(), u64::from_str_radix(text, 10)) {
        ([b'0'..=b'9', ..], Ok(number)) => number,
        _ => panic!("a KEEL_ number is not a decimal number"),
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn switches_and_numbers_are_parsed() {
        assert!(!switch(None, false));
        assert!(switch(None, true));
        assert!(switch(Some("on"), false) && switch(Some("1"), false));
        assert!(!switch(Some("off"), true) && !switch(Some("0"), true));
        assert_eq!(number(None, 12), 12);
        assert_eq!(number(Some("17"), 12), 17);
    }

    #[test]
    #[should_panic(expected = "neither on, off")]
    fn a_bad_switch_is_refused() {
        switch(Some("yes"), false);
    }

    #[test]
    #[should_panic(expected = "not a decimal number")]
    fn a_hexadecimal_number_is_refused() {
        number(Some("0x10"), 1);
    }

    #[test]
    #[should_panic(expected = "not a decimal number")]
    fn a_signed_number_is_refused() {
        number(Some("+4"), 1);
    }

    #[test]
    #[should_panic(expected = "not a decimal number")]
    fn an_empty_number_is_refused() {
        number(Some(""), 1);
    }
}
