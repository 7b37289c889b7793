// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the device tree says of the machine, as far as the kernel needs it.

use core::fmt;
use keel_devicetree::{DeviceTree, Node, Region};

/// log2 of a page.
const PAGE_BITS: u32 = 12;

/// Names of interrupt controllers of version 2.
const GICS_V2: [&str; 4] = ["arm,cortex-a15-gic", "arm,gic-400", "arm,cortex-a7-gic", "arm,cortex-a9-gic"];

/// The name of those of version 3 or 4.
const GIC_V3: &str = "arm,gic-v3";

/// Why the kernel cannot run on a machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// No interrupt controller that the kernel knows.
    NoInterruptController,
    /// No generic timer.
    NoTimer,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::NoInterruptController => {
                "the device tree names no interrupt controller of the GIC kind, version 2 to 4"
            }
            Error::NoTimer => "the device tree names no generic timer",
        })
    }
}

/// How firmware is called (PSCI binding).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Conduit {
    /// By `hvc`.
    Hvc,
    /// By `smc`.
    Smc,
}

/// The interrupt controller. The kernel keeps its registers for itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InterruptController {
    /// Version 2.
    V2 {
        /// The page of the distributor.
        distributor: Region,
        /// The page of the core's interface.
        interface: Region,
    },
    /// Version 3 or 4.
    V3 {
        /// The distributor.
        distributor: Region,
        /// The redistributors of the cores.
        redistributors: Region,
    },
}

impl InterruptController {
    /// Its two regions of registers.
    pub const fn regions(&self) -> [Region; 2] {
        match *self {
            Self::V2 { distributor, interface } => [distributor, interface],
            Self::V3 { distributor, redistributors } => [distributor, redistributors],
        }
    }

    /// Looks for it.
    fn find(tree: &DeviceTree<'_>) -> Option<Self> {
        if let Some(node) = GICS_V2.iter().find_map(|name| tree.compatible(name)) {
            let mut pages = node.regions().filter_map(first_page);
            return Some(Self::V2 { distributor: pages.next()?, interface: pages.next()? });
        }
        let mut regions = tree.compatible(GIC_V3)?.regions().filter_map(|region| region.grow_to(PAGE_BITS));
        Some(Self::V3 { distributor: regions.next()?, redistributors: regions.next()? })
    }
}

/// The devices that the kernel uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Platform {
    /// The interrupt controller.
    pub controller: InterruptController,
    /// The interrupt number of the virtual timer.
    pub timer: u32,
}

impl Platform {
    /// Looks for everything that the kernel cannot do without.
    pub fn find(tree: &DeviceTree<'_>) -> Result<Self, Error> {
        let controller = InterruptController::find(tree).ok_or(Error::NoInterruptController)?;
        let timer = tree.compatible("arm,armv8-timer").ok_or(Error::NoTimer)?;
        // The list is: secure physical, physical, virtual, hypervisor.
        let timer = interrupts(&timer).nth(2).ok_or(Error::NoTimer)?;
        Ok(Self { controller, timer })
    }
}

/// The page of the console: the one chosen for output, or else the first of the kind.
pub fn console(tree: &DeviceTree<'_>) -> Option<Region> {
    const KIND: &str = "arm,pl011";
    let chosen = tree.console().filter(|node| node.is_compatible(KIND) && node.is_enabled());
    chosen.or_else(|| tree.compatible(KIND))?.regions().find_map(first_page)
}

/// How firmware is called.
pub fn conduit(tree: &DeviceTree<'_>) -> Option<Conduit> {
    let node = tree.compatible("arm,psci-0.2").or_else(|| tree.compatible("arm,psci-1.0"))?;
    match node.string("method")? {
        "hvc" => Some(Conduit::Hvc),
        "smc" => Some(Conduit::Smc),
        _ => None,
    }
}

/// The first page of a device.
fn first_page(device: Region) -> Option<Region> {
    Region::new(device.start() & !((1 << PAGE_BITS) - 1), 1 << PAGE_BITS)
}

/// The interrupts of a device: three words each, of which the first tells private from shared ones (GIC
/// binding).
fn interrupts(node: &Node<'_>) -> impl Iterator<Item = u32> {
    let list = node.property("interrupts").map_or(&[][..], |list| list.bytes());
    list.chunks_exact(12).filter_map(|entry| {
        let word = |at| entry.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
        let number: u32 = word(4)?;
        match word(0)? {
            0 => number.checked_add(32),
            1 => number.checked_add(16),
            _ => None,
        }
    })
}

#[cfg(test)]
mod test {
    use super::*;
    use keel_devicetree::builder::Builder;

    fn root() -> Builder {
        Builder::new().begin("").words("#address-cells", &[2]).words("#size-cells", &[2])
    }

    fn with_gic(tree: Builder) -> Builder {
        tree.begin("intc@8000000")
            .strings("compatible", &["arm,cortex-a15-gic"])
            .words("reg", &[0, 0x800_0000, 0, 0x1_0000, 0, 0x801_0000, 0, 0x1_0000])
            .end()
    }

    fn with_timer(tree: Builder) -> Builder {
        tree.begin("timer")
            .strings("compatible", &["arm,armv8-timer", "arm,armv7-timer"])
            .words("interrupts", &[1, 13, 4, 1, 14, 4, 1, 11, 4, 1, 10, 4])
            .end()
    }

    fn region(start: u64, end: u64) -> Region {
        Region::between(start, end).unwrap()
    }

    #[test]
    fn finds_the_devices_of_a_virtual_machine() {
        let blob = with_timer(with_gic(root())).end().finish();
        let controller = InterruptController::V2 {
            distributor: region(0x800_0000, 0x800_1000),
            interface: region(0x801_0000, 0x801_1000),
        };
        assert_eq!(Platform::find(&DeviceTree::new(&blob).unwrap()), Ok(Platform { controller, timer: 27 }));
        let tree = root().begin("intc@8000000").strings("compatible", &["arm,gic-v3"]);
        let tree = tree.words("reg", &[0, 0x800_0000, 0, 0x1_0000, 0, 0x80a_0000, 0, 0xf6_0000]).end();
        let blob = with_timer(tree).end().finish();
        let controller = InterruptController::V3 {
            distributor: region(0x800_0000, 0x801_0000),
            redistributors: region(0x80a_0000, 0x900_0000),
        };
        assert_eq!(Platform::find(&DeviceTree::new(&blob).unwrap()), Ok(Platform { controller, timer: 27 }));
    }

    #[test]
    fn says_what_is_missing() {
        let find = |tree: Builder| Platform::find(&DeviceTree::new(&tree.end().finish()).unwrap());
        assert_eq!(find(with_timer(root())), Err(Error::NoInterruptController));
        assert_eq!(find(with_gic(root())), Err(Error::NoTimer));
    }
}
