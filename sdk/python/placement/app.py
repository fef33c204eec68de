"""The placement strategy {{name}}: what the host asks once, when it loads the file, and for each model."""

import strategy
from wit_world.exports import PlacementGuest as Interface
from wit_world.exports.placement_guest import ModelFacts, Options, Plan, Topology
from wit_world.imports.types import Descriptor


class PlacementGuest(Interface):
    def describe(self) -> Descriptor:
        return Descriptor(
            name="{{name}}",
            version="0.1.0",
            summary="Everything on the roomiest node.",
            settings_schema="{}",
            wants=[],
            ext=None,
        )

    def propose(
        self, topology: Topology, model: ModelFacts, options: Options, previous: Plan | None
    ) -> list[Plan]:
        return strategy.propose(topology, model, options)
