import { deepEqual, equal } from "node:assert/strict";
import { MeshNode, type MeshNodeOptions } from "./support/mesh_node.ts";
import { type Machine, networkTest } from "./support/network.ts";
import { until } from "./support/wait.ts";

const keyOf = (byte: number) => new Uint8Array(32).fill(byte).toHex();

/** Runs a test with a gateway on each machine. */
async function onEach(
  machines: readonly Machine[],
  options: (machine: number) => Partial<MeshNodeOptions>,
  run: (...nodes: MeshNode[]) => Promise<void>,
): Promise<void> {
  const nodes: MeshNode[] = [], folders: string[] = [];
  try {
    for (const [i, machine] of machines.entries()) {
      const folder = await Deno.makeTempDir({ prefix: "orama-mesh-" });
      folders.push(folder);
      const listen = `/ip4/${machine.address}/tcp/0`;
      nodes.push(await MeshNode.start({ folder, networkKey: keyOf(7), listen, ...options(i) }, machine));
    }
    await run(...nodes);
  } finally {
    for (const node of nodes) await node.kill();
    for (const folder of folders) await Deno.remove(folder, { recursive: true });
  }
}

networkTest(
  import.meta.url,
  "gateways on one local network find each other by multicast; one with another network key finds nobody",
  [],
  3,
  async ({ machines }) => {
    for (const machine of machines) {
      const [program, ...args] = machine.run(["ip", "route", "add", "224.0.0.0/4", "dev", "eth0"]);
      equal((await new Deno.Command(program!, { args }).output()).code, 0);
    }
    const options = (i: number) => ({ mdns: true, ...(i === 2 && { networkKey: keyOf(8) }) });
    await onEach(machines, options, async (one, two, stranger) => {
      await one!.isLinkedTo(two!);
      deepEqual([(await one!.see()).peers, (await stranger!.see()).peers], [[two!.id], []]);
    });
  },
);

networkTest(
  import.meta.url,
  "a wire that is cut without a word: the gateway behind it is missed, nobody else is, and it is linked anew when it is mended",
  [],
  3,
  async (network) => {
    await onEach(network.machines, () => ({}), async (...nodes) => {
      const [one, two, far] = nodes as [MeshNode, MeshNode, MeshNode];
      for (const node of nodes) await node.know(...nodes);
      for (const node of nodes) await node.isLinkedTo(...nodes.filter((other) => other !== node));
      await network.cut(network.machines[2]!);
      for (const [node, missed] of [[one, far], [two, far], [far, one], [far, two]] as const) {
        await until("it is missed", async () => !(await node.see()).peers.includes(missed.id));
      }
      deepEqual((await one.see()).unlinked, { [far.id]: 1 });
      await network.mend(network.machines[2]!);
      for (const node of [one, two]) {
        await until("it is linked anew", async () => (await node.see()).links.includes(far.id));
      }
      await far.run({ do: "send", to: one.id, count: 1_000, bytes: 100 });
      await until("its frames come", async () => {
        const seen = (await one.see()).frames[far.id];
        return seen?.count === 1_000 && seen.inOrder;
      });
    });
  },
);
