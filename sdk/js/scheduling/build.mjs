// Builds the component: node build.mjs [output]
//
// What the engine would import from WASI is left out, so that the component imports what its world in
// wit/ says and nothing else.

import { componentize } from "@bytecodealliance/componentize-js";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";

const here = import.meta.dirname;
const { component } = await componentize({
  sourcePath: join(here, "plugin.js"),
  witPath: join(here, "wit"),
  worldName: "plugin",
  disableFeatures: ["clocks", "http", "random", "stdio", "fetch-event"],
});
await writeFile(process.argv[2] ?? "{{name}}.wasm", component);
