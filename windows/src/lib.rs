//! What Windows knows of this process and of its network adapters. A crate of its own, since it needs unsafe code;
//! empty on other systems.

#![cfg(windows)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod adapters;
mod process;

pub use adapters::{Adapter, adapters, suffixes};
pub use process::Process;
