// SPDX-License-Identifier: MIT OR Apache-2.0

//! The boot image: the kernel's ELF inside the loader, in the form that boot programs take.

use std::ffi::OsStr;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::cargo::{BOARD_DTB, BOARD_PADDR, Cargo, KERNEL_ELF, Side, VISIBLE_MARKS};
use crate::elf::{Executable, Placement};
use crate::machine::{Board, BootFile, KernelProfile, Machine};
use crate::{artifact, device_tree};

/// What boots, besides a root task.
#[derive(Debug)]
pub(crate) struct BootImage {
    /// The kernel's ELF, with symbols for a debugger.
    pub(crate) kernel: PathBuf,
    /// The kernel's ELF as the loader carries it.
    pub(crate) carried_kernel: PathBuf,
    /// Loader and kernel in one file.
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
    let kernel = artifact::read(&build_kernel(cargo, profile)?)?;
    let stripped = Executable::parse(&kernel, machine.elf_machine, Placement::Fixed)
        .context("the kernel's ELF")?
        .loadable();
    artifact::write(&made.kernel, &kernel)?;
    artifact::write(&made.carried_kernel, &stripped)?;

    let variables = made.loader_variables();
    let loader = artifact::read(&cargo.build_one(side, machine.loader_package, &variables)?)?;
    let image = boot_file(&loader, machine).context("the loader's ELF")?;
    artifact::write(&made.image, &image)?;
    Ok(made)
}

/// Builds the kernel's ELF alone.
pub(crate) fn build_kernel(cargo: &Cargo<'_>, profile: KernelProfile) -> Result<PathBuf> {
    cargo.build_one(Side::Kernel(profile), cargo.machine.kernel_package, &[])
}

/// Builds the kernel as it is shipped but with marks that are instructions, in a directory of its own.
pub(crate) fn build_marked_kernel(cargo: &Cargo<'_>) -> Result<PathBuf> {
    let directory = cargo.workspace.target().join("marked");
    let variables = [(VISIBLE_MARKS, OsStr::new("1")), ("CARGO_TARGET_DIR", directory.as_os_str())];
    cargo.build_one(Side::Kernel(KernelProfile::Release), cargo.machine.kernel_package, &variables)
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

/// Turns the loader's ELF into the file that boot programs take, with what they know it by.
fn boot_file(loader: &[u8], machine: &Machine) -> Result<Vec<u8>> {
    let elf = Executable::parse(loader, machine.elf_machine, Placement::Any)?;
    match machine.boot_file {
        BootFile::Flat(offset, magic) => {
            let image = elf.flatten()?;
            ensure!(
                image.get(offset..).is_some_and(|rest| rest.starts_with(magic)),
                "its image does not begin with the boot header of {}",
                machine.name
            );
            Ok(image)
        }
        BootFile::Noted(owner, kind) => {
            ensure!(elf.has_note(owner, kind), "it lacks the note that boots on {}", machine.name);
            let file = elf.loadable();
            // QEMU prefers this kind of header to the note.
            let start = &file[..file.len().min(MULTIBOOT_SEARCH)];
            ensure!(
                !start.windows(4).any(|bytes| bytes == MULTIBOOT_HEADER),
                "the header of the kernel in it would be taken for its own"
            );
            Ok(file)
        }
    }
}

/// How a header of version 1 of the multiboot specification begins, and how far into a file it is looked for.
const MULTIBOOT_HEADER: [u8; 4] = 0x1bad_b002_u32.to_le_bytes();
const MULTIBOOT_SEARCH: usize = 8192;

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
        assert_eq!(boot_file(&loader, machine).unwrap(), IMAGE);
        let error = boot_file(&make(&[TEXT]), machine).unwrap_err().to_string();
        assert!(error.contains("boot header of aarch64"), "{error}");
    }

    #[test]
    fn an_elf_file_that_boots_has_its_note_and_nothing_else_to_be_known_by() {
        let machine = Arch::X86_64.machine();
        const NOTE: &[u8] = b"\x04\0\0\0\x08\0\0\0\x12\0\0\0Xen\0\0\0\x40\0\0\0\0\0";
        let note = Segment { kind: 4, content: NOTE, memory_bytes: 24, ..TEXT };
        let file = |segments: &[Segment]| {
            let mut file = make(segments);
            file[0x12] = object::elf::EM_X86_64.0 as u8;
            boot_file(&file, machine).map_err(|error| error.to_string())
        };
        assert!(file(&[TEXT, note]).is_ok());
        assert!(file(&[TEXT]).unwrap_err().contains("lacks the note"));
        let other = Segment { content: b"\x02\xb0\xad\x1b", ..TEXT };
        assert!(file(&[other, note]).unwrap_err().contains("taken for its own"));
    }
}
