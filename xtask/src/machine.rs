// SPDX-License-Identifier: MIT OR Apache-2.0

//! The machines: what there is to know about each architecture, in one table.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use clap::ValueEnum;

/// An architecture that Keel runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Arch {
    Aarch64,
    Riscv64,
    #[value(name = "x86_64")]
    X86_64,
}

impl Arch {
    /// The row of this architecture.
    pub(crate) fn machine(self) -> &'static Machine {
        match self {
            Arch::Aarch64 => &AARCH64,
            Arch::Riscv64 => &RISCV64,
            Arch::X86_64 => &X86_64,
        }
    }
}

/// The architectures that a verb works on, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arches(pub(crate) Vec<Arch>);

impl FromStr for Arches {
    type Err = String;

    /// Reads the name of one, or `all`.
    fn from_str(text: &str) -> Result<Self, String> {
        let all = Arch::value_variants();
        match text {
            "all" => Ok(Self(all.to_vec())),
            _ => Ok(Self(vec![Arch::from_str(text, false).map_err(|_| {
                let names: Vec<_> = all.iter().map(|arch| arch.machine().name).collect();
                format!("there is no architecture `{text}`; there are {}, and all", names.join(", "))
            })?])),
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.machine().name)
    }
}

/// Which of its two forms the kernel is built in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KernelProfile {
    /// With checks and debug calls.
    Debug,
    /// As it is shipped.
    Release,
}

impl KernelProfile {
    /// Name of the directory for what is made in this form.
    pub(crate) fn directory(self) -> &'static str {
        match self {
            KernelProfile::Debug => "debug",
            KernelProfile::Release => "release",
        }
    }

    /// The cargo profile of kernel and loader.
    pub(crate) fn cargo_profile(self) -> &'static str {
        match self {
            KernelProfile::Debug => "dev",
            KernelProfile::Release => "kernel",
        }
    }
}

/// The cargo profile of user programs, under either kernel.
pub(crate) const USER_PROFILE: &str = "release";

/// One architecture: how to build for it and which machine to run.
#[derive(Debug)]
pub(crate) struct Machine {
    /// Name of the architecture, as on the command line.
    pub(crate) name: &'static str,
    /// The emulator's program.
    pub(crate) qemu: &'static str,
    /// Arguments that choose the machine and its processor.
    pub(crate) qemu_machine: &'static [&'static str],
    /// Memory of the machine when nothing else is asked for.
    pub(crate) memory: &'static str,
    /// Memory of the machine on which the benchmark's reference was counted.
    pub(crate) bench_memory: &'static str,
    /// Arguments that choose that machine and its processor, where it is another one.
    pub(crate) bench_machine: &'static [&'static str],
    /// Addresses at which firmware runs, if it stays around.
    pub(crate) firmware: Option<Range<u64>>,
    /// What Debian calls the packages with the emulator in them.
    pub(crate) debian_packages: &'static [&'static str],
    /// Package with the kernel's binary.
    pub(crate) kernel_package: &'static str,
    /// Package with the loader's binary.
    pub(crate) loader_package: &'static str,
    /// Rust target of kernel and loader.
    pub(crate) kernel_target: &'static str,
    /// Compiler flags of kernel and loader.
    pub(crate) kernel_rustflags: &'static [&'static str],
    /// Rust target of user programs.
    pub(crate) user_target: &'static str,
    /// Compiler flags of user programs.
    pub(crate) user_rustflags: &'static [&'static str],
    /// Machine number in the ELF header.
    pub(crate) elf_machine: object::elf::Machine,
    /// What boot programs take.
    pub(crate) boot_file: BootFile,
}

/// What boot programs take, and how they know it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BootFile {
    /// A flat file with these bytes at this offset.
    Flat(usize, &'static [u8]),
    /// An ELF file with a note of this owner and type that names the entry point.
    Noted(&'static [u8], u32),
}

impl Machine {
    /// The Rust targets that a build needs.
    pub(crate) fn rust_targets(&self) -> Vec<&'static str> {
        let mut targets = vec![self.kernel_target, self.user_target];
        targets.dedup();
        targets
    }
}

