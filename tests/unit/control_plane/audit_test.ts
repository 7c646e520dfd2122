import { deepEqual, equal } from "node:assert/strict";
import { ControlAuditLog, SYSTEM_CONTEXT } from "../../../services/control_plane/audit.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { TestClock } from "./support/clock.ts";
import { CONTEXT } from "./support/context.ts";
import { openControl } from "./support/control.ts";
import { WatchedControl } from "./support/doubles.ts";

async function logOf() {
  const control = await openControl();
  const clock = new TestClock();
  const audit = new ControlAuditLog(control, clock.now);
  const write = (namespace: string, resource: string, details = {}) =>
    control.run(audit.entry({ namespace, actor: "0xa", action: "thing.done", resource, details }, CONTEXT));
  const resources = async (page: { limit: number; before?: number }, namespace = "shop") =>
    (await audit.list(namespace, page, CONTEXT)).map(({ resource }) => resource);
  return { control, clock, audit, write, resources, [Symbol.asyncDispose]: () => control.close() };
}

Deno.test("an entry tells who did what to what, when, from where and in which request", async () => {
  await using t = await logOf();
  await t.write("shop", "key_1", { name: "ci", scopes: null });
  deepEqual(await t.audit.list("shop", { limit: 10 }, CONTEXT), [{
    id: 1,
    at: t.clock.time,
    actor: "0xa",
    action: "thing.done",
    resource: "key_1",
    address: CONTEXT.clientAddress,
    requestId: CONTEXT.requestId,
    details: { name: "ci", scopes: null },
  }]);
});

Deno.test("pages go from the newest to the oldest, without gaps and without doubles, while new entries come", async () => {
  await using t = await logOf();
  for (let i = 0; i < 7; i++) await t.write("shop", String(i));
  const first = await t.audit.list("shop", { limit: 3 }, CONTEXT);
  await t.write("shop", "late");
  const second = await t.audit.list("shop", { limit: 3, before: first.at(-1)!.id }, CONTEXT);
  const third = await t.audit.list("shop", { limit: 3, before: second.at(-1)!.id }, CONTEXT);
  deepEqual([...first, ...second, ...third].map(({ resource }) => resource), ["6", "5", "4", "3", "2", "1", "0"]);
  deepEqual(await t.resources({ limit: 3, before: third.at(-1)!.id }), []);
});

Deno.test("a namespace sees its own entries alone, though the numbers are everybody's", async () => {
  await using t = await logOf();
  await t.write("shop", "a");
  await t.write("Shop", "b");
  await t.write("other", "c");
  deepEqual(await t.resources({ limit: 10 }), ["a"]);
  deepEqual(await t.resources({ limit: 10, before: 3 }, "other"), []);
});

Deno.test("details of any text stay what they were", async () => {
  await using t = await logOf();
  const details = { name: `'"\\\n\u2028你\ud83d\ude00`, nested: { list: [1, null, "x"] } };
  await t.write("shop", "'; DROP TABLE audit_events; --", details);
  const [event] = await t.audit.list("shop", { limit: 1 }, CONTEXT);
  deepEqual([event!.details, event!.resource], [details, "'; DROP TABLE audit_events; --"]);
});

Deno.test("what the gateway does by itself comes from no address and no request", async () => {
  await using t = await logOf();
  await t.control.run(
    t.audit.entry({ namespace: "shop", actor: "system", action: "x.done", resource: "y" }, SYSTEM_CONTEXT),
  );
  const [event] = await t.audit.list("shop", { limit: 1 }, CONTEXT);
  equal(`${event!.address}${event!.requestId}`, "");
  deepEqual(event!.details, {});
});

Deno.test("an entry that is written by itself is there, or is told to be lost; the act it tells of stands either way", async () => {
  await using t = await logOf();
  const entry = { namespace: "shop", actor: "0xa", action: "thing.done", resource: "elsewhere", details: { bytes: 1 } };
  await t.audit.record(entry, CONTEXT);
  const [event] = await t.audit.list("shop", { limit: 1 }, CONTEXT);
  deepEqual([event!.resource, event!.requestId, event!.details], ["elsewhere", CONTEXT.requestId, { bytes: 1 }]);

  const lost: unknown[][] = [];
  const failure = new GatewayError("UNAVAILABLE", "for the test");
  const watched = new WatchedControl(t.control);
  watched.before = () => Promise.reject(failure);
  await new ControlAuditLog(watched, t.clock.now, (...told) => lost.push(told)).record(entry, CONTEXT);
  deepEqual(lost, [[entry, failure]]);
});
