import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { SealingKeys } from "../../../../services/functions/secrets/keys.ts";
import { GatewayError } from "../../../../src/contracts/errors.ts";
import { awaitedLater } from "../../../support/awaited_later.ts";
import { code } from "../../auth/support/node.ts";
import { MINUTE, SECOND } from "../../control_plane/support/clock.ts";
import { CONTEXT } from "../../control_plane/support/context.ts";
import { keyOf, type VaultGateway, Vaults } from "./support/vaults.ts";

const VALUE = "correct horse battery staple";

/** Moves what was sealed for one place to another one. */
async function move(t: Vaults, from: string, to: string): Promise<void> {
  const [namespace, name] = from.split("/"), [other, place] = to.split("/");
  const row = (await t.rows()).find((row) => row.namespace === namespace && row.name === name)!;
  await t.control.run(
    t.control.db.updateTable("function_secrets").set({ sealed: row.sealed, key_id: row.key_id })
      .where("namespace", "=", other!).where("name", "=", place!),
  );
}

const isRead = (sql: string) => sql.startsWith("select") && sql.includes('"sealed"');

Deno.test("names that are no variable's, and values that are too long or no text, are refused with the field", async () => {
  await using t = await Vaults.start("shop");
  const gateway = await t.gateway();
  for (const name of ["", "1A", "A-B", "A B", "é", "A\n", "A/B", "A".repeat(129)]) {
    await rejects(() => gateway.set(name, VALUE), code("INVALID_REQUEST", /^name: /));
    equal(await gateway.read(name), undefined);
    await rejects(() => gateway.delete(name), code("NOT_FOUND"));
  }
  await rejects(() => gateway.set("A", "\ud800"), code("INVALID_REQUEST", /^value: /));
  for (const value of ["x".repeat(65_537), "é".repeat(32_769)]) {
    await rejects(() => gateway.set("A", value), code("BODY_TOO_LARGE", /65536/));
  }
  await gateway.set("A", "é".repeat(32_768));
  deepEqual(await gateway.names(), ["A"]);
});

Deno.test("what was sealed for one name or namespace does not open in another's row", async () => {
  await using t = await Vaults.start("shop", "cafe");
  const gateway = await t.gateway();
  for (const [name, namespace] of [["A", "shop"], ["B", "shop"], ["A", "cafe"]] as const) {
    await gateway.set(name, `${namespace} ${name}`, namespace);
  }
  await move(t, "shop/A", "cafe/A");
  await rejects(() => gateway.read("A", "cafe"), code("UNAVAILABLE"));
  await move(t, "shop/A", "shop/B");
  await rejects(() => gateway.read("B"), code("UNAVAILABLE"));
  equal(await gateway.read("A"), "shop A");
});

Deno.test("what was sealed for a namespace does not open for another one of its name", async () => {
  await using t = await Vaults.start("shop");
  const gateway = await t.gateway();
  await gateway.set("A", VALUE);
  const [row] = await t.rows();
  await t.replaceNamespace("shop", gateway);
  await gateway.set("A", "mine");
  await t.control.run(t.control.db.updateTable("function_secrets").set({ sealed: row!.sealed }));
  await rejects(() => (gateway.revocations.pull(), t.clock.advance(MINUTE), gateway.read("A")), code("UNAVAILABLE"));
});

Deno.test("a bit that was changed, a text that was cut and a form that is unknown do not open", async () => {
  await using t = await Vaults.start("shop");
  const gateway = await t.gateway();
  await gateway.set("A", VALUE);
  const { sealed } = (await t.rows())[0]!;
  const flipped = sealed.slice(0, 30) + (sealed[30] === "A" ? "B" : "A") + sealed.slice(31);
  for (const wrong of [flipped, sealed.slice(0, -2), "v1.", "v2" + sealed.slice(2), "v1.!!", VALUE]) {
    await t.control.run(t.control.db.updateTable("function_secrets").set({ sealed: wrong }));
    await rejects(() => gateway.read("A"), code("UNAVAILABLE"));
  }
});

Deno.test("a key that is not there is told to the operator by its name, once a minute, and the others open", async () => {
  await using t = await Vaults.start("shop");
  const old = await t.gateway(), fresh = await t.gateway({ keys: [keyOf(2)] });
  await old.set("A", VALUE);
  await fresh.set("B", "other");
  for (let i = 0; i < 5; i++) await rejects(() => fresh.read("A"), code("UNAVAILABLE", /operator/));
  equal(await fresh.read("B"), "other");
  equal(t.errors.length, 1);
  const { key_id } = (await t.rows()).find(({ name }) => name === "A")!;
  ok(String(t.errors[0]!.error).includes(key_id));
  t.clock.advance(2 * MINUTE);
  await rejects(() => fresh.read("A"), code("UNAVAILABLE"));
  equal(t.errors.length, 2);
  deepEqual(await fresh.secrets.rotate(CONTEXT.signal), { rewritten: 0, unreadable: 1 });
  equal(await old.read("A"), VALUE);
});

