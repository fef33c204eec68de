//! The scheduling strategy `fcfs`. First come, first served.
//!
//! The work is done in `atoll-plugin-scheduling-common`; this is its form as a plugin.

#![forbid(unsafe_code)]

use atoll_sdk::scheduling::{Decision, Load, Scheduling, WaitingRequest};
use atoll_sdk::types::{Descriptor, Error};

/// The strategy, as the host sees it.
pub struct Fcfs;

impl Scheduling for Fcfs {
    fn describe() -> Descriptor {
        Descriptor::new(
            "fcfs",
            env!("CARGO_PKG_VERSION"),
            "First come, first served.",
        )
        .with_settings_schema(atoll_sdk::settings::NONE)
    }

    fn order(waiting: Vec<WaitingRequest>, load: Load) -> Result<Vec<Decision>, Error> {
        Ok(atoll_plugin_scheduling_common::fcfs(waiting, &load))
    }
}

atoll_sdk::export_scheduling!(Fcfs);
