import { deepEqual, equal, ok } from "node:assert/strict";
import { Members, type RqliteNode } from "../../../services/rqlite/members.ts";
import { until } from "../../engines/support/wait.ts";

const none: ReadonlySet<string> = new Set();

/** A cluster that is only told about, and a clock that is set by hand. */
function setUp(configured: readonly string[], all: readonly string[] = configured) {
  const world = {
    now: 1_000_000,
    leader: undefined as string | undefined,
    /** Nodes that answer questions. */
    alive: new Set(all),
    looks: 0,
    probes: 0,
  };
  const answering = (url: string) => world.alive.has(url) ? Promise.resolve() : Promise.reject(new Error("no answer"));
  const members = new Members(configured, {
    async list(url): Promise<RqliteNode[]> {
      world.looks++;
      await answering(url);
      return all.map((one) => ({
        id: one,
        url: one,
        voter: true,
        reachable: world.alive.has(one),
        leader: one === world.leader,
      }));
    },
    probe(url) {
      world.probes++;
      return answering(url);
    },
  }, () => world.now);
  const picks = (count: number, anyNode = false, tried = none) =>
    Array.from({ length: count }, () => members.pick(anyNode, tried));
  const settle = () =>
    until("the look is over", async () => (await Promise.resolve(), members.leader === world.leader), 1_000);
  return { world, members, picks, settle };
}

Deno.test("members are asked in turn until the leader is known, and then the leader is preferred", async () => {
  const { world, picks, settle } = setUp(["a", "b", "c"]);
  world.leader = "b";
  deepEqual(picks(3), ["a", "b", "c"]);
  await settle();
  deepEqual(picks(3), ["b", "b", "b"]);
  deepEqual(new Set(picks(3, true)), new Set(["a", "b", "c"]));
});

Deno.test("members that were tried by this call come last, the leader among them", async () => {
  const { world, members, picks, settle } = setUp(["a", "b", "c"]);
  world.leader = "b";
  picks(1);
  await settle();
  equal(members.pick(false, new Set(["b", "c"])), "a");
  ok(["a", "b", "c"].includes(members.pick(false, new Set(["a", "b", "c"]))));
});

/** Lets everything happen that waits for nothing. */
const turn = () => new Promise((resolve) => setTimeout(resolve, 0));

Deno.test("members are probed before they are relied on; until then any of them is asked", async () => {
  const { world, picks } = setUp(["a", "b", "c"]);
  world.alive.delete("b");
  deepEqual(new Set(picks(3)), new Set(["a", "b", "c"]));
  equal(world.probes, 3);
  await turn();
  deepEqual(new Set(picks(4)), new Set(["a", "c"]));
  equal(world.probes, 3);
});

Deno.test("members that do not answer are left alone, each time longer, until a probe succeeds", async () => {
  const { world, members, picks } = setUp(["a", "b"]);
  picks(1);
  await turn();
  world.alive.delete("a");
  members.silent("a");
  members.silent("a");
  const before = world.probes;
  const probesAfter = async (milliseconds: number) => {
    world.now += milliseconds;
    deepEqual(picks(2), ["b", "b"]);
    await turn();
    return world.probes - before;
  };
  equal(await probesAfter(499), 0);
  equal(await probesAfter(1), 1);
  equal(await probesAfter(999), 1);
  equal(await probesAfter(1), 2);
  equal(await probesAfter(1_999), 2);
  world.alive.add("a");
  equal(await probesAfter(1), 3);
  deepEqual(new Set(picks(2)), new Set(["a", "b"]));
});

Deno.test("members that do not answer are asked all the same when nobody else is left", async () => {
  const { members, picks } = setUp(["a", "b"]);
  picks(1);
  await turn();
  members.silent("a");
  members.silent("b");
  deepEqual(new Set(picks(2)), new Set(["a", "b"]));
});

Deno.test("a leader that went silent is not preferred any more, and the next one is found", async () => {
  const { world, members, picks, settle } = setUp(["a", "b", "c"]);
  world.leader = "a";
  picks(1);
  await settle();
  world.alive.delete("a");
  world.now += 200;
  members.silent("a");
  equal(members.leader, undefined);
  await until("the others were asked", () => world.looks > 3);
  deepEqual(new Set(picks(4)), new Set(["b", "c"]));
  world.leader = "c";
  await until("the new leader is found", () => {
    world.now += 101;
    members.leaderless("b");
    return members.leader === "c";
  }, 1_000);
  deepEqual(picks(2), ["c", "c"]);
});

Deno.test("a leader stays preferred when another node has not heard of it, and not when it says itself that it does not lead", async () => {
  const { world, members, picks, settle } = setUp(["a", "b"]);
  world.leader = "a";
  picks(1);
  await settle();
  members.leaderless("b");
  equal(members.leader, "a");
  members.leaderless("a");
  equal(members.leader, undefined);
});

Deno.test("a leader that the others name but that does not answer us is not taken", async () => {
  const { world, members, picks } = setUp(["a", "b"], ["a", "b", "z"]);
  world.leader = "z";
  world.alive.delete("z");
  picks(1);
  await until("both were asked", () => world.looks === 2);
  await turn();
  equal(members.leader, undefined);
});

Deno.test("members that were not configured are learned", async () => {
  const { world, members, picks, settle } = setUp(["a"], ["a", "b", "c"]);
  world.leader = "c";
  deepEqual(picks(2), ["a", "a"]);
  await settle();
  deepEqual(members.urls, ["a", "b", "c"]);
  deepEqual(picks(2, true), ["a", "c"]);
  await turn();
  deepEqual(new Set(picks(3, true)), new Set(["a", "b", "c"]));
});

Deno.test("the leader is looked for again while it is used, once in five seconds", async () => {
  const { world, members, picks, settle } = setUp(["a", "b"]);
  world.leader = "a";
  picks(10);
  await settle();
  equal(world.looks, 2);
  world.leader = "b";
  world.now += 5_000;
  picks(1);
  equal(members.leader, "a");
  world.now += 1;
  picks(1);
  await settle();
  equal(members.leader, "b");
  equal(world.looks, 4);
});

Deno.test("without a leader it is looked for once in a second", async () => {
  const { world, members, picks, settle } = setUp(["a", "b"]);
  picks(10);
  await until("both were asked", () => world.looks === 2);
  await turn();
  world.leader = "b";
  world.now += 1_000;
  picks(10);
  equal(world.looks, 2);
  world.now += 1;
  picks(1);
  await settle();
  equal(members.leader, "b");
});

Deno.test("a leader that many requests miss at once is looked for once", async () => {
  const { world, members, picks } = setUp(["a", "b"]);
  picks(1);
  await until("the look is over", async () => {
    await turn();
    return world.looks === 2;
  });
  for (let i = 0; i < 50; i++) members.leaderless("a");
  equal(world.looks, 2);
  world.now += 101;
  for (let i = 0; i < 50; i++) members.leaderless("a");
  equal(world.looks, 4);
});

Deno.test("nothing is looked for after close()", () => {
  const { world, members, picks } = setUp(["a"]);
  members.close();
  picks(3);
  members.leaderless("a");
  equal(world.looks, 0);
});
