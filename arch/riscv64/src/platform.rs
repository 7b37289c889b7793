// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the device tree says of the machine, as far as the kernel needs it.

use core::fmt;
use keel_devicetree::{DeviceTree, Node, Region};

/// log2 of the granule in which the kernel keeps devices for itself (`boot.md` §7).
const KEPT_BITS: u32 = 21;

/// Names of interrupt controllers of the kind.
const PLICS: [&str; 3] = ["sifive,plic-1.0.0", "riscv,plic0", "thead,c900-plic"];
/// Names of the firmware's timer and software interrupts.
const CLINTS: [&str; 3] = ["sifive,clint0", "riscv,clint0", "thead,c900-clint"];
/// The number of external interrupts for supervisor mode (scause, table 4.2).
const SUPERVISOR_EXTERNAL: u32 = 9;

/// Why the kernel cannot run on a machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// No processor.
    NoProcessor,
    /// No interrupt controller that the kernel knows, or none that interrupts this processor.
    NoInterruptController,
    /// The frequency of the timer is missing, or cannot be counted in kilohertz.
    NoTimer,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::NoProcessor => "the device tree names no processor",
            Error::NoInterruptController => "the device tree names no PLIC for this processor",
            Error::NoTimer => "the device tree names no frequency of the timer, of at least 1 kHz",
        })
    }
}

/// What the kernel uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Platform {
    /// The registers of the interrupt controller.
    pub plic: Region,
    /// The controller's context for supervisor mode of this processor.
    pub context: usize,
    /// The controller's highest interrupt.
    pub last_interrupt: u32,
    /// Kilohertz of the timer.
    pub timer_khz: u64,
    /// Whether the processor has a timer of supervisor mode's own (extension Sstc).
    pub has_own_timer: bool,
    /// Devices that the kernel keeps for itself: the controller, and the firmware's timer where there is one.
    pub kept: [Region; 2],
}

impl Platform {
    /// Looks for everything that the kernel cannot do without. `hart` is the processor that boots, as the loader says;
    /// one that does not exist stands for the first. All nodes are shown to `see` on the way.
    pub fn find(tree: &DeviceTree<'_>, hart: u64, see: impl FnMut(&Node<'_>)) -> Result<Self, Error> {
        let Found { processor, plic, clint } = Found::of(tree, hart, see);
        let processor = processor.ok_or(Error::NoProcessor)?;
        let node = plic.ok_or(Error::NoInterruptController)?;
        let plic = node.regions().next().ok_or(Error::NoInterruptController)?;
        let context = processor.interrupts.and_then(|processor| context(&node, processor));
        let last = node.property("riscv,ndev").and_then(|property| property.number());
        let last_interrupt =
            last.and_then(|last| u32::try_from(last).ok()).ok_or(Error::NoInterruptController)?;
        let timer_khz = processor.frequency().map(|hertz| hertz / 1000).filter(|&khz| khz > 0);
        let clint = clint.and_then(|node| node.regions().next());
        let kept = [plic, clint.unwrap_or(Region::EMPTY)].map(|region| region.grow_to(KEPT_BITS));
        Ok(Self {
            plic,
            context: context.ok_or(Error::NoInterruptController)?,
            last_interrupt,
            timer_khz: timer_khz.ok_or(Error::NoTimer)?,
            has_own_timer: processor.has_extension("sstc"),
            kept: kept.map(|region| region.unwrap_or(Region::EMPTY)),
        })
    }
}

/// What there is in the tree of what the kernel uses.
#[derive(Default)]
struct Found<'a> {
    /// The processor that boots, or else the first.
    processor: Option<Processor<'a>>,
    /// The first interrupt controller.
    plic: Option<Node<'a>>,
    /// The first of the firmware's timers.
    clint: Option<Node<'a>>,
}

impl<'a> Found<'a> {
    /// Walks the tree once.
    fn of(tree: &DeviceTree<'a>, hart: u64, mut see: impl FnMut(&Node<'_>)) -> Self {
        let mut found = Self::default();
        let mut parent = None;
        let (mut is_right, mut is_inside) = (false, false);
        for node in tree.nodes() {
            see(&node);
            if is_inside && found.processor.is_some_and(|processor| node.depth() > processor.node.depth()) {
                found.see_inside(&node);
                continue;
            }
            is_inside = false;
            if node.is_of_type("cpu") {
                let is_it = node.property("reg").and_then(|reg| reg.number()) == Some(hart);
                if found.processor.is_none() || (is_it && !is_right) {
                    (is_right, is_inside) = (is_it, true);
                    found.processor = Some(Processor { node, parent, interrupts: None });
                }
                continue;
            }
            if node.depth() == 1 {
                parent = Some(node);
            }
            if let Some(list) = node.compatible() {
                if found.plic.is_none() && list.lists(&PLICS) && node.is_enabled() {
                    found.plic = Some(node);
                } else if found.clint.is_none() && list.lists(&CLINTS) && node.is_enabled() {
                    found.clint = Some(node);
                }
            }
        }
        found
    }

    /// Looks at a descendant of the processor: the first that is an interrupt controller is its own.
    fn see_inside(&mut self, node: &Node<'_>) {
        if let Some(processor) = &mut self.processor
            && processor.interrupts.is_none()
            && node.property("interrupt-controller").is_some()
        {
            let handle = node.property("phandle").and_then(|handle| handle.number());
            processor.interrupts = handle.map(|handle| handle as u32);
        }
    }
}

