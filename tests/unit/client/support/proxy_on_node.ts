import process from "node:process";
import { PROXY_HOSTILE_SCENARIOS } from "./proxy_hostile_scenarios.ts";

/** Runs the scenarios of the proxy, and tells what became of each in one line of JSON. Bundled for Node by its test. */
const target = { url: process.env.TARGET_URL ?? "" };
for (const [name, run] of Object.entries(PROXY_HOSTILE_SCENARIOS)) {
  const problem = await run(target).then(() => null, (error) => String(error instanceof Error ? error.stack : error));
  process.stdout.write(`${JSON.stringify({ name, problem })}\n`);
}
