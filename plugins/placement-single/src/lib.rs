//! The placement strategy `single`. The whole model on the fastest node that holds it.
//!
//! The work is done in `atoll-plugin-placement-common`; this is its form as a plugin.

#![forbid(unsafe_code)]

use atoll_plugin_placement_common::strategy;
use atoll_sdk::placement::{ModelFacts, Options, Placement, Plan, Topology};
use atoll_sdk::types::{Descriptor, Error};

/// The strategy, as the host sees it.
pub struct Single;

impl Placement for Single {
    fn describe() -> Descriptor {
        Descriptor::new(
            "single",
            env!("CARGO_PKG_VERSION"),
            "The whole model on the fastest node that holds it.",
        )
        .with_settings_schema(atoll_sdk::settings::NONE)
    }

    fn propose(
        topology: Topology,
        model: ModelFacts,
        options: Options,
        previous: Option<Plan>,
    ) -> Result<Vec<Plan>, Error> {
        strategy::single(&topology, &model, &options, previous.as_ref())
    }
}

atoll_sdk::export_placement!(Single);
