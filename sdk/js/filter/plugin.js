// The filter {{name}}: adds a note to what the model is told.
//
// The host makes a fresh instance for each request, so state is nobody else's. Nothing here may ask the
// engine for the time or for random numbers: it was started when the plugin was built, and both have
// stood still since. The host's `clock` and `random` go on.
//
// To refuse a request, throw one of the contract's errors: { kind: { tag: "blocked" }, message: "why" }.
// Whatever else is thrown is a fault of the plugin.

import { settings } from "atoll:plugin/config@0.1.0";

import { addNote } from "./note.js";

// JSON Schema of the settings. The host checks them before the plugin sees them.
const SETTINGS_SCHEMA = {
  type: "object",
  additionalProperties: false,
  properties: { note: { type: "string", default: "Answer briefly." } },
};

function describe() {
  return {
    plugin: {
      name: "{{name}}",
      version: "0.1.0",
      summary: "Adds a note to what the model is told.",
      settingsSchema: JSON.stringify(SETTINGS_SCHEMA),
      wants: [{ grant: { tag: "config" }, reason: "To know the note." }],
    },
    sees: { requests: true, events: false },
    maxHeldBytes: 0,
  };
}

class Session {
  static open(context) {
    return new Session(JSON.parse(settings()).note);
  }

  constructor(note) {
    this.note = note;
  }

  onRequest(request) {
    return addNote(request, this.note);
  }

  onEvents(events) {
    return events;
  }

  findings() {
    return [];
  }
}

export const filterGuest = { describe, Session };
