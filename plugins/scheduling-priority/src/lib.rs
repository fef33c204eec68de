//! The scheduling strategy `priority`. Larger priorities first, then first come.
//!
//! The work is done in `atoll-plugin-scheduling-common`; this is its form as a plugin.

#![forbid(unsafe_code)]

use atoll_sdk::scheduling::{Decision, Load, Scheduling, WaitingRequest};
use atoll_sdk::types::{Descriptor, Error};

/// The strategy, as the host sees it.
pub struct Priority;

impl Scheduling for Priority {
    fn describe() -> Descriptor {
        Descriptor::new(
            "priority",
            env!("CARGO_PKG_VERSION"),
            "Larger priorities first, then first come.",
        )
        .with_settings_schema(atoll_sdk::settings::NONE)
    }

    fn order(waiting: Vec<WaitingRequest>, load: Load) -> Result<Vec<Decision>, Error> {
        Ok(atoll_plugin_scheduling_common::priority(waiting, &load))
    }
}

atoll_sdk::export_scheduling!(Priority);
