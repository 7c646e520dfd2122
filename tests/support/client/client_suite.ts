import { deepEqual } from "node:assert/strict";
import { newOwner, type Owner } from "../accounts.ts";
import { anyGatewaySuite } from "../suite.ts";
import { runOnNode, usableNode, withSockets } from "./node.ts";
import type { Target } from "./scenarios.ts";

/**
 * Tests of the client against a gateway: each scenario on Deno, and all of them on Node.
 * @param set what `on_node.ts` calls these scenarios
 */
export function clientSuite(
  scenarios: Readonly<Record<string, (target: Target) => Promise<void>>>,
  set: "database" | "options" | "cache" | "storage" | "functions" | "realtime",
): void {
  const suite = anyGatewaySuite();
  const targetOf = ({ apiKey }: Owner): Target => ({ url: suite.gateway.url, apiKey });
  /** One namespace for all scenarios on Deno. */
  let made: Promise<Owner> | undefined;

  for (const [name, run] of Object.entries(scenarios)) {
    suite.test(`the client on Deno: ${name}`, async () => {
      await run(targetOf(await (made ??= newOwner(suite.gateway))));
    });
  }

  const onNode = "the client does on Node what it does on Deno";
  if (usableNode() === undefined) {
    Deno.test({ name: `${onNode} [needs node 20 or later on PATH]`, ignore: true, fn() {} });
    return;
  }
  suite.test(onNode, async () => {
    await using owner = await newOwner(suite.gateway);
    const { url, apiKey } = targetOf(owner);
    const env = { TARGET_URL: url, TARGET_KEY: apiKey, SCENARIOS: set };
    const results = await runOnNode("./on_node.ts", { ...env, ...(set === "realtime" && withSockets(usableNode())) });
    // Apart, since a comparison of everything is cut short before it comes to what differs.
    deepEqual(results.filter(({ problem }) => problem !== null), []);
    deepEqual(results.map(({ name }) => name), Object.keys(scenarios));
  }, { namespaces: 2 });
}
