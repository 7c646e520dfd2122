import process from "node:process";
import { CACHE_SCENARIOS } from "./cache_scenarios.ts";
import { FUNCTIONS_HOSTILE_SCENARIOS } from "./functions_hostile_scenarios.ts";
import { FUNCTIONS_SCENARIOS } from "./functions_scenarios.ts";
import { HOSTILE_SCENARIOS } from "./hostile_scenarios.ts";
import { KYSELY_SCENARIOS } from "./kysely_scenarios.ts";
import { OPTION_SCENARIOS } from "./option_scenarios.ts";
import { REALTIME_HOSTILE_SCENARIOS } from "./realtime_hostile_scenarios.ts";
import { REALTIME_SCENARIOS } from "./realtime_scenarios.ts";
import { SCENARIOS, type Target } from "./scenarios.ts";
import { STORAGE_HOSTILE_SCENARIOS } from "./storage_hostile_scenarios.ts";
import { STORAGE_SCENARIOS } from "./storage_scenarios.ts";

/** Runs a set of scenarios, and tells what became of each in one line of JSON. Bundled for Node by its tests. */
const target: Target = { url: process.env.TARGET_URL ?? "", apiKey: process.env.TARGET_KEY ?? "" };
const sets: Readonly<Record<string, Readonly<Record<string, (target: Target) => Promise<void>>>>> = {
  database: { ...SCENARIOS, ...KYSELY_SCENARIOS },
  options: OPTION_SCENARIOS,
  cache: CACHE_SCENARIOS,
  storage: STORAGE_SCENARIOS,
  functions: FUNCTIONS_SCENARIOS,
  realtime: REALTIME_SCENARIOS,
  hostile: HOSTILE_SCENARIOS,
  functions_hostile: FUNCTIONS_HOSTILE_SCENARIOS,
  storage_hostile: STORAGE_HOSTILE_SCENARIOS,
  realtime_hostile: REALTIME_HOSTILE_SCENARIOS,
};
for (const [name, run] of Object.entries(sets[process.env.SCENARIOS ?? ""] ?? {})) {
  const problem = await run(target).then(() => null, (error) => String(error instanceof Error ? error.stack : error));
  process.stdout.write(`${JSON.stringify({ name, problem })}\n`);
}
