//! The scheduling strategy `shortest-first`. The shortest work first; waiting makes work count as shorter.
//!
//! The work is done in `atoll-plugin-scheduling-common`; this is its form as a plugin.

#![forbid(unsafe_code)]

use atoll_sdk::scheduling::{Decision, Load, Scheduling, WaitingRequest};
use atoll_sdk::types::{Descriptor, Error};

/// The strategy, as the host sees it.
pub struct ShortestFirst;

impl Scheduling for ShortestFirst {
    fn describe() -> Descriptor {
        Descriptor::new(
            "shortest-first",
            env!("CARGO_PKG_VERSION"),
            "The shortest work first; waiting makes work count as shorter.",
        )
        .with_settings_schema(atoll_sdk::settings::NONE)
    }

    fn order(waiting: Vec<WaitingRequest>, load: Load) -> Result<Vec<Decision>, Error> {
        Ok(atoll_plugin_scheduling_common::shortest_first(
            waiting, &load,
        ))
    }
}

atoll_sdk::export_scheduling!(ShortestFirst);
