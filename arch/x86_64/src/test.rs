// SPDX-License-Identifier: MIT OR Apache-2.0

//! The machine under the portable kernel, on the host's model of the processor.
