// SPDX-License-Identifier: MIT OR Apache-2.0

//! The build options of the interface, one row each.
//!
//! An option that is set reaches the crates as an environment variable at build time (`keel-abi` reads
//! it by `option_env!`), so cargo itself knows what has to be built again.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::process::Command;

/// One build option.
#[derive(Debug)]
struct BuildOption {
    name: &'static str,
    variable: &'static str,
    values: Values,
    default: &'static str,
    effect: &'static str,
}

/// What an option can be set to.
#[derive(Debug)]
enum Values {
    Switch,
    Number(RangeInclusive<u32>),
    OneOf(&'static [&'static str]),
    /// What the option decides is not there yet.
    Only(&'static str),
}

const ROOT_CNODE_BITS: &BuildOption = &BuildOption {
    name: "root-cnode-bits",
    variable: "KEEL_ROOT_CNODE_BITS",
    values: Values::Number(5..=27),
    default: "12",
    effect: "size of the root CNode",
};

const OPTIONS: &[&BuildOption] = &[
    ROOT_CNODE_BITS,
    &BuildOption {
        name: "domains",
        variable: "KEEL_DOMAINS",
        values: Values::Number(1..=256),
        default: "1",
        effect: "number of domains; above 1 the schedule has 100 entries",
    },
    &BuildOption {
        name: "hardware-debug",
        variable: "KEEL_HARDWARE_DEBUG",
        values: Values::Switch,
        default: "off",
        effect: "numbering with the breakpoint calls",
    },
    &BuildOption {
        name: "hyp",
        variable: "KEEL_HYP",
        values: Values::Only("off"),
        default: "off",
        effect: "Arm EL2 (not there yet)",
    },
    &BuildOption {
        name: "cores",
        variable: "KEEL_CORES",
        values: Values::Only("1"),
        default: "1",
        effect: "number of cores (more are not there yet)",
    },
    &BuildOption {
        name: "x86-iommu",
        variable: "KEEL_X86_IOMMU",
        values: Values::Switch,
        default: "off",
        effect: "numbering with the IO page tables of x86",
    },
    &BuildOption {
        name: "smc",
        variable: "KEEL_SMC",
        values: Values::Switch,
        default: "off",
        effect: "SMC capability, where the firmware takes smc",
    },
    &BuildOption {
        name: "export-pmu",
        variable: "KEEL_EXPORT_PMU",
        values: Values::Switch,
        default: "off",
        effect: "user programs may read the cycle counters",
    },
    &BuildOption {
        name: "log",
        variable: "KEEL_LOG",
        values: Values::OneOf(&["off", "faults", "refusals"]),
        default: "refusals",
        effect: "what debug kernels tell of user programs",
    },
];

/// One option set to a value that it takes.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    option: &'static BuildOption,
    value: String,
}

/// Reads `NAME=VALUE`.
pub(crate) fn parse(text: &str) -> Result<Setting, String> {
    let (name, value) =
        text.split_once('=').ok_or_else(|| format!("`{text}` lacks a value: write NAME=VALUE"))?;
    let option = OPTIONS.iter().find(|option| option.name == name).ok_or_else(|| {
        let names: Vec<_> = OPTIONS.iter().map(|option| option.name).collect();
        format!("there is no option `{name}`; there are {}", names.join(", "))
    })?;
    option.set(value)
}

/// Reads the value of `--root-cnode-bits`.
pub(crate) fn parse_root_cnode_bits(value: &str) -> Result<Setting, String> {
    ROOT_CNODE_BITS.set(value)
}

impl BuildOption {
    fn set(&'static self, value: &str) -> Result<Setting, String> {
        let value = match &self.values {
            Values::Switch => match value {
                "on" | "1" => Some("on".to_owned()),
                "off" | "0" => Some("off".to_owned()),
                _ => None,
            },
            Values::Number(range) => value
                .parse::<u32>()
                .ok()
                .filter(|number| range.contains(number))
                .map(|number| number.to_string()),
            Values::OneOf(values) => {
                values.iter().find(|known| **known == value).map(|&known| known.to_owned())
            }
            Values::Only(only) => Some(value.to_owned()).filter(|value| value == only),
        };
        match value {
            Some(value) => Ok(Setting { option: self, value }),
            None => Err(format!("`{}` takes {}", self.name, self.values)),
        }
    }
}

