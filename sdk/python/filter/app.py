"""The filter {{name}}: what the host asks once, when it loads the file."""

import filter_guest as implementation
from wit_world.exports import FilterGuest as Interface
from wit_world.exports.filter_guest import FilterDescriptor, Interests
from wit_world.imports.types import Descriptor, Grant_Config, Want

# JSON Schema of the settings. The host checks them before the plugin sees them.
SETTINGS_SCHEMA = """{
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "note": { "type": "string", "default": "Answer briefly." }
  }
}"""


class FilterGuest(Interface):
    def describe(self) -> FilterDescriptor:
        return FilterDescriptor(
            plugin=Descriptor(
                name="{{name}}",
                version="0.1.0",
                summary="Adds a note to what the model is told.",
                settings_schema=SETTINGS_SCHEMA,
                wants=[Want(Grant_Config(), "To know the note.")],
                ext=None,
            ),
            sees=Interests.REQUESTS,
            max_held_bytes=0,
        )


# The host looks for an exported resource in a module named like its interface.
Session = implementation.Session
