import { equal, rejects } from "node:assert/strict";
import { OlricTestNode } from "./olric.ts";
import { until } from "./wait.ts";

/** A member whose program ends at once. */
async function ending(run: (node: OlricTestNode, starts: () => number) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  // Nobody listens on port 1.
  const command = ["sh", "-c", "echo started; exit 1"];
  const node = new OlricTestNode("m0", "127.0.0.1:1", command, `${folder}/log`, undefined);
  try {
    await run(node, () => Deno.readTextFileSync(`${folder}/log`).split("started").length - 1);
  } finally {
    await node.kill();
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a member that ends before it is ready is started again, but not for ever; asked for anew, it is", () =>
  ending(async (node, starts) => {
    for (const total of [6, 12]) {
      await node.start();
      await rejects(until("it is ready", async () => await node.members() > 0), /ended by itself, again and again/);
      equal(starts(), total);
    }
  }));

Deno.test("a member that ends after it was ready is not started again behind a test's back", () =>
  ending(async (node, starts) => {
    await node.start();
    node.settle();
    await rejects(
      until("it is ready", async () => await node.members() > 0),
      /ended by itself, after it had been ready/,
    );
    equal(starts(), 1);
  }));
