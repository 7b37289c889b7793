// SPDX-License-Identifier: MIT OR Apache-2.0

//! The user-level library of Keel.
#![no_std]

#[cfg(not(target_os = "none"))]
extern crate std;

pub mod addresses;
#[doc(hidden)]
pub mod arch;
pub mod boot;
pub mod cap;
pub mod console;
pub mod device;
pub mod error;
pub mod ipc;
pub mod memory;
pub mod resources;
pub mod rt;
pub mod shared;
pub mod slots;
pub mod startup;
pub mod sys;

pub use keel_abi as abi;

pub use self::{
    boot::Root,
    error::{Error, Result},
    resources::Resources,
    startup::Startup,
};

/// What most programs use.
pub mod prelude {
    pub use crate::{
        Error, Resources, Root, Startup,
        cap::{CPtr, Cap, Endpoint, Notification, Reply, Rights},
        print, println,
    };
}
