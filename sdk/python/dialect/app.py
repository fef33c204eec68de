"""The dialect {{name}}: what the host asks once, when it loads the file."""

import dialect_guest as implementation
from wit_world.exports import DialectGuest as Interface
from wit_world.exports.dialect_guest import DialectDescriptor, Route
from wit_world.imports.types import Descriptor


class DialectGuest(Interface):
    def describe(self) -> DialectDescriptor:
        return DialectDescriptor(
            plugin=Descriptor(
                name="{{name}}",
                version="0.1.0",
                summary="Text in, text out.",
                settings_schema="{}",
                # What of the host it uses, and why. To pull, copy, delete or load models, say
                # [Want(Grant_Other("manage-models"), "To ...")], both of wit_world.imports.types.
                wants=[],
                ext=None,
            ),
            routes=[Route(method="POST", path="/{{name}}/{model}", header=None)],
        )


# The host looks for an exported resource in a module named like its interface.
Exchange = implementation.Exchange
