import { equal, rejects } from "node:assert/strict";
import { KeyUsage } from "../../../services/auth/key_usage.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { CONTEXT } from "../control_plane/support/context.ts";
import { ALICE, code, Node, principal } from "./support/node.ts";

const owner = principal({ wallet: ALICE, role: "owner" });

async function usageOf(keys: number) {
  const node = await Node.start();
  await node.namespace("shop", ALICE);
  const ids: string[] = [];
  for (let i = 0; i < keys; i++) ids.push((await node.apiKeys.create("shop", { name: `k${i}` }, owner, CONTEXT)).id);
  const usage = new KeyUsage(node.control, node.clock.now);
  const lastUsed = async (id: string) =>
    (await node.apiKeys.list("shop", { limit: 1000 }, CONTEXT)).find((key) => key.id === id)!.lastUsedAt;
  const writes = () =>
    node.control.calls.filter((sql) => sql.startsWith('update "api_keys" set "last_used_at"')).length;
  return { node, ids, usage, lastUsed, writes, [Symbol.asyncDispose]: () => node[Symbol.asyncDispose]() };
}

Deno.test("uses are gathered and written together, each key with its last", async () => {
  await using t = await usageOf(2);
  const [a, b] = t.ids as [string, string];
  for (let i = 0; i < 1_000; i++) t.usage.used(i % 2 === 0 ? a : b);
  t.node.clock.advance(5);
  t.usage.used(a);
  equal(t.writes(), 0, "a request writes nothing");
  await t.usage.flush();
  equal(t.writes(), 1);
  equal(await t.lastUsed(a), t.node.clock.time);
  equal(await t.lastUsed(b), t.node.clock.time - 5);
  await t.usage.flush();
  equal(t.writes(), 1, "nothing was used since");
});

Deno.test("a write that failed loses nothing", async () => {
  await using t = await usageOf(1);
  const [id] = t.ids as [string];
  t.usage.used(id);
  t.node.control.before = () => {
    throw new GatewayError("UNAVAILABLE", "down");
  };
  await rejects(t.usage.flush(), code("UNAVAILABLE"));
  t.node.control.before = () => {};
  await t.usage.flush();
  equal(await t.lastUsed(id), t.node.clock.time);
});

Deno.test("a use during a write is written with the next one", async () => {
  await using t = await usageOf(1);
  const [id] = t.ids as [string];
  t.usage.used(id);
  t.node.control.before = () => {
    t.node.control.before = () => {};
    t.node.clock.advance(10);
    t.usage.used(id);
  };
  await t.usage.flush();
  await t.usage.flush();
  equal(await t.lastUsed(id), t.node.clock.time);
});

Deno.test("an older use on this gateway does not take back a newer one on another", async () => {
  await using t = await usageOf(1);
  const [id] = t.ids as [string];
  const other = new KeyUsage(t.node.control, () => t.node.clock.time + 100);
  t.usage.used(id);
  other.used(id);
  await other.flush();
  await t.usage.flush();
  equal(await t.lastUsed(id), t.node.clock.time + 100);
});

Deno.test("one write holds a bounded number of keys, the next ones the others", async () => {
  await using t = await usageOf(1);
  for (let i = 0; i < 1_200; i++) t.usage.used(`key_${i}`);
  t.usage.used(t.ids[0]!);
  for (let i = 0; i < 3; i++) await t.usage.flush();
  equal(t.writes(), 3);
  equal(await t.lastUsed(t.ids[0]!), t.node.clock.time);
  await t.usage.flush();
  equal(t.writes(), 3);
});
