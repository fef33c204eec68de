//! The scheduling strategy `fair`. Turns between keys: whoever was given least lately goes next.
//!
//! The work is done in `atoll-plugin-scheduling-common`; this is its form as a plugin.

#![forbid(unsafe_code)]

use atoll_sdk::scheduling::{Decision, Load, Scheduling, WaitingRequest};
use atoll_sdk::types::{Descriptor, Error};

/// The strategy, as the host sees it.
pub struct Fair;

impl Scheduling for Fair {
    fn describe() -> Descriptor {
        Descriptor::new(
            "fair",
            env!("CARGO_PKG_VERSION"),
            "Turns between keys: whoever was given least lately goes next.",
        )
        .with_settings_schema(atoll_sdk::settings::NONE)
    }

    fn order(waiting: Vec<WaitingRequest>, load: Load) -> Result<Vec<Decision>, Error> {
        Ok(atoll_plugin_scheduling_common::fair(waiting, &load))
    }
}

atoll_sdk::export_scheduling!(Fair);