Deno.test("no value is in an error, the audit log, the table, what the operator is told, or what is shown of the service", async () => {
  await using t = await Vaults.start("shop");
  const gateway = await t.gateway();
  await gateway.set("A", VALUE);
  await gateway.read("A");
  const told: unknown[] = [gateway.secrets, gateway, t.errors, await gateway.secrets.list("shop", CONTEXT)];
  for (const value of [VALUE + "x".repeat(70_000), VALUE + "\ud800"]) {
    told.push(await gateway.set("A", value).catch((error) => error));
  }
  gateway.control.before = (sql) => {
    if (sql.includes("INSERT INTO function_secrets")) throw new GatewayError("OUTCOME_UNKNOWN", "the answer was lost");
  };
  told.push(await gateway.set("A", VALUE).catch((error) => error));
  gateway.control.before = () => {};
  await move(t, "shop/A", "shop/A");
  await t.control.run(t.control.db.updateTable("function_secrets").set({ key_id: "0" }));
  t.clock.advance(MINUTE);
  told.push(await gateway.read("A").catch((error) => error));
  told.push(await t.control.db.selectFrom("audit_events").selectAll().execute(), await t.rows());
  const text = Deno.inspect(told, { depth: 100, showHidden: true, iterableLimit: 1_000, strAbbreviateSize: 1e6 });
  ok(text.includes("function_secret.set") && text.includes("GatewayError"));
  ok(!text.includes("correct horse"));
  ok(!JSON.stringify(told, (_, value) => typeof value === "bigint" ? `${value}` : value).includes("correct horse"));
});

Deno.test("a value that is set is read by the next call, whoever reads or sets it at that time", async () => {
  await using t = await Vaults.start("shop");
  const gateway = await t.gateway(), other = await t.gateway();
  await gateway.set("A", "one");
  equal(await other.read("A"), "one");
  const late = Promise.withResolvers<void>(), begun = Promise.withResolvers<void>();
  gateway.control.after = async (sql) => {
    if (!isRead(sql)) return;
    gateway.control.after = () => {};
    begun.resolve();
    await late.promise;
  };
  const early = awaitedLater(gateway.read("A"));
  await begun.promise;
  await gateway.set("A", "two");
  equal(await gateway.read("A"), "two");
  late.resolve();
  equal(await early, "one");
  equal(await gateway.read("A"), "two");
  equal(await other.read("A"), "one");
  await other.revocations.pull();
  equal(await other.read("A"), "two");
});

Deno.test("many who ask at once make one look-up; a gateway that hears nothing asks anew after five seconds", async () => {
  await using t = await Vaults.start("shop");
  const gateway = await t.gateway(), other = await t.gateway();
  await other.set("A", "one");
  deepEqual(new Set(await Promise.all(Array.from({ length: 30 }, () => gateway.read("A")))), new Set(["one"]));
  equal(await gateway.read("NONE"), undefined);
  ok(!(gateway.secrets.secretOf("shop", "A", CONTEXT.signal) instanceof Promise));
  const asked = () => gateway.control.calls.filter(isRead).length;
  equal(asked(), 2);
  await other.set("A", "two");
  await other.set("NONE", "now there");
  t.clock.advance(5 * SECOND);
  deepEqual([await gateway.read("A"), await gateway.read("NONE")], ["two", "now there"]);
});

Deno.test("a control plane that is away is UNAVAILABLE, which is not remembered; a lost answer is told as such", async () => {
  await using t = await Vaults.start("shop");
  const gateway = await t.gateway();
  await gateway.set("A", "one");
  gateway.control.before = () => {
    throw new GatewayError("UNAVAILABLE", "the control plane is away");
  };
  await rejects(() => gateway.read("A"), code("UNAVAILABLE"));
  await rejects(() => gateway.set("A", "two"), code("UNAVAILABLE"));
  gateway.control.before = () => {};
  equal(await gateway.read("A"), "one");
  gateway.control.after = (sql) => {
    if (sql.includes("INSERT INTO function_secrets")) throw new GatewayError("OUTCOME_UNKNOWN", "the answer was lost");
  };
  await rejects(() => gateway.set("A", "two"), code("OUTCOME_UNKNOWN"));
  equal(await gateway.read("A"), "two");
});

