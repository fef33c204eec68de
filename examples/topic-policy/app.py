"""A filter that refuses requests about topics an organisation does not serve.

Settings (`[[filter]]` in the configuration):

    [[filter]]
    plugin = "topic-policy"
    [filter.settings]
    message = "We do not talk about that here."
    topics = { weapons = ["grenade", "ammunition"], gambling = ["roulette"] }

A topic matches when one of its words stands in the conversation, whatever its case. How often each
topic was refused is kept in the plugin's own store, over requests, and reported to the log.
"""

import filter_guest as implementation
from wit_world.exports import FilterGuest as Interface
from wit_world.exports.filter_guest import FilterDescriptor, Interests
from wit_world.imports.types import Descriptor, Grant_Config, Grant_Kv, Grant_Log, Want

SETTINGS_SCHEMA = """{
  "type": "object",
  "additionalProperties": false,
  "required": ["topics"],
  "properties": {
    "message": { "type": "string", "default": "This topic is not served here." },
    "topics": {
      "type": "object",
      "description": "Words by topic.",
      "additionalProperties": { "type": "array", "items": { "type": "string", "minLength": 1 } }
    }
  }
}"""


class FilterGuest(Interface):
    """What the host asks once, when it loads the file. Returns constants."""

    def describe(self) -> FilterDescriptor:
        return FilterDescriptor(
            plugin=Descriptor(
                name="topic-policy",
                version="0.1.0",
                summary="Refuses requests about topics that are not served.",
                settings_schema=SETTINGS_SCHEMA,
                wants=[
                    Want(Grant_Config(), "To know the topics."),
                    Want(Grant_Kv(), "To count refusals over requests."),
                    Want(Grant_Log(), "To report the counts."),
                ],
                ext=None,
            ),
            sees=Interests.REQUESTS,
            max_held_bytes=0,
        )


# The host looks for an exported resource in a module named like its interface.
Session = implementation.Session
