import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { awaitedLater } from "../support/awaited_later.ts";
import type { Misdeed } from "./support/mesh_hostile.ts";
import { MeshNode, type MeshNodeOptions } from "./support/mesh_node.ts";
import { Hopeless, until } from "./support/wait.ts";

const MIB = 2 ** 20;
const keyOf = (byte: number) => new Uint8Array(32).fill(byte).toHex();
const NETWORK = keyOf(7), ELSEWHERE = keyOf(8);

/** Gateways that end with the test. */
class Nodes implements AsyncDisposable {
  readonly #started: MeshNode[] = [];
  readonly #folders: string[] = [];

  /** Starts one with a name of its own. */
  async start(options: Partial<MeshNodeOptions> = {}): Promise<MeshNode> {
    const node = await MeshNode.start({
      folder: options.folder ?? await this.folder(),
      networkKey: NETWORK,
      ...options,
    });
    this.#started.push(node);
    return node;
  }

  /** Starts several that know each other, and waits until they are linked. */
  async linked(count: number, options: Partial<MeshNodeOptions> = {}): Promise<MeshNode[]> {
    const nodes = await Promise.all(Array.from({ length: count }, () => this.start(options)));
    await Promise.all(nodes.map((node) => node.know(...nodes)));
    await Promise.all(nodes.map((node) => node.isLinkedTo(...nodes.filter((other) => other !== node))));
    return nodes.sort((a, b) => a.id < b.id ? -1 : 1);
  }

  async folder(): Promise<string> {
    const folder = await Deno.makeTempDir({ prefix: "orama-mesh-" });
    this.#folders.push(folder);
    return folder;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#started.map((node) => node.kill()));
    for (const folder of this.#folders) await Deno.remove(folder, { recursive: true });
  }
}

const numbers = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i);

/** Waits until a gateway has so many frames of another, in order, over one link. */
async function hasFrames(node: MeshNode, from: MeshNode, count: number): Promise<void> {
  const before = (await node.see()).linked[from.id];
  await until(`${count} frames have come`, async () => {
    const { frames, linked, unlinked } = await node.see();
    const seen = frames[from.id];
    if (linked[from.id] !== before) throw new Hopeless(`the link was lost ${unlinked[from.id]} times`);
    if (seen?.inOrder === false) throw new Hopeless(`they are out of order after ${seen.count}`);
    if ((seen?.count ?? 0) < count) throw new Error(`${seen?.count} have`);
    return true;
  });
  equal((await node.see()).frames[from.id]?.count, count);
}

Deno.test("gateways that know of each other link, and messages, frames and questions go between all of them", async () => {
  await using nodes = new Nodes();
  const all = await nodes.linked(3);
  await Promise.all(all.map((node) => node.run({ do: "join", channel: "c" })));
  const heard = async () => {
    await Promise.all(
      all.map((node, i) => node.run({ do: "publish", channel: "c", from: 1_000 * i, count: 1, bytes: 8 })),
    );
    const seen = await Promise.all(all.map((node) => node.see()));
    return seen.every(({ messages }) => Object.keys(messages).length === 2);
  };
  await until("each hears the two others", heard);
  for (const node of all) {
    for (const other of all.filter((one) => one !== node)) {
      deepEqual(await node.run({ do: "ask", to: other.id, bytes: 100, within: 5_000 }), { bytes: 100, number: 7 });
    }
  }
  const [one, two] = all as [MeshNode, MeshNode];
  await two.run({ do: "leave", channel: "c" });
  await until("nobody is sent what nobody takes", async () => {
    const before = (await two.see()).messages[`c ${one.id}`]?.length;
    await one.run({ do: "publish", channel: "c", from: 0, count: 10, bytes: 8 });
    await two.run({ do: "ask", to: one.id, bytes: 8, within: 5_000 });
    return (await two.see()).messages[`c ${one.id}`]?.length === before;
  });
  for (const { caught, errors } of await Promise.all(all.map((node) => node.see()))) {
    deepEqual([caught, errors], [0, []]);
  }
});