/// A processor.
#[derive(Clone, Copy)]
struct Processor<'a> {
    /// Its node.
    node: Node<'a>,
    /// What is said of all processors: `/cpus`.
    parent: Option<Node<'a>>,
    /// The handle of its own interrupt controller.
    interrupts: Option<u32>,
}

impl Processor<'_> {
    /// Ticks of the timer per second: the processor's, or that of all.
    fn frequency(&self) -> Option<u64> {
        let number = |node: &Node<'_>| node.property("timebase-frequency")?.number();
        number(&self.node).or_else(|| self.parent.as_ref().and_then(number))
    }

    /// Whether it has an extension, by its list of names or by the one string of old.
    fn has_extension(&self, name: &str) -> bool {
        self.node.property("riscv,isa-extensions").is_some_and(|list| list.lists(&[name]))
            || self.node.string("riscv,isa").is_some_and(|isa| isa.split('_').skip(1).any(|one| one == name))
    }
}

/// Which of the controller's contexts interrupts supervisor mode of the processor with interrupt controller
/// `processor`: they stand in the order of the list of where the controller's lines go.
fn context(plic: &Node<'_>, processor: u32) -> Option<usize> {
    let list = plic.property("interrupts-extended")?;
    let (targets, lines) = (list.words().step_by(2), list.words().skip(1).step_by(2));
    targets.zip(lines).position(|line| line == (processor, SUPERVISOR_EXTERNAL))
}

#[cfg(test)]
mod test {
    use super::*;
    use keel_devicetree::builder::Builder;

    fn root() -> Builder {
        Builder::new().begin("").words("#address-cells", &[2]).words("#size-cells", &[2])
    }

    /// Two processors, of which the second has a timer.
    fn with_processors(tree: Builder) -> Builder {
        let processor = |tree: Builder, number: u32, isa: &str| {
            tree.begin("cpu")
                .strings("device_type", &["cpu"])
                .words("reg", &[number])
                .strings("riscv,isa", &[isa])
                .begin("interrupt-controller")
                .words("interrupt-controller", &[])
                .words("phandle", &[number + 3])
                .end()
                .end()
        };
        let tree = tree.begin("cpus").words("#address-cells", &[1]).words("#size-cells", &[0]);
        let tree = processor(tree.words("timebase-frequency", &[10_000_000]), 0, "rv64imafdc_zba");
        processor(tree, 1, "rv64imafdc_zba_sstc").end()
    }

    fn with_plic(tree: Builder) -> Builder {
        tree.begin("plic@c000000")
            .strings("compatible", &["sifive,plic-1.0.0", "riscv,plic0"])
            .words("reg", &[0, 0xc00_0000, 0, 0x21_0000])
            .words("riscv,ndev", &[53])
            .words("interrupts-extended", &[3, 11, 3, 9, 4, 11, 4, 9])
            .end()
            .begin("clint@2000000")
            .strings("compatible", &["sifive,clint0"])
            .words("reg", &[0, 0x200_0000, 0, 0x1_0000])
            .end()
    }

    fn find(tree: Builder, hart: u64) -> Result<Platform, Error> {
        Platform::find(&DeviceTree::new(&tree.end().finish()).unwrap(), hart, |_| ())
    }

    #[test]
    fn finds_the_devices_of_a_virtual_machine() {
        let region = |start, end| Region::between(start, end).unwrap();
        let expected = Platform {
            plic: region(0xc00_0000, 0xc21_0000),
            context: 1,
            last_interrupt: 53,
            timer_khz: 10_000,
            has_own_timer: false,
            kept: [region(0xc00_0000, 0xc40_0000), region(0x200_0000, 0x220_0000)],
        };
        assert_eq!(find(with_plic(with_processors(root())), 0), Ok(expected));
        assert_eq!(find(with_plic(with_processors(root())), 7), Ok(expected));
        let second = Platform { context: 3, has_own_timer: true, ..expected };
        assert_eq!(find(with_plic(with_processors(root())), 1), Ok(second));
    }

    #[test]
    fn says_what_is_missing() {
        assert_eq!(find(with_plic(root()), 0), Err(Error::NoProcessor));
        assert_eq!(find(with_processors(root()), 0), Err(Error::NoInterruptController));
    }
}