/** Has something happen before the next change is written. */
function beforeWriting({ control }: VaultGateway, start: string, work: () => Promise<void>): void {
  control.before = async (sql) => {
    if (!sql.startsWith(start)) return;
    control.before = () => {};
    await work();
  };
}

Deno.test("a namespace that goes while a secret is set or deleted: the next one of its name is not touched", async () => {
  await using t = await Vaults.start("shop");
  const gateway = await t.gateway(), other = await t.gateway();
  await gateway.set("A", "one");
  beforeWriting(gateway, "INSERT INTO function_secrets", async () => {
    await t.replaceNamespace("shop", other);
    await other.set("A", "of the next");
  });
  await rejects(() => gateway.set("A", "two"), code("CONFLICT", /namespace/));
  equal(await other.read("A"), "of the next");
  beforeWriting(gateway, "DELETE FROM function_secrets", async () => {
    await t.replaceNamespace("shop", other);
    await other.set("A", "of the one after");
  });
  await rejects(() => gateway.delete("A"), code("NOT_FOUND"));
  equal(await other.read("A"), "of the one after");
});

Deno.test("a namespace that is about to go takes no secret and tells none", async () => {
  await using t = await Vaults.start("shop");
  const gateway = await t.gateway();
  await gateway.set("A", "one");
  await t.control.run(t.control.db.updateTable("namespaces").set({ state: "deleting" }));
  t.clock.advance(MINUTE);
  await rejects(() => gateway.set("B", "two"), code("CONFLICT"));
  deepEqual([await gateway.read("A"), await gateway.names()], [undefined, []]);
});

Deno.test("a purge that comes late takes nothing from whoever has the name by now", async () => {
  await using t = await Vaults.start("shop");
  const gateway = await t.gateway();
  await gateway.set("A", "of the next");
  await gateway.secrets.purge("shop", CONTEXT.signal);
  deepEqual([await gateway.read("A"), await gateway.names()], ["of the next", ["A"]]);
  await t.control.run(t.control.db.updateTable("namespaces").set({ state: "deleting" }));
  await gateway.secrets.purge("shop", CONTEXT.signal);
  deepEqual(await t.rows(), []);
});

Deno.test("a rotation takes nothing back that is set while it goes on, and goes on where it was broken off", async () => {
  await using t = await Vaults.start("shop");
  const many = { maxSecrets: 100 } as never;
  const old = await t.gateway({ rulesOf: () => many });
  for (let i = 0; i < 30; i++) await old.set(`S${i}`, `value ${i}`);
  const fresh = await t.gateway({ keys: [keyOf(2), keyOf(1)] });
  beforeWriting(fresh, 'update "function_secrets"', async () => {
    await old.set("S0", "set meanwhile");
    await old.delete("S1");
  });
  const stop = new AbortController();
  let writes = 0;
  fresh.control.after = (sql) => {
    if (sql.startsWith('update "function_secrets"') && ++writes === 5) {
      stop.abort(new DOMException("stop", "AbortError"));
    }
  };
  await rejects(async () => {
    await fresh.secrets.rotate(stop.signal);
  }, { name: "AbortError" });
  fresh.control.after = () => {};
  const { rewritten, unreadable } = await fresh.secrets.rotate(CONTEXT.signal);
  ok(rewritten > 0 && unreadable === 0);
  await fresh.secrets.rotate(CONTEXT.signal);
  equal(new Set((await t.rows()).map(({ key_id }) => key_id)).size, 1);
  const alone = await t.gateway({ keys: [keyOf(2)] });
  deepEqual([await alone.read("S0"), await alone.read("S1"), await alone.read("S29")], [
    "set meanwhile",
    undefined,
    "value 29",
  ]);
});

Deno.test("the same value sealed twice looks different each time", async () => {
  const keys = await SealingKeys.of([keyOf(1)], (n) => crypto.getRandomValues(new Uint8Array(n)));
  const place = { namespace: "shop", made: 1, name: "A" };
  const sealed = await Promise.all(Array.from({ length: 20 }, () => keys.seal(VALUE, place)));
  equal(new Set(sealed.map((one) => one.sealed)).size, 20);
  await rejects(() => SealingKeys.of([], (n) => new Uint8Array(n)), TypeError);
  await rejects(() => SealingKeys.of([new Uint8Array(31)], (n) => new Uint8Array(n)), TypeError);
});
