// Builds the component: node build.mjs [output]
//
// The world it implements is in wit/, the contract in the folder that ATOLL_WIT names. All features
// of the engine that would import WASI are left out, so that the component imports nothing.

import { componentize } from "@bytecodealliance/componentize-js";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const here = import.meta.dirname;
const output = process.argv[2] ?? "cohere-chat.wasm";
const contract = process.env.ATOLL_WIT ?? join(here, "../../wit");

const temporary = await mkdtemp(join(tmpdir(), "atoll-js-"));
try {
  const wit = join(temporary, "wit");
  await cp(join(here, "wit"), wit, { recursive: true });
  await cp(contract, join(wit, "deps/atoll-plugin"), { recursive: true });
  const { component } = await componentize({
    sourcePath: join(here, "plugin.js"),
    witPath: wit,
    worldName: "cohere-chat",
    disableFeatures: ["clocks", "http", "random", "stdio", "fetch-event"],
  });
  await writeFile(output, component);
} finally {
  await rm(temporary, { recursive: true });
}