Deno.test("10,000 frames over each link come once each and in their order, with 10,000 messages between them", async () => {
  await using nodes = new Nodes();
  const all = await nodes.linked(3);
  await Promise.all(all.map((node) => node.run({ do: "join", channel: "c" })));
  const [publisher] = all as [MeshNode];
  await Promise.all([
    publisher.run({ do: "publish", channel: "c", from: 0, count: 10_000, bytes: 128 }),
    ...all.flatMap((node) =>
      all.filter((other) => other !== node).map(({ id }) => node.run({ do: "send", to: id, count: 10_000, bytes: 128 }))
    ),
  ]);
  for (const node of all) {
    for (const other of all.filter((one) => one !== node)) await hasFrames(node, other, 10_000);
    const { messages, unlinked } = await node.see();
    const came = new Set(messages[`c ${publisher.id}`]);
    ok(node === publisher ? came.size === 0 : came.size > 0 && came.size <= 10_000);
    deepEqual(unlinked, {});
  }
});

Deno.test("1 MiB goes through channels, links and questions; more does not, and harms nothing", async () => {
  await using nodes = new Nodes();
  const [one, two] = await nodes.linked(2) as [MeshNode, MeshNode];
  await Promise.all([one, two].map((node) => node.run({ do: "join", channel: "c" })));
  await until("the channel is open", async () => {
    await one.run({ do: "publish", channel: "c", from: 0, count: 1, bytes: 8 });
    return (await two.see()).messages[`c ${one.id}`] !== undefined;
  });
  const big = async () => ((await two.see()).messages[`c ${one.id}`] ?? []).filter((number) => number >= 100);
  for (const from of [100, 110]) {
    await one.run({ do: "publish", channel: "c", from, count: 10, bytes: MIB });
    await until("they have come", async () => (await big()).length === from - 90);
  }
  await one.run({ do: "publish", channel: "c", from: 200, count: 1, bytes: 2 * MIB });
  await one.run({ do: "publish", channel: "c", from: 300, count: 1, bytes: 8 });
  await until("the last has come", async () => (await big()).includes(300));
  deepEqual((await big()).toSorted((a, b) => a - b), [...numbers(100, 20), 300]);

  await one.run({ do: "send", to: two.id, count: 12, bytes: MIB });
  await one.run({ do: "send", to: two.id, count: 1, bytes: 2 * MIB });
  await hasFrames(two, one, 12);
  deepEqual(await one.run({ do: "ask", to: two.id, bytes: MIB, within: 5_000 }), { bytes: MIB, number: 7 });
  await rejects(one.run({ do: "ask", to: two.id, bytes: 2 * MIB, within: 5_000 }));
});

Deno.test("a gateway that is killed is missed at once, and one that comes back under its name is linked anew", async () => {
  await using nodes = new Nodes();
  const folder = await nodes.folder();
  const [one, two] = await nodes.linked(2) as [MeshNode, MeshNode];
  const victim = await nodes.start({ folder });
  await Promise.all([one, two].map((node) => node.know(one, two, victim)));
  await victim.isLinkedTo(one, two);
  await victim.kill();
  for (const node of [one, two]) {
    await until("it is missed", async () => !(await node.see()).links.includes(victim.id), 5_000);
    equal((await node.see()).unlinked[victim.id], 1);
  }
  await one.run({ do: "send", to: two.id, count: 1_000, bytes: 100 });
  await hasFrames(two, one, 1_000);
  const again = await nodes.start({ folder });
  equal(again.id, victim.id);
  await Promise.all([one, two].map((node) => node.know(one, two, again)));
  for (const node of [one, two]) await node.isLinkedTo(again);
  await again.run({ do: "send", to: one.id, count: 100, bytes: 100 });
  await hasFrames(one, again, 100);
});

Deno.test("a gateway that stands still is cut, without harm to the others, and linked anew when it goes on", async () => {
  await using nodes = new Nodes();
  const [one, two, still] = await nodes.linked(3, { maxQueue: 4 * MIB }) as [MeshNode, MeshNode, MeshNode];
  still.signal("SIGSTOP");
  await one.run({ do: "send", to: still.id, count: 40, bytes: MIB, burst: 1 });
  await until("its link is cut because too much waits", async () => (await one.see()).cuts > 0);
  await one.run({ do: "send", to: two.id, count: 5_000, bytes: 100 });
  await hasFrames(two, one, 5_000);
  const [asked] = await Promise.allSettled([one.run({ do: "ask", to: still.id, bytes: 8, within: 1_000 })]);
  equal(asked!.status, "rejected");
  await until("nobody holds it for connected", async () => {
    const seen = await Promise.all([one.see(), two.see()]);
    return seen.every(({ peers }) => !peers.includes(still.id));
  });
  still.signal("SIGCONT");
  await Promise.all([one, two].map((node) => node.isLinkedTo(still)));
  await still.run({ do: "send", to: one.id, count: 100, bytes: 100 });
  await hasFrames(one, still, 100);
});

