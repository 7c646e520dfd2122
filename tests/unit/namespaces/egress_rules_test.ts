import { deepEqual, equal } from "node:assert/strict";
import { CONTEXT } from "../control_plane/support/context.ts";
import { DEFAULTS, settingsOn } from "./support/settings.ts";
import { alice, operator, shop } from "./support/shop.ts";

Deno.test("what may be reached is the owner's to narrow, and is given back", async () => {
  await using t = await shop("egress");
  const before = await t.rules();
  const own = { allow_hosts: ["*.example.com"], deny_hosts: ["x.example.com"], ports: ["80"], methods: ["GET"] };
  const { values, effective } = await t.change(own);
  deepEqual([values.egress, effective.egress], [own, own]);
  const { allowHosts, denyHosts, ports, methods } = await t.rules();
  deepEqual([allowHosts, denyHosts, ports, methods], [own.allow_hosts, own.deny_hosts, own.ports, own.methods]);
  await t.change({ allow_hosts: null, deny_hosts: null, ports: null, methods: null });
  deepEqual(await t.rules(), before);
});

Deno.test("an empty list lets nothing through, and is not taken for none", async () => {
  await using t = await shop("egress");
  const { effective } = await t.change({ allow_hosts: [], ports: [], methods: [] });
  deepEqual(effective.egress, { allow_hosts: [], deny_hosts: [], ports: [], methods: [] });
  const { allowHosts, ports, methods } = await t.rules();
  deepEqual([allowHosts, ports, methods], [[], [], []]);
});

Deno.test("an owner's ports are no more than the gateway's, whatever the ranges", async () => {
  await using t = await shop("egress");
  const allowed = ["80", "443", "8000-8999"];
  const { settings } = settingsOn(t.node, { ...DEFAULTS, egress: { ...DEFAULTS.egress, ports: allowed } });
  const left = async (ports: readonly string[] | null) =>
    (await settings.changeSettings("shop", { egress: { ports } }, alice, CONTEXT)).effective.egress.ports;
  deepEqual(await left(null), allowed);
  deepEqual(await left(["22", "443", "5001"]), ["443"]);
  deepEqual(await left(["22"]), []);
  deepEqual(await left(["1-65535"]), allowed);
  deepEqual(await left(["7999-8001", "8999-9000"]), ["8000-8001", "8999"]);
  deepEqual(await left(["8000-8010", "8000-8010"]), ["8000-8010"], "none twice");
  const { ports } = (await settings.rulesOf("shop")).egress;
  deepEqual(ports, ["8000-8010"]);
  equal((await settings.settings("shop", CONTEXT)).values.egress.ports?.length, 2, "what was set stays as it was");
});

Deno.test("no namespace has more requests under way than its gateway", async () => {
  await using t = await shop("egress");
  const { values, effective } = await t.settings.changeLimits(
    "shop",
    { egress: { requests_in_flight: 91 } },
    operator,
    CONTEXT,
    false,
  );
  deepEqual([values.egress.requests_in_flight, effective.egress.requests_in_flight], [91, 90]);
  equal((await t.rules()).maxInFlight, 90);
});

Deno.test("of what another version of the gateway wrote in another form, no list lets more through than it could say", async () => {
  await using t = await shop("egress");
  const { database } = t.node;
  const before = await t.rules();
  const row = { namespace: "shop", limits: "{}", version: 1 };
  await database.run(database.db.insertInto("namespace_settings").values({ ...row, settings: "{}" }));
  const rulesAfter = async (egress: unknown) => {
    await database.run(database.db.updateTable("namespace_settings").set({ settings: JSON.stringify({ egress }) }));
    return (await settingsOn(t.node).settings.rulesOf("shop")).egress;
  };
  for (const other of ["a.example", 5, true, {}]) {
    const egress = { allow_hosts: other, deny_hosts: other, ports: other, methods: other };
    deepEqual(await rulesAfter(egress), before, "what is no list is not set");
  }
  const mixed = await rulesAfter({
    allow_hosts: ["a.example", { host: "b.example" }],
    deny_hosts: [null, "c.example"],
    ports: [443, "80", "https", "-1", "0-99999"],
    methods: [["GET"], "PUT"],
  });
  deepEqual([mixed.allowHosts, mixed.denyHosts, mixed.ports, mixed.methods], [
    ["a.example"],
    ["c.example"],
    ["80"],
    ["PUT"],
  ]);
  const none = await rulesAfter({ allow_hosts: [{ host: "b.example" }], ports: [80], methods: [1] });
  deepEqual([none.allowHosts, none.ports, none.methods], [[], [], []]);
});
