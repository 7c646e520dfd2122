import { deepEqual, ok } from "node:assert/strict";
import { awaitedLater } from "../support/awaited_later.ts";
import { WHILE_MEMBERS_CHANGE } from "./support/cache_histories.ts";
import { underLoad } from "./support/cache_load.ts";
import type { Engines } from "./support/engine_test.ts";
import { FarGateway, type Outcome } from "./support/far_gateway.ts";
import { networkTest, type TestNetwork } from "./support/network.ts";
import { until } from "./support/wait.ts";

/** Milliseconds within which everything must work again on the side of the majority: it takes some 10 s to give up a member. */
const BACK_WITHIN = 30_000;
/** Milliseconds in which a member alone gives up the others. It doubts itself too, and takes up to three times as long. */
const ALONE_WITHIN = 60_000;
const KEYS = Array.from({ length: 60 }, (_, i) => `k${i}`);

/** Three machines with a member each, configured as `docs/operation.md` says. */
const clusterOn = ({ machines }: TestNetwork, engines: Engines) =>
  engines.olric({ members: 3, machines, flags: { memberlist: { environment: "lan" } }, deadline: 90_000 });

/** How often there was each of these codes; `ok` where there was none. */
const tally = (outcomes: readonly Outcome[]): Record<string, number> => {
  const groups = Map.groupBy(outcomes, ({ code }) => code ?? "ok");
  return Object.fromEntries([...groups].map(([code, { length }]) => [code, length]));
};

/** What was not acknowledged may have happened all the same, but nothing else. */
function assertTried(outcomes: readonly Outcome[]): void {
  for (const { value } of outcomes) ok(["0", "1", "2"].includes(value ?? ""), value ?? "");
}

for (const victim of [0, 2]) {
  const name = `member ${victim} of three is cut off until it is given up: the others go on and lose nothing, ` +
    "beside it all is refused, and started anew it is one of them again";
  networkTest(import.meta.url, name, ["olric-server"], 3, async (network, engines) => {
    const cluster = await clusterOn(network, engines), machine = network.machines[victim]!;
    const node = cluster.nodes[victim]!;
    await using far = new FarGateway(cluster.addresses, { machine });
    const readAll = () => Promise.all(KEYS.map((key) => far.get(key)));
    const writeAll = (json: string) => Promise.all(KEYS.map((key) => far.put(key, json)));
    await underLoad(name, cluster.addresses, async (load) => {
      deepEqual(tally(await writeAll("0")), { ok: KEYS.length });
      const recovered = awaitedLater(load.recovers(BACK_WITHIN)), said = node.output().length;
      const isAlone = () => node.output().slice(said).includes("cannot be reached cluster quorum");
      await network.cut(machine);
      const meanwhile = await writeAll("1");
      for (const { code } of meanwhile) ok(code === undefined || code === "UNAVAILABLE", code ?? "");
      await Promise.all([recovered, until("it has given up the others", isAlone, ALONE_WITHIN)]);
      for (const outcomes of [await readAll(), await writeAll("2")]) {
        deepEqual(tally(outcomes), { UNAVAILABLE: KEYS.length });
      }

      await network.mend(machine);
      const isBack = async () => (await readAll()).every(({ code }) => code === undefined);
      await until("the gateway beside it goes on with the others", isBack, BACK_WITHIN);
      assertTried(await readAll());
      // A member that joins under load may cost a count.
      await load.halt();
      await node.restart();
      await cluster.ready();
      await until("everything is in reach", isBack, BACK_WITHIN);
      assertTried(await readAll());
    }, { allowed: WHILE_MEMBERS_CHANGE });
  });
}

const name = "a member that is cut off and reached again before it is given up: nothing wrong is answered";
networkTest(import.meta.url, name, ["olric-server"], 3, async (network, engines) => {
  const cluster = await clusterOn(network, engines), machine = network.machines[1]!;
  await underLoad(name, cluster.addresses, async (load) => {
    const recovered = awaitedLater(load.recovers(BACK_WITHIN));
    await network.cut(machine);
    await until("the harm is felt", () => load.unavailable > 20).finally(() => network.mend(machine));
    await recovered;
    await cluster.ready();
  }, { allowed: WHILE_MEMBERS_CHANGE });
});
