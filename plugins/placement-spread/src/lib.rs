//! The placement strategy `spread`. A part of the model on as many nodes as possible, in proportion to their memory.
//!
//! The work is done in `atoll-plugin-placement-common`; this is its form as a plugin.

#![forbid(unsafe_code)]

use atoll_plugin_placement_common::strategy;
use atoll_sdk::placement::{ModelFacts, Options, Placement, Plan, Topology};
use atoll_sdk::types::{Descriptor, Error};

/// The strategy, as the host sees it.
pub struct Spread;

impl Placement for Spread {
    fn describe() -> Descriptor {
        Descriptor::new(
            "spread",
            env!("CARGO_PKG_VERSION"),
            "A part of the model on as many nodes as possible, in proportion to their memory.",
        )
        .with_settings_schema(atoll_sdk::settings::NONE)
    }

    fn propose(
        topology: Topology,
        model: ModelFacts,
        options: Options,
        previous: Option<Plan>,
    ) -> Result<Vec<Plan>, Error> {
        strategy::spread(&topology, &model, &options, previous.as_ref())
    }
}

atoll_sdk::export_placement!(Spread);