impl fmt::Display for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Values::Switch => write!(f, "on or off"),
            Values::Number(range) => write!(f, "a number from {} to {}", range.start(), range.end()),
            Values::OneOf(values) => write!(f, "one of {}", values.join(", ")),
            Values::Only(value) => write!(f, "only {value} so far"),
        }
    }
}

/// The help text of `--option`, with the table.
pub(crate) fn help() -> String {
    let mut text = String::from("Set a build option; may be repeated, later ones win:");
    for option in OPTIONS {
        text += &format!("\n  {:<16} {} [default: {}]", option.name, option.effect, option.default);
    }
    text
}

/// All options that are set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings(BTreeMap<&'static str, Setting>);

impl Settings {
    /// These settings, and `more` over them.
    pub(crate) fn with(&self, more: impl IntoIterator<Item = Setting>) -> Self {
        self.0.values().cloned().chain(more).collect()
    }

    /// Gives the settings to a build. Variables left over from the caller's environment are removed, so
    /// that only what was asked for counts.
    pub(crate) fn apply(&self, command: &mut Command) {
        for option in OPTIONS {
            match self.0.get(option.name) {
                Some(setting) => command.env(option.variable, &setting.value),
                None => command.env_remove(option.variable),
            };
        }
    }
}

impl FromIterator<Setting> for Settings {
    fn from_iter<I: IntoIterator<Item = Setting>>(settings: I) -> Self {
        Settings(settings.into_iter().map(|setting| (setting.option.name, setting)).collect())
    }
}

impl IntoIterator for Settings {
    type Item = Setting;
    type IntoIter = std::collections::btree_map::IntoValues<&'static str, Setting>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_values()
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.0.values().map(|s| format!("{}={}", s.option.name, s.value)).collect();
        f.write_str(&words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn defaults_are_values_that_the_option_takes() {
        for option in OPTIONS {
            assert_eq!(option.set(option.default).unwrap().value, option.default, "{}", option.name);
        }
    }

    #[test]
    fn switches_take_four_words() {
        for (word, value) in [("on", "on"), ("1", "on"), ("off", "off"), ("0", "off")] {
            assert_eq!(parse(&format!("smc={word}")).unwrap().value, value);
        }
        assert_eq!(parse("smc=yes").unwrap_err(), "`smc` takes on or off");
    }

    #[test]
    fn a_choice_is_one_of_its_words() {
        assert_eq!(parse("log=faults").unwrap().value, "faults");
        assert_eq!(parse("log=on").unwrap_err(), "`log` takes one of off, faults, refusals");
    }

    #[test]
    fn errors_say_what_there_is() {
        assert!(parse("smc").unwrap_err().contains("NAME=VALUE"));
        let unknown = parse("colour=red").unwrap_err();
        assert!(OPTIONS.iter().all(|option| unknown.contains(option.name)), "{unknown}");
        for value in ["0", "257", "-1", "", "x", "99999999999"] {
            assert_eq!(
                parse(&format!("domains={value}")).unwrap_err(),
                "`domains` takes a number from 1 to 256"
            );
        }
    }

    #[test]
    fn what_is_not_there_yet_is_refused() {
        assert_eq!(parse("cores=2").unwrap_err(), "`cores` takes only 1 so far");
        assert_eq!(parse("hyp=on").unwrap_err(), "`hyp` takes only off so far");
    }

    #[test]
    fn later_settings_win_and_reach_the_build() {
        let settings: Settings =
            ["domains=2", "domains=016"].iter().map(|text| parse(text).unwrap()).collect();
        let mut command = Command::new("true");
        command.env("KEEL_SMC", "on");
        settings.apply(&mut command);
        let variables: BTreeMap<_, _> = command.get_envs().collect();
        assert_eq!(variables[OsStr::new("KEEL_DOMAINS")], Some(OsStr::new("16")));
        assert_eq!(variables[OsStr::new("KEEL_SMC")], None);
    }
}
