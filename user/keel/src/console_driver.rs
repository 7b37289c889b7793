// SPDX-License-Identifier: MIT OR Apache-2.0

//! Starting the driver of the serial port, which then has the port alone.

use crate::{
    boot::{IRQ_CONTROL, Root},
    cap::{Cap, Endpoint, Notification, Reply, Rights},
    console::{self, Sink},
    error::Result,
    process::{Builder, Process},
    service::NOTIFICATION_BIT,
    uart::UartRegisters,
};

/// Names under which the driver finds what it is given.
pub mod names {
    /// The endpoint that its clients send to.
    pub const CLIENTS: &str = "clients";
    /// The interrupt's handler.
    pub const INTERRUPT: &str = "interrupt";
    /// The notification that the interrupt signals, bound to the driver's thread.
    pub const NOTIFICATION: &str = "notification";
    /// A reply object.
    pub const REPLY: &str = "reply";
    /// Another one, for a client that waits for input.
    pub const READER_REPLY: &str = "reader-reply";
    /// The registers, where they are in memory.
    pub const REGISTERS: &str = "registers";
    /// The I/O ports, where the registers are there; the argument is the first port, two bytes.
    pub const PORTS: &str = "ports";
}

/// The rights of a client's capability: it may call, no more.
pub const CLIENT_RIGHTS: Rights = Rights(Rights::WRITE.0 | Rights::GRANT_REPLY.0);

/// Badge of the root task's own capability to its console.
pub const ROOT_BADGE: u64 = 1;

/// A running driver.
#[derive(Debug)]
pub struct ConsoleDriver {
    /// Where clients send to; give them badged copies with [`CLIENT_RIGHTS`].
    pub endpoint: Cap<Endpoint>,
    /// The driver's process.
    pub process: Process,
}

impl ConsoleDriver {
    /// Hands the serial port to this program, run at `priority`, and lets this root task print through
    /// it.
    ///
    /// ```no_run
    /// # use keel::{console_driver::*, process::Builder, Root, Result, archive::Archive};
    /// # fn example(root: &mut Root, archive: Archive) -> Result {
    /// let driver = archive.program(root.console_driver()?)?;
    /// let console = ConsoleDriver::start(root, driver, 200)?;
    /// let tab = Builder::new(archive.program("keel-tab")?)
    ///     .grant_badged("console", console.endpoint, CLIENT_RIGHTS, 2)
    ///     .build(&mut root.resources)?;
    /// # tab.start() }
    /// ```
    pub fn start(root: &mut Root, program: &[u8], priority: u8) -> Result<Self> {
        let (info, registers) = root.close_console()?;
        let resources = &mut root.resources;
        let endpoint = resources.allocate::<Endpoint>()?;
        let plain = resources.allocate::<Notification>()?;
        let notification = resources.mint(plain, Rights::READ_WRITE, NOTIFICATION_BIT)?;
        let replies = [resources.allocate::<Reply>()?, resources.allocate::<Reply>()?];
        let handler = resources.fill_slot(|slot| Ok(IRQ_CONTROL.get_wired(info.irq, slot)?))?;
        let first_port;
        let builder = match registers {
            UartRegisters::Memory(frame) => Builder::new(program).device(names::REGISTERS, frame),
            UartRegisters::Ports(ports, first) => {
                first_port = first.to_le_bytes();
                Builder::new(program).argument(&first_port).grant(names::PORTS, ports, Rights::ALL)
            }
        };
        let process = builder
            .priority(priority)
            .bind(notification)
            .grant(names::CLIENTS, endpoint, Rights::READ)
            .grant::<crate::cap::IrqHandler>(names::INTERRUPT, handler, Rights::ALL)
            .grant(names::NOTIFICATION, notification, Rights::READ_WRITE)
            .grant(names::REPLY, replies[0], Rights::ALL)
            .grant(names::READER_REPLY, replies[1], Rights::ALL)
            .build(resources)?;
        process.start()?;
        let own = resources.mint(endpoint, CLIENT_RIGHTS, ROOT_BADGE)?;
        console::set_sink(Sink::driver(own));
        Ok(Self { endpoint, process })
    }
}
