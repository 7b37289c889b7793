// SPDX-License-Identifier: MIT OR Apache-2.0

//! The loader's work, from the device tree to the jump.

use crate::memory::{Memory, Processor};
use crate::plan::{Needs, Plan};
use crate::program::{self, Program};
use core::fmt::Arguments;
use keel_devicetree::{DeviceTree, HEADER_BYTES, MAX_BYTES, Region};
use keel_tables::Error;

/// How a loader says that something is wrong.
pub trait LastWords {
    /// Writes on the console, if there is one.
    fn say(text: Arguments<'_>);

    /// Ends the machine's run, or stays here.
    fn stop() -> !;
}

/// What only the machine can do.
pub trait Machine: Processor + LastWords + Sized {
    /// The processor that programs must be for.
    const KIND: program::Machine;

    /// Takes physical memory over, with the tree mapped. Only the first call gets it.
    fn take_memory(tree: Region) -> Result<Memory<Self>, Error>;

    /// Learns from the tree how to speak and how to stop.
    fn meet(tree: &DeviceTree<'_>, memory: &mut Memory<Self>);

    /// Maps the kernel, which lies at `kernel`, where it is linked, and jumps to its entry with the first six arguments
    /// of the hand-over convention. Returns if that cannot be.
    fn start_kernel(
        memory: Memory<Self>,
        kernel: Region,
        linked_at: u64,
        entry: u64,
        arguments: [u64; 6],
    ) -> Error;
}

/// The entry from assembly: loads `kernel`, an ELF file, and what the device tree at an address names.
pub fn start<M: Machine>(kernel: &'static [u8], tree_address: u64) -> ! {
    // Without a device tree there may be nobody to tell.
    let Some((mut memory, blob)) = find_tree::<M>(tree_address) else { M::stop() };
    let Ok(tree) = DeviceTree::new(blob) else { M::stop() };
    M::meet(&tree, &mut memory);
    load(kernel, memory, blob, &tree)
}

/// Turns paging on and looks at the device tree.
fn find_tree<M: Machine>(address: u64) -> Option<(Memory<M>, &'static [u8])> {
    let mut memory = M::take_memory(Region::new(address, MAX_BYTES as u64)?).ok()?;
    let header = memory.read(Region::new(address, HEADER_BYTES as u64)?).ok()?;
    let bytes = DeviceTree::claimed_size(header).ok()?;
    let blob = memory.read(Region::new(address, bytes as u64)?).ok()?;
    Some((memory, blob))
}

/// Loads everything and starts the kernel.
fn load<M: Machine>(
    kernel: &'static [u8],
    mut memory: Memory<M>,
    blob: &'static [u8],
    tree: &DeviceTree<'static>,
) -> ! {
    let kernel = Program::new(kernel, M::KIND)
        .unwrap_or_else(|error| fail::<M>(format_args!("the kernel is {error}")));
    let (module, root_task) = find_root_task(&mut memory, tree);
    let needs = Needs { kernel: kernel.span(), tree_bytes: tree.used_size() as u64, image: root_task.span() };
    let in_use =
        tree.reserved().chain(Region::between(address_of(blob), address_of(blob) + blob.len() as u64));
    let in_use = in_use.chain([module, memory.own_image()]);
    let plan = Plan::find(tree.memory(), in_use, needs).unwrap_or_else(|| {
        let (span, bytes) = (needs.image, needs.image.size());
        fail::<M>(format_args!("no room in memory for a root task of {bytes} bytes (addresses {span})"))
    });
    copy_tree(blob, take(&mut memory, plan.tree));
    if !kernel.load(take(&mut memory, plan.kernel)) || !root_task.load(take(&mut memory, plan.image)) {
        fail::<M>(format_args!("the plan has given a program too little room"));
    }
    let arguments = [
        plan.image.start(),
        plan.image.end(),
        plan.image.start().wrapping_sub(root_task.span().start()),
        root_task.entry(),
        plan.tree.start(),
        plan.tree.size(),
    ];
    let linked_at = kernel.span().start();
    let error = M::start_kernel(memory, plan.kernel, linked_at, kernel.entry(), arguments);
    fail::<M>(format_args!("the kernel cannot be mapped at {linked_at:#x}: {error:?}"))
}

/// Finds and checks the initial module.
fn find_root_task<M: Machine>(memory: &mut Memory<M>, tree: &DeviceTree<'_>) -> (Region, Program<'static>) {
    let module = tree.initial_module().unwrap_or_else(|| {
        fail::<M>(format_args!("no initial module: give the root task's ELF file with -initrd"))
    });
    if !tree.memory().any(|region| region.contains(module)) {
        fail::<M>(format_args!("the initial module at {module} lies outside of memory"));
    }
    let bytes = memory.read(module).unwrap_or_else(|error| {
        fail::<M>(format_args!("the initial module at {module} cannot be read: {error:?}"))
    });
    let program = Program::new(bytes, M::KIND)
        .unwrap_or_else(|error| fail::<M>(format_args!("the initial module is {error}")));
    (module, program)
}

/// Takes a region that the plan has found free.
fn take<M: Machine>(memory: &mut Memory<M>, region: Region) -> &'static mut [u8] {
    memory.write(region).unwrap_or_else(|error| {
        fail::<M>(format_args!("the memory at {region} cannot be written: {error:?}"))
    })
}

/// Copies the part of the tree that is used, which is then all of it: the size is the header's second word.
fn copy_tree(blob: &[u8], copy: &mut [u8]) {
    let bytes = copy.len();
    copy.copy_from_slice(&blob[..bytes]);
    copy[4..8].copy_from_slice(&(bytes as u32).to_be_bytes());
}

/// The physical address of bytes, which is also their virtual one.
fn address_of(bytes: &[u8]) -> u64 {
    bytes.as_ptr().addr() as u64
}

/// Says in one line why the system cannot start, and switches the machine off. The second line is for tools
/// that wait for the system to report.
pub fn fail<M: LastWords>(reason: Arguments<'_>) -> ! {
    M::say(format_args!("keel loader: {reason}\r\nkeel: failure: the loader cannot start the system\r\n"));
    M::stop()
}
