// SPDX-License-Identifier: MIT OR Apache-2.0

//! QEMU's command line.

use std::path::Path;
use std::process::Command;

use crate::machine::Machine;

/// The port at which QEMU waits for a debugger with `-s`.
pub(crate) const GDB_PORT: u16 = 1234;

/// What a machine is started with.
#[derive(Debug)]
pub(crate) struct Boot<'a> {
    /// The machine.
    pub(crate) machine: &'a Machine,
    /// The boot image: loader and kernel.
    pub(crate) image: &'a Path,
    /// The root task's ELF.
    pub(crate) root_task: &'a Path,
    /// Size of memory, else the machine's usual one.
    pub(crate) memory: Option<&'a str>,
    /// More of QEMU's arguments; they count more than the machine's.
    pub(crate) more: &'a [&'a str],
    /// Whether virtual time advances with each instruction.
    pub(crate) icount: bool,
    /// Whether to wait for a debugger.
    pub(crate) gdb: bool,
}

impl Boot<'_> {
    /// The command that boots, with the console on its standard input and output.
    pub(crate) fn command(&self) -> Command {
        let mut command = bare(self.machine, self.memory);
        command.args(self.more);
        command.args(["-serial", "stdio"]);
        command.arg("-kernel").arg(self.image).arg("-initrd").arg(self.root_task);
        if self.icount {
            command.args(["-icount", "shift=0,sleep=off", "-rtc", "clock=vm"]);
        }
        if self.gdb {
            command.args(["-s", "-S"]);
        }
        command
    }
}

/// The command that writes the machine's device tree to a file and ends.
pub(crate) fn dump_device_tree(machine: &Machine, file: &Path) -> Command {
    let mut command = bare(machine, None);
    command.arg("-machine").arg({
        // A comma in a value is written twice.
        let file = file.display().to_string().replace(',', ",,");
        format!("dumpdtb={file}")
    });
    command
}

/// The machine alone: no devices but its own, no window, nothing on the terminal.
fn bare(machine: &Machine, memory: Option<&str>) -> Command {
    let mut command = Command::new(machine.qemu);
    command.args(machine.qemu_machine);
    command.args(["-m", memory.unwrap_or(machine.memory)]);
    // KVM would let the host's processor and timing in.
    command.args(["-accel", "tcg", "-nodefaults", "-no-user-config", "-display", "none", "-monitor", "none"]);
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Arch;

    fn line(command: &Command) -> String {
        let words = command.get_args().map(|word| word.to_string_lossy().into_owned());
        words.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_plain_boot_has_nothing_random_and_no_counting() {
        let boot = Boot {
            machine: Arch::Aarch64.machine(),
            image: Path::new("keel.img"),
            root_task: Path::new("root.elf"),
            memory: None,
            more: &[],
            icount: false,
            gdb: false,
        };
        let line = line(&boot.command());
        assert!(
            line.starts_with("-M virt,gic-version=2,dtb-randomness=off -cpu cortex-a53 -m 2G -accel tcg")
        );
        assert!(line.ends_with("-serial stdio -kernel keel.img -initrd root.elf"), "{line}");
    }

    #[test]
    fn options_reach_qemu() {
        let boot = Boot {
            machine: Arch::Aarch64.machine(),
            image: Path::new("a"),
            root_task: Path::new("b"),
            memory: Some("512M"),
            more: &["-cpu", "max"],
            icount: true,
            gdb: true,
        };
        let line = line(&boot.command());
        assert!(line.contains("-m 512M"));
        assert!(line.find("-cpu cortex-a53") < line.find("-cpu max"));
        assert!(line.ends_with("-icount shift=0,sleep=off -rtc clock=vm -s -S"));
    }

    #[test]
    fn a_comma_in_the_name_of_the_tree_is_kept() {
        let command = dump_device_tree(Arch::Aarch64.machine(), Path::new("a,b"));
        assert!(line(&command).ends_with("-machine dumpdtb=a,,b"));
    }
}
