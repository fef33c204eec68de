//! The placement strategy `pack`. As few nodes as hold the model, each filled up before the next, so that others stay free.
//!
//! The work is done in `atoll-plugin-placement-common`; this is its form as a plugin.

#![forbid(unsafe_code)]

use atoll_plugin_placement_common::strategy;
use atoll_sdk::placement::{ModelFacts, Options, Placement, Plan, Topology};
use atoll_sdk::types::{Descriptor, Error};

/// The strategy, as the host sees it.
pub struct Pack;

impl Placement for Pack {
    fn describe() -> Descriptor {
        Descriptor::new(
            "pack",
            env!("CARGO_PKG_VERSION"),
            "As few nodes as hold the model, each filled up before the next, so that others stay free.",
        )
        .with_settings_schema(atoll_sdk::settings::NONE)
    }

    fn propose(
        topology: Topology,
        model: ModelFacts,
        options: Options,
        previous: Option<Plan>,
    ) -> Result<Vec<Plan>, Error> {
        strategy::pack(&topology, &model, &options, previous.as_ref())
    }
}

atoll_sdk::export_placement!(Pack);
