"""The scheduling strategy {{name}}: what the host asks once, when it loads the file, and at each decision."""

import strategy
from wit_world.exports import SchedulingGuest as Interface
from wit_world.exports.scheduling_guest import Decision, Load, WaitingRequest
from wit_world.imports.types import Descriptor


class SchedulingGuest(Interface):
    def describe(self) -> Descriptor:
        return Descriptor(
            name="{{name}}",
            version="0.1.0",
            summary="By priority, then first come.",
            settings_schema="{}",
            wants=[],
            ext=None,
        )

    def order(self, waiting: list[WaitingRequest], load: Load) -> list[Decision]:
        return strategy.order(waiting, load)