Deno.test("a stranger with another network key is told nothing that a closed port would not tell, and is counted", async () => {
  await using nodes = new Nodes();
  const [one, two] = await nodes.linked(2) as [MeshNode, MeshNode];
  const stranger = await nodes.start({ networkKey: ELSEWHERE });
  const closed = one.addresses[0]!.replace(/tcp\/\d+/, "tcp/1");
  const errors: string[] = [];
  for (const address of [one.addresses[0]!, closed]) {
    const [outcome] = await Promise.allSettled([stranger.run({ do: "connect", address })]);
    ok(outcome?.status === "rejected");
    errors.push(String(outcome.reason));
  }
  equal(errors[0], errors[1]);
  match(errors[0]!, /no gateway of this network answered/);
  await stranger.know(one, two);
  await until("it is counted", async () => (await one.see()).refused["stranger"]! > 0);
  const [seen, its] = [await one.see(), await stranger.see()];
  deepEqual([seen.peers, its.peers, seen.caught, seen.errors], [[two.id], [], 0, []]);
});

Deno.test("who speaks no libp2p, or none of it to the end, is let go and does not keep others out", async () => {
  await using nodes = new Nodes();
  const [one, two] = await nodes.linked(2) as [MeshNode, MeshNode];
  const port = Number(/tcp\/(\d+)/.exec(one.addresses[0]!)![1]);
  const silent: Deno.TcpConn[] = [];
  try {
    for (let i = 0; i < 300; i++) silent.push(await Deno.connect({ hostname: "127.0.0.1", port }));
    for (const [i, connection] of silent.entries()) {
      if (i % 3 === 0) continue;
      const bytes = i % 3 === 1
        ? crypto.getRandomValues(new Uint8Array(5_000))
        : new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n");
      await connection.write(bytes).catch(() => {});
    }
    await one.run({ do: "send", to: two.id, count: 1_000, bytes: 100 });
    await hasFrames(two, one, 1_000);
    const late = await nodes.start();
    await Promise.all([one, late].map((node) => node.know(one, two, late)));
    await late.isLinkedTo(one);
    const seen = await one.see();
    deepEqual([seen.caught, seen.errors, one.exited], [0, [], false]);
  } finally {
    for (const connection of silent) connection.close();
  }
});

/** What is done to a gateway, and how that counts; undefined: it is borne, at the pace that it may have. */
const MISDEEDS: Readonly<Record<Misdeed, string | undefined>> = {
  "garbage on gossip": "garbage",
  "an endless frame of gossip": "oversize",
  "messages that nobody signed": "garbage",
  "a frame beyond the bound on a link": "oversize",
  "links without end": "streams",
  "a question beyond the bound": "oversize",
  "questions that never end": "stalled",
  "streams without end": "streams",
  "a yamux frame of 4 GiB": "oversize",
  "pings without end": undefined,
  "more than a peer may send": undefined,
};

for (const [deed, counted] of Object.entries(MISDEEDS) as [Misdeed, string | undefined][]) {
  Deno.test(`a gateway of the network that goes wrong: ${deed}. Its victim lives, counts it, and others feel nothing`, async () => {
    await using nodes = new Nodes();
    // Links are opened by the one whose name comes first.
    const [hostile, victim, bystander] = await nodes.linked(3) as [MeshNode, MeshNode, MeshNode];
    const doing = awaitedLater(hostile.run({ do: "misbehave", to: victim.id, deed }));
    await bystander.run({ do: "send", to: victim.id, count: 2_000, bytes: 100 });
    await hasFrames(victim, bystander, 2_000);
    if (counted !== undefined) {
      await until("it is counted", async () => (await victim.see()).refused[counted]! > 0);
    }
    const told = await doing;
    if (counted === undefined) equal(told, "done");
    deepEqual(await bystander.run({ do: "ask", to: victim.id, bytes: 8, within: 5_000 }), { bytes: 8, number: 7 });
    const seen = await victim.see();
    deepEqual([victim.exited, seen.caught, seen.unlinked[bystander.id] ?? 0], [false, 0, 0]);
  });
}
