import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import type { ControlDatabase, ControlQuery, ControlResult } from "../../services/control_plane/control_database.ts";
import { removeExpired } from "../../services/control_plane/expiry.ts";
import { ControlEpochs } from "../../services/pubsub/cluster/registry.ts";
import { GatewayError, hasCode } from "../../src/contracts/errors.ts";
import { DAY } from "../unit/control_plane/support/clock.ts";
import { now, onEveryDriver, ready, type Scenario } from "./control_drivers.ts";

const { signal } = new AbortController();
const random = (n: number) => crypto.getRandomValues(new Uint8Array(n));
const on = (control: ControlDatabase, at: () => number = now) => new ControlEpochs({ control, now: at, random });
const ADDRESSES = ["/ip4/10.0.0.1/tcp/4001/p2p/a", "/ip6/fd00::1/tcp/4001/p2p/a"];

/** A control database whose answers to changes are lost so many times, after they were made or before. */
function forgetful(control: ControlDatabase, losses: { count: number; readonly applied: boolean }): ControlDatabase {
  return {
    db: control.db,
    run: (query, signal) => control.run(query, signal),
    async atomically(queries: readonly ControlQuery[], signal?: AbortSignal): Promise<ControlResult[]> {
      if (losses.count <= 0) return await control.atomically(queries, signal);
      losses.count--;
      if (losses.applied) await control.atomically(queries, signal);
      throw new GatewayError("OUTCOME_UNKNOWN", "the answer was lost");
    },
    health: (signal) => control.health(signal),
    close: () => Promise.resolve(),
  };
}

