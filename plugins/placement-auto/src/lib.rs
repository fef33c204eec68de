//! The placement strategy `auto`. The fastest plan for the objective: an exact search for up to about ten different nodes, several orders above.
//!
//! The work is done in `atoll-plugin-placement-common`; this is its form as a plugin.

#![forbid(unsafe_code)]

use atoll_plugin_placement_common::strategy;
use atoll_sdk::placement::{ModelFacts, Options, Placement, Plan, Topology};
use atoll_sdk::types::{Descriptor, Error};

/// The strategy, as the host sees it.
pub struct Auto;

impl Placement for Auto {
    fn describe() -> Descriptor {
        Descriptor::new(
            "auto",
            env!("CARGO_PKG_VERSION"),
            "The fastest plan for what is wished: short answers to one, or many tokens to all.",
        )
        .with_settings_schema(atoll_sdk::settings::NONE)
    }

    fn propose(
        topology: Topology,
        model: ModelFacts,
        options: Options,
        previous: Option<Plan>,
    ) -> Result<Vec<Plan>, Error> {
        strategy::auto(&topology, &model, &options, previous.as_ref())
    }
}

atoll_sdk::export_placement!(Auto);
