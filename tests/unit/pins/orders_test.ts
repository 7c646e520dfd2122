import { deepEqual, equal, ok } from "node:assert/strict";
import { GatewayError, hasCode } from "../../../src/contracts/errors.ts";
import { cidOf } from "../../support/memory_content.ts";
import { CONTEXT } from "../control_plane/support/context.ts";
import { everySchedule } from "../control_plane/support/schedules.ts";
import { endsAfter, type Gateway, Storages, utf8 } from "../storage/support/storage.ts";
import { isConsistent, isSettled, Requester } from "./support/requests.ts";

const HELLO = cidOf(utf8("hello")), WORLD = cidOf(utf8("world"));

/** What two gateways do at once about one request for `HELLO`, which `shop` has only by it. */
type Act = (gateway: Gateway, shop: Requester, id: string) => Promise<unknown>;

const ACTS: Readonly<Record<string, Act>> = {
  add: (_gateway, shop) => shop.add(HELLO, { name: "added" }),
  remove: (_gateway, shop, id) => shop.remove(id),
  replace: (_gateway, shop, id) => shop.replace(id, WORLD, { name: "replaced" }),
  rename: (_gateway, shop, id) => shop.replace(id, HELLO, { name: "renamed" }),
  upload: (gateway) => gateway.upload("shop", "hello"),
  unpin: (gateway) => gateway.unpin("shop", HELLO),
  "upload without a pin": (gateway) => gateway.upload("shop", "hello", { pin: false }),
};

async function start(): Promise<{ t: Storages; id: string }> {
  const t = await Storages.start("cafe", "shop");
  const gateway = t.gateway();
  for (const text of ["hello", "world"]) await gateway.upload("cafe", text, { visibility: "public" });
  return { t, id: (await new Requester(gateway, "shop").add(HELLO, { name: "first" })).id };
}

/** A change of requests or claims. */
const RECORDING = /(INSERT INTO|DELETE FROM) "?storage_(pin_requests|objects)/i;

/** What a client may be told where another one was faster. */
const isFair = (error: unknown) => hasCode(error, "NOT_FOUND");

const PAIRS: readonly (readonly [string, string])[] = [
  ["remove", "add"],
  ["remove", "remove"],
  ["remove", "upload"],
  ["remove", "upload without a pin"],
  ["replace", "remove"],
  ["replace", "replace"],
  ["replace", "add"],
  ["rename", "unpin"],
  ["add", "unpin"],
];

for (const [one, other] of PAIRS) {
  Deno.test(`${one} and ${other} at once leave things in order, in every order of their queries until they are recorded`, async () => {
    const orders = await everySchedule(async (schedule) => {
      const { t, id } = await start();
      await using _ = t;
      const results = await schedule.run([one, other].map((name) => {
        const gateway = t.gateway();
        const turn = schedule.client(t.control).before;
        let recorded = false;
        // What follows the record tells the engine, and looks: that has its own test.
        gateway.control.before = (sql) => recorded ? undefined : turn(sql);
        gateway.control.after = (sql) => void (recorded ||= RECORDING.test(sql));
        return () => ACTS[name]!(gateway, new Requester(gateway, "shop"), id);
      }));
      for (const result of results) if (result.status === "rejected") ok(isFair(result.reason), String(result.reason));
      await isConsistent(t);
      const names = (await new Requester(t.gateway(), "shop").shown()).map((line) => line.split(" ")[0]);
      const done = [one, other].filter((_, i) => results[i]!.status === "fulfilled");
      // An act that was told to have happened did.
      if (done.includes("add") && !done.includes("unpin")) ok(names.includes("added"), names.join());
      if (done.includes("replace")) ok(!names.includes("first"), names.join());
      if (one === other && one === "replace") equal(done.length, 1, "one request is replaced once");
      if (done.includes("upload")) equal((await t.objects()).filter(({ namespace }) => namespace === "shop").length, 1);
      await t.reconcile();
      await isSettled(t);
    });
    ok(orders > 3, String(orders));
  });
}

for (const lost of [false, true]) {
  for (const what of ["add", "remove", "replace", "rename"]) {
    Deno.test(`a gateway that ends ${lost ? "after" : "before"} any step of ${what} leaves what the next one makes good`, async () => {
      let steps = 0;
      for (;; steps++) {
        const { t, id } = await start();
        await using _ = t;
        const gateway = t.gateway();
        const hasEnded = endsAfter(gateway, t, steps, lost);
        const error = await ACTS[what]!(gateway, new Requester(gateway, "shop"), id).then(
          () => undefined,
          (error: Error) => error,
        );
        const ended = hasEnded();
        t.engine.before = t.engine.after = () => {};
        await isConsistent(t);
        const shown = () => new Requester(t.gateway(), "shop").shown();
        const names = (await shown()).map((line) => line.split(" ")[0]).sort();
        const after = { add: ["added", "first"], remove: [], replace: ["replaced"], rename: ["renamed"] }[what]!;
        // Wholly done or not at all; and where it was told that it is done, it is.
        if (error === undefined) deepEqual(names, after);
        else ok([after.join(), "first"].includes(names.join()), `step ${steps}: ${names}`);
        if (!ended) {
          equal(error, undefined);
          break;
        }
        await t.reconcile();
        await isSettled(t);
        ok((await shown()).every((line) => line.endsWith(" pinned")));
      }
      ok(steps >= 4, String(steps));
    });
  }
}

for (const what of ["add", "remove", "replace", "rename"]) {
  Deno.test(`an answer of the control plane that gets lost while ${what} is recorded is asked for again, and counts once`, async () => {
    for (let which = 0; which < 3; which++) {
      const { t, id } = await start();
      await using _ = t;
      const gateway = t.gateway();
      let writes = 0;
      const atomically = gateway.control.atomically.bind(gateway.control);
      gateway.control.atomically = async (queries, signal) => {
        const results = await atomically(queries, signal);
        if (writes++ < which) throw new GatewayError("OUTCOME_UNKNOWN", "the answer got lost");
        return results;
      };
      await ACTS[what]!(gateway, new Requester(gateway, "shop"), id);
      const after = { add: ["added", "first"], remove: [], replace: ["replaced"], rename: ["renamed"] }[what]!;
      const names = (await new Requester(t.gateway(), "shop").shown()).map((line) => line.split(" ")[0]).sort();
      deepEqual(names, after);
      await t.reconcile();
      await isSettled(t);
    }
  });
}

Deno.test("a namespace that is being deleted is given no request", async () => {
  const { t, id } = await start();
  await using _ = t;
  const gateway = t.gateway(), shop = new Requester(gateway, "shop");
  await t.control.run(t.control.db.updateTable("namespaces").set({ state: "deleting" }).where("name", "=", "shop"));
  for (const act of [() => shop.add(HELLO), () => shop.add(WORLD), () => shop.replace(id, WORLD)]) {
    const error = await act().catch((error) => error);
    ok(hasCode(error, "CONFLICT"), String(error));
  }
  await gateway.service.purge("shop", CONTEXT.signal);
  deepEqual(await t.control.db.selectFrom("storage_pin_requests").selectAll().execute(), []);
});
