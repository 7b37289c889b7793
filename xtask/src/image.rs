// SPDX-License-Identifier: MIT OR Apache-2.0

//! The boot image: the kernel's ELF inside the loader, flat as firmware takes it.

use std::ffi::OsStr;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::cargo::{BOARD_DTB, BOARD_PADDR, Cargo, KERNEL_ELF, Side};
use crate::elf::{Executable, Placement};
use crate::machine::{Board, KernelProfile, Machine};
use crate::{artifact, device_tree};

/// What boots, besides a root task.
#[derive(Debug)]
pub(crate) struct BootImage {
    /// The kernel's ELF, with symbols for a debugger.
    pub(crate) kernel: PathBuf,
    /// The kernel's ELF as the loader carries it.
    pub(crate) carried_kernel: PathBuf,
    /// Loader and kernel in one flat file.
    pub(crate) image: PathBuf,
}

impl BootImage {
    /// What the loader's crate needs to be compiled.
    pub(crate) fn loader_variables(&self) -> [(&'static str, &OsStr); 1] {
        [(KERNEL_ELF, self.carried_kernel.as_os_str())]
    }
}

/// Builds kernel and loader.
pub(crate) fn build(cargo: &Cargo<'_>, profile: KernelProfile) -> Result<BootImage> {
    let machine = cargo.machine;
    let directory = cargo.workspace.output(machine).join(profile.directory());
    let made = BootImage {
        kernel: directory.join("kernel.elf"),
        carried_kernel: directory.join("kernel.stripped.elf"),
        image: directory.join("keel.img"),
    };
    let side = Side::Kernel(profile);
    let kernel = artifact::read(&cargo.build_one(side, machine.kernel_package, &[])?)?;
    let stripped = Executable::parse(&kernel, machine.elf_machine, Placement::Fixed)
        .context("the kernel's ELF")?
        .loadable();
    artifact::write(&made.kernel, &kernel)?;
    artifact::write(&made.carried_kernel, &stripped)?;

    let variables = made.loader_variables();
    let loader = artifact::read(&cargo.build_one(side, machine.loader_package, &variables)?)?;
    let image = flat_image(&loader, machine).context("the loader's ELF")?;
    artifact::write(&made.image, &image)?;
    Ok(made)
}

/// Builds the kernel's ELF for loaders that pass no device tree and load to fixed addresses.
pub(crate) fn build_for_board(cargo: &Cargo<'_>, profile: KernelProfile, board: Board) -> Result<PathBuf> {
    let directory = cargo.workspace.output(cargo.machine).join(profile.directory());
    std::fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let tree = device_tree::of_board(board, cargo.machine, &directory)?;
    let paddr = format!("{:#x}", board.kernel_paddr());
    let variables = [(BOARD_DTB, tree.as_os_str()), (BOARD_PADDR, OsStr::new(&paddr))];
    let program = cargo.build_one(Side::Kernel(profile), cargo.machine.kernel_package, &variables)?;
    let kernel = artifact::read(&program)?;
    let elf = Executable::parse(&kernel, cargo.machine.elf_machine, Placement::Fixed);
    ensure!(
        elf.context("the kernel's ELF")?.lowest_paddr() == Some(board.kernel_paddr()),
        "the kernel's ELF does not load at {paddr}, where {} has it",
        board.name()
    );
    let made = directory.join(format!("kernel-{}.elf", board.name()));
    artifact::write(&made, &kernel)?;
    Ok(made)
}

/// Turns the loader's ELF into the flat file, which must carry the header that firmware looks for.
fn flat_image(loader: &[u8], machine: &Machine) -> Result<Vec<u8>> {
    let image = Executable::parse(loader, machine.elf_machine, Placement::Any)?.flatten()?;
    let (offset, magic) = machine.image_magic;
    ensure!(
        image.get(offset..).is_some_and(|rest| rest.starts_with(magic)),
        "its image does not begin with the boot header of {}",
        machine.name
    );
    Ok(image)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elf::tests::{Segment, TEXT, make};
    use crate::machine::Arch;

    #[test]
    fn an_image_begins_with_the_header() {
        const IMAGE: &[u8; 64] = b"01234567890123456789012345678901234567890123456789012345ARM\x64rest";
        let machine = Arch::Aarch64.machine();
        let loader = make(&[Segment { content: IMAGE, memory_bytes: 4096, ..TEXT }]);
        assert_eq!(flat_image(&loader, machine).unwrap(), IMAGE);
        let error = flat_image(&make(&[TEXT]), machine).unwrap_err().to_string();
        assert!(error.contains("boot header of aarch64"), "{error}");
    }
}
