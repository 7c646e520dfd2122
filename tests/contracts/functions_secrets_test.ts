import { deepEqual, equal, rejects } from "node:assert/strict";
import { migrate } from "../../services/control_plane/migrate.ts";
import { code } from "../unit/auth/support/node.ts";
import { CONTEXT } from "../unit/control_plane/support/context.ts";
import { keyOf, Vaults } from "../unit/functions/secrets/support/vaults.ts";
import { now, onEveryDriver, type Open } from "./control_drivers.ts";

const withVaults = (scenario: (t: Vaults) => Promise<void>) => async (open: Open) => {
  const control = open();
  await migrate(control, { now });
  const vaults = await Vaults.on(control, "shop", "cafe");
  try {
    await scenario(vaults);
  } finally {
    vaults.close();
  }
};

onEveryDriver({
  "secrets are set, replaced, listed without their values, read by calls and deleted": withVaults(async (t) => {
    const gateway = await t.gateway();
    const value = "é\u2028\"'\\\0 \ufeff" + "x".repeat(65_000);
    const first = await gateway.set("TOKEN", value);
    t.clock.advance(5);
    deepEqual(await gateway.set("TOKEN", value), { ...first, updatedAt: first.createdAt + 5 });
    await gateway.set("ANOTHER", "");
    deepEqual(await gateway.names(), ["ANOTHER", "TOKEN"]);
    deepEqual([await gateway.read("TOKEN"), await gateway.read("ANOTHER"), await gateway.read("NONE")], [
      value,
      "",
      undefined,
    ]);
    deepEqual([await gateway.read("TOKEN", "cafe"), await gateway.names("cafe")], [undefined, []]);
    await rejects(() => gateway.delete("TOKEN", "cafe"), code("NOT_FOUND"));
    await gateway.delete("TOKEN");
    await rejects(() => gateway.delete("TOKEN"), code("NOT_FOUND"));
    equal(await gateway.read("TOKEN"), undefined);
    deepEqual(await gateway.secrets.usage("shop", CONTEXT.signal), { secrets: 1 });
  }),

  "as many secrets as there may be, whatever many do at once; one that is there may be replaced": withVaults(
    async (t) => {
      const gateways = [await t.gateway(), await t.gateway()];
      const results = await Promise.allSettled(
        Array.from({ length: 12 }, (_, i) => gateways[i % 2]!.set(`S${i}`, "value")),
      );
      const refused = results.filter((result) => result.status === "rejected").map(({ reason }) => reason.code);
      deepEqual(refused, Array(7).fill("QUOTA_EXCEEDED"));
      const [name] = await gateways[0]!.names();
      await gateways[1]!.set(name!, "other");
      equal(await gateways[0]!.read(name!), "other");
    },
  ),

  "keys are changed page by page beside what goes on, and a second time there is nothing to do": withVaults(
    async (t) => {
      const many = { maxSecrets: 100 } as never;
      const old = await t.gateway({ rulesOf: () => many });
      for (let i = 0; i < 45; i++) await old.set(`S${i}`, `value ${i}`, i % 2 === 0 ? "shop" : "cafe");
      const fresh = await t.gateway({ keys: [keyOf(2), keyOf(1)] });
      equal(await fresh.read("S2"), "value 2");
      deepEqual(await fresh.secrets.rotate(CONTEXT.signal), { rewritten: 45, unreadable: 0 });
      deepEqual(await fresh.secrets.rotate(CONTEXT.signal), { rewritten: 0, unreadable: 0 });
      const alone = await t.gateway({ keys: [keyOf(2)] });
      for (let i = 0; i < 45; i++) equal(await alone.read(`S${i}`, i % 2 === 0 ? "shop" : "cafe"), `value ${i}`);
      deepEqual(t.errors, []);
    },
  ),

  "a namespace goes with its secrets, and the next of its name reads none of them": withVaults(async (t) => {
    const gateway = await t.gateway();
    await gateway.set("TOKEN", "first");
    await gateway.set("TOKEN", "cafe's", "cafe");
    equal(await gateway.read("TOKEN"), "first");
    await t.replaceNamespace("shop", gateway);
    deepEqual([await gateway.read("TOKEN"), await gateway.read("TOKEN", "cafe")], [undefined, "cafe's"]);
  }),
});
