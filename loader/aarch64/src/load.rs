// SPDX-License-Identifier: MIT OR Apache-2.0

//! The loader's work, from the device tree to the jump.

use crate::console::Console;
use crate::cpu::{Conduit, Memory, Once, stop};
use core::fmt::{Arguments, Write};
use core::panic::PanicInfo;
use keel_devicetree::{DeviceTree, HEADER_BYTES, MAX_BYTES};
use keel_loader::Region;
use keel_loader::plan::{Needs, Plan};
use keel_loader::program::{Machine, Program};

/// The kernel's ELF file.
static KERNEL: &[u8] = include_bytes!(env!(
    "KEEL_KERNEL_ELF",
    "KEEL_KERNEL_ELF must name the kernel's ELF file: build with `cargo xtask build`"
));

/// How to say that something is wrong.
#[derive(Clone, Copy)]
struct LastWords {
    /// The console.
    console: Option<Console>,
    /// The way to switch the machine off.
    firmware: Option<Conduit>,
}

/// Set as soon as the device tree has told.
static LAST_WORDS: Once<LastWords> = Once::new();

/// The entry from assembly, with the device tree's address, MMU off.
pub extern "C" fn start(tree_address: u64) -> ! {
    // Without a device tree there is nobody to tell.
    let Some((mut memory, blob)) = find_tree(tree_address) else { stop(None) };
    let Ok(tree) = DeviceTree::new(blob) else { stop(None) };
    LAST_WORDS.set(LastWords { console: Console::find(&tree, &mut memory), firmware: conduit(&tree) });
    load(memory, blob, &tree)
}

/// Turns the MMU on and looks at the device tree.
fn find_tree(address: u64) -> Option<(Memory, &'static [u8])> {
    let mut memory = Memory::take(Region::new(address, MAX_BYTES as u64)?).ok()?;
    let header = memory.read(Region::new(address, HEADER_BYTES as u64)?).ok()?;
    let bytes = DeviceTree::claimed_size(header).ok()?;
    let blob = memory.read(Region::new(address, bytes as u64)?).ok()?;
    Some((memory, blob))
}

/// How the tree says that firmware is called (PSCI binding).
fn conduit(tree: &DeviceTree<'_>) -> Option<Conduit> {
    let node = tree.compatible("arm,psci-0.2").or_else(|| tree.compatible("arm,psci-1.0"))?;
    match node.string("method")? {
        "hvc" => Some(Conduit::Hvc),
        "smc" => Some(Conduit::Smc),
        _ => None,
    }
}

/// Loads everything and starts the kernel.
fn load(mut memory: Memory, blob: &'static [u8], tree: &DeviceTree<'static>) -> ! {
    let kernel = Program::new(KERNEL, Machine::Aarch64)
        .unwrap_or_else(|error| fail(format_args!("the kernel is {error}")));
    let (module, root_task) = find_root_task(&mut memory, tree);
    let needs = Needs { kernel: kernel.span(), tree_bytes: tree.used_size() as u64, image: root_task.span() };
    let in_use =
        tree.reserved().chain(Region::between(address_of(blob), address_of(blob) + blob.len() as u64));
    let in_use = in_use.chain([module, memory.own_image()]);
    let plan = Plan::find(tree.memory(), in_use, needs).unwrap_or_else(|| {
        let (span, bytes) = (needs.image, needs.image.size());
        fail(format_args!("no room in memory for a root task of {bytes} bytes (addresses {span})"))
    });
    copy_tree(blob, take(&mut memory, plan.tree));
    if !kernel.load(take(&mut memory, plan.kernel)) || !root_task.load(take(&mut memory, plan.image)) {
        fail(format_args!("the plan has given a program too little room"));
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
    let error = memory.start_kernel(plan.kernel, linked_at, kernel.entry(), arguments);
    fail(format_args!("the kernel cannot be mapped at {linked_at:#x}: {error:?}"))
}

/// Finds and checks the initial module.
fn find_root_task(memory: &mut Memory, tree: &DeviceTree<'_>) -> (Region, Program<'static>) {
    let module = tree.initial_module().unwrap_or_else(|| {
        fail(format_args!("no initial module: give the root task's ELF file with -initrd"))
    });
    if !tree.memory().any(|region| region.contains(module)) {
        fail(format_args!("the initial module at {module} lies outside of memory"));
    }
    let bytes = memory.read(module).unwrap_or_else(|error| {
        fail(format_args!("the initial module at {module} cannot be read: {error:?}"))
    });
    let program = Program::new(bytes, Machine::Aarch64)
        .unwrap_or_else(|error| fail(format_args!("the initial module is {error}")));
    (module, program)
}

/// Takes a region that the plan has found free.
fn take(memory: &mut Memory, region: Region) -> &'static mut [u8] {
    memory
        .write(region)
        .unwrap_or_else(|error| fail(format_args!("the memory at {region} cannot be written: {error:?}")))
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
pub fn fail(reason: Arguments<'_>) -> ! {
    let words = LAST_WORDS.get();
    if let Some(mut console) = words.and_then(|words| words.console) {
        // The console does not fail.
        let _ =
            write!(console, "keel loader: {reason}\r\nkeel: failure: the loader cannot start the system\r\n");
    }
    stop(words.and_then(|words| words.firmware))
}

/// A bug of the loader.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    fail(format_args!("bug: {info}"))
}