const scenarios: Record<string, Scenario> = {
  "lives are numbered in the order in which they begin, whoever begins them, and each once": async (open) => {
    const controls = [await ready(open), open(), open()];
    const begun = await Promise.all(
      Array.from({ length: 12 }, (_, i) => on(controls[i % 3]!).begin(`node-${i}`, ADDRESSES, signal)),
    );
    deepEqual(begun.map(({ number }) => number).sort((a, b) => a - b), Array.from({ length: 12 }, (_, i) => i + 1));
    const one = begun[7]!;
    deepEqual(one, { number: one.number, node: "node-7", state: "open", addresses: ADDRESSES });
    const listed = await on(controls[1]!).list(0, signal);
    deepEqual(listed, begun.toSorted((a, b) => a.number - b.number));
  },

  "list() gives what is open and what is newer, and what has ended no longer": async (open) => {
    const epochs = on(await ready(open));
    const [a, b, c] = await Promise.all(["a", "b", "c"].map((node) => epochs.begin(node, [], signal)));
    await epochs.end(b!.number, signal);
    const states = async (after: number) => (await epochs.list(after, signal)).map(({ node, state }) => [node, state]);
    const last = Math.max(a!.number, b!.number, c!.number);
    deepEqual((await states(last)).sort(), [["a", "open"], ["c", "open"]]);
    deepEqual((await states(0)).sort(), [["a", "open"], ["b", "clean"], ["c", "open"]]);
  },

  "a life that begins ends the one of the same node before it, and no other": async (open) => {
    const epochs = on(await ready(open));
    const first = await epochs.begin("a", [], signal), other = await epochs.begin("b", [], signal);
    const second = await epochs.begin("a", [], signal);
    deepEqual([first.former, second.former], [undefined, undefined]);
    deepEqual((await epochs.list(0, signal)).map(({ number, state }) => [number, state]), [
      [first.number, "lost"],
      [other.number, "open"],
      [second.number, "open"],
    ]);
    equal(await epochs.renew(first.number, signal), false);
    equal(await epochs.renew(second.number, signal), true);
  },

  "a life names the one before it that had been held for lost, unless that says it was silent": async (open) => {
    const epochs = on(await ready(open));
    const bury = async (number: number) => await epochs.bury(new Map([[number, 0]]), signal);
    const first = await epochs.begin("a", [], signal);
    await bury(first.number);
    const second = await epochs.begin("a", [], signal);
    equal(second.former, first.number);
    await bury(second.number);
    const third = await epochs.begin("a", [], signal, second.number);
    equal(third.former, undefined);
    await epochs.end(third.number, signal);
    const fourth = await epochs.begin("a", [], signal, first.number);
    equal(fourth.former, undefined, "the one before it ended cleanly");
    deepEqual((await epochs.list(0, signal)).map(({ former }) => former), [
      undefined,
      first.number,
      undefined,
      undefined,
    ]);
  },

  "a life is buried only as it was when it was looked at, and stays so": async (open) => {
    const epochs = on(await ready(open));
    const quiet = await epochs.begin("quiet", [], signal), alive = await epochs.begin("alive", [], signal);
    const seen = await epochs.renewals(signal);
    deepEqual(seen, new Map([[quiet.number, 0], [alive.number, 0]]));
    equal(await epochs.renew(alive.number, signal), true);
    await epochs.bury(seen, signal);
    deepEqual(await epochs.renewals(signal), new Map([[alive.number, 1]]));
    equal(await epochs.renew(quiet.number, signal), false);
    await epochs.end(quiet.number, signal);
    deepEqual((await epochs.list(0, signal)).map(({ state }) => state), ["lost", "open"]);
    await epochs.bury(new Map(), signal);
    await epochs.end(alive.number, signal);
    await epochs.bury(new Map([[alive.number, 1]]), signal);
    deepEqual((await epochs.list(0, signal)).map(({ state }) => state), ["lost", "clean"]);
  },

  "of a burial and a renewal at the same moment, one wins": async (open) => {
    const control = await ready(open);
    const one = on(control), other = on(open());
    for (let i = 0; i < 20; i++) {
      const { number } = await one.begin(`n${i}`, [], signal);
      const seen = await one.renewals(signal);
      const [goesOn] = await Promise.all([
        other.renew(number, signal),
        one.bury(new Map([[number, seen.get(number)!]]), signal),
      ]);
      const { state } = (await one.list(0, signal)).find((epoch) => epoch.number === number)!;
      equal(state, goesOn ? "open" : "lost");
    }
  },

  "a beginning whose answer is lost begins one life, whether it was made or not": async (open) => {
    const control = await ready(open);
    for (const applied of [true, false]) {
      const node = `node-${applied}`;
      const epoch = await on(forgetful(control, { count: 2, applied })).begin(node, [], signal);
      const listed = (await on(control).list(0, signal)).filter((one) => one.node === node);
      deepEqual(listed, [epoch]);
      equal(epoch.state, "open");
    }
    const unavailable = (error: unknown) => hasCode(error, "UNAVAILABLE");
    await rejects(on(forgetful(control, { count: 9, applied: true })).begin("c", [], signal), unavailable);
  },

  "what ended a week ago is forgotten but for the newest, which nobody may take for clean any more": async (open) => {
    const control = await ready(open);
    let time = now();
    const epochs = on(control, () => time);
    const begin = async (node: string) => (await epochs.begin(node, [], signal)).number;
    const stays = await begin("stays");
    const [lost, clean, latest] = [await begin("a"), await begin("b"), await begin("c")];
    await epochs.bury(new Map([[lost, 0]]), signal);
    await epochs.end(clean, signal);
    await epochs.end(latest, signal);
    time += 6 * DAY;
    const recent = await begin("d");
    await epochs.end(recent, signal);
    const states = async () => (await epochs.list(0, signal)).map(({ number, state }) => [number, state]);
    await removeExpired(control, time);
    equal((await states()).length, 5, "it is no week yet");
    time += 2 * DAY;
    const left = [[stays, "open"], [latest, "lost"], [recent, "clean"]];
    for (let i = 0; i < 2; i++) {
      await removeExpired(control, time);
      deepEqual(await states(), left);
    }
    time += 30 * DAY;
    await removeExpired(control, time);
    deepEqual(await states(), [[stays, "open"], [recent, "lost"]]);
    ok(await begin("e") > recent);
  },

  "the only life that ended long ago stays as it ended": async (open) => {
    const control = await ready(open), epochs = on(control);
    await epochs.end((await epochs.begin("a", [], signal)).number, signal);
    await removeExpired(control, now() + 30 * DAY);
    deepEqual((await epochs.list(0, signal)).map(({ state }) => state), ["clean"]);
  },
};

onEveryDriver(scenarios);