static AARCH64: Machine = Machine {
    name: "aarch64",
    qemu: "qemu-system-aarch64",
    // Without the random seed in the device tree two runs are equal to the bit.
    qemu_machine: &["-M", "virt,gic-version=2,dtb-randomness=off", "-cpu", "cortex-a53"],
    memory: "2G",
    bench_memory: "1G",
    bench_machine: &[],
    firmware: None,
    debian_packages: &["qemu-system-arm"],
    kernel_package: "keel-aarch64",
    loader_package: "keel-loader-aarch64",
    // The plain target would use the vector registers, which belong to user level.
    kernel_target: "aarch64-unknown-none-softfloat",
    // Path-length analysis of the binary wants no computed jumps.
    kernel_rustflags: &["-Cjump-tables=no"],
    user_target: "aarch64-unknown-none",
    user_rustflags: &[],
    elf_machine: object::elf::EM_AARCH64,
    boot_file: BootFile::Flat(56, b"ARM\x64"),
};

static RISCV64: Machine = Machine {
    name: "riscv64",
    qemu: "qemu-system-riscv64",
    // The seed makes the random one in the device tree the same each time.
    qemu_machine: &["-M", "virt", "-cpu", "rv64", "-bios", "default", "-seed", "42"],
    memory: "3G",
    bench_memory: "3G",
    bench_machine: &[],
    // OpenSBI, up to the loader.
    firmware: Some(0x8000_0000..0x8020_0000),
    debian_packages: &["qemu-system-misc"],
    kernel_package: "keel-riscv64",
    loader_package: "keel-loader-riscv64",
    // Without floating point, whose registers belong to user level.
    kernel_target: "riscv64imac-unknown-none-elf",
    kernel_rustflags: &["-Cjump-tables=no"],
    user_target: "riscv64gc-unknown-none-elf",
    user_rustflags: &[],
    elf_machine: object::elf::EM_RISCV,
    boot_file: BootFile::Flat(56, b"RSC\x05"),
};

static X86_64: Machine = Machine {
    name: "x86_64",
    qemu: "qemu-system-x86_64",
    qemu_machine: &["-M", "q35", "-cpu", "max,la57=off"],
    // Part of it lies above 4 GiB.
    memory: "3G",
    bench_memory: "512M",
    bench_machine: &[
        "-M",
        "pc",
        "-cpu",
        "Nehalem,-vme,+pdpe1gb,-xsave,-xsaveopt,-xsavec,-fsgsbase,-invpcid,+syscall,+lm,enforce",
    ],
    firmware: None,
    debian_packages: &["qemu-system-x86"],
    kernel_package: "keel-x86_64",
    loader_package: "keel-loader-x86_64",
    // Without vector registers, which belong to user level; and both are linked where they run.
    kernel_target: "x86_64-unknown-none",
    kernel_rustflags: &["-Crelocation-model=static", "-Cjump-tables=no"],
    user_target: "x86_64-unknown-none",
    user_rustflags: &["-Crelocation-model=static"],
    elf_machine: object::elf::EM_X86_64,
    // The entry by PVH.
    boot_file: BootFile::Noted(b"Xen", 18),
};

/// A board for which the kernel's ELF can be made such that a loader that passes no device tree, and
/// that loads to the addresses the ELF names, can start it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Board {
    /// QEMU's `virt` machine for 64-bit Arm
    QemuVirt,
    /// QEMU's `virt` machine for 64-bit RISC-V
    QemuRiscvVirt,
}

impl Board {
    /// Name of the board, as on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Board::QemuVirt => "qemu-virt",
            Board::QemuRiscvVirt => "qemu-riscv-virt",
        }
    }

    /// The architecture of the board.
    pub(crate) fn arch(self) -> Arch {
        match self {
            Board::QemuVirt => Arch::Aarch64,
            Board::QemuRiscvVirt => Arch::Riscv64,
        }
    }

    /// The physical address of the kernel's image: in memory, aligned to 2 MiB, and clear of where other
    /// loaders put themselves (the start of memory).
    pub(crate) fn kernel_paddr(self) -> u64 {
        match self {
            Board::QemuVirt => 0x6000_0000,
            Board::QemuRiscvVirt => 0xa000_0000,
        }
    }

    /// Memory that firmware keeps for itself, of which the board's tree knows nothing until firmware runs.
    pub(crate) fn firmware(self) -> Option<Range<u64>> {
        match self {
            Board::QemuVirt => None,
            // What a loader may be put behind.
            Board::QemuRiscvVirt => Some(0x8000_0000..0x8020_0000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_command_line() {
        for arch in Arch::value_variants() {
            assert_eq!(arch.to_possible_value().unwrap().get_name(), arch.machine().name);
        }
        for board in Board::value_variants() {
            assert_eq!(board.to_possible_value().unwrap().get_name(), board.name());
        }
    }

    #[test]
    fn boards_put_the_kernel_at_a_block() {
        for board in Board::value_variants() {
            assert_eq!(board.kernel_paddr() % (2 << 20), 0);
        }
    }
}
