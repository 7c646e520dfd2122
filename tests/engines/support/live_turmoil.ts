import { Chance } from "../../unit/pubsub_cluster/support/random.ts";
import type { LivePlace } from "./live_gateways.ts";

/** What befalls gateways, until it ends. */
export interface Turmoil {
  /** How often each kind of blow fell. */
  readonly blows: ReadonlyMap<string, number>;
  /** Begins no other blow, and waits until the last ones are over: then all gateways run, and all links pass. */
  end(): Promise<void>;
}

type Blow = readonly [name: string, strike: (place: LivePlace, chance: Chance) => Promise<void>];

/** Milliseconds between two blows of one kind. */
const BETWEEN = [500, 5_000] as const;

const PROCESSES: readonly Blow[] = [
  ["killed (SIGKILL) and started again", async (place, chance) => {
    await place.kill();
    await sleep(chance.between(0, 4_000));
    await place.start();
  }],
  ["stopped (SIGTERM) and started again", async (place, chance) => {
    await place.stop();
    await sleep(chance.between(0, 2_000));
    await place.start();
  }],
  ["stood still (SIGSTOP)", async (place, chance) => {
    place.pause();
    await sleep(chance.between(200, 7_000));
    place.goOn();
  }],
];

const LINKS: readonly Blow[] = [
  ["links to one paused", async ({ relay }, chance) => {
    relay.pause();
    await sleep(chance.between(200, 12_000));
    relay.goOn();
  }],
  ["links to one cut", ({ relay }) => Promise.resolve(relay.cut())],
];

/** Begins: one blow after the other on processes, and, beside them, on the links between them. */
export function beginTurmoil(places: readonly LivePlace[], seed: number): Turmoil {
  const blows = new Map<string, number>();
  const ending = Promise.withResolvers<void>();
  let isOver = false;
  const hand = async (kinds: readonly Blow[], chance: Chance) => {
    for (;;) {
      await Promise.race([sleep(chance.between(...BETWEEN)), ending.promise]);
      if (isOver) return;
      const [name, strike] = chance.pick(kinds);
      blows.set(name, (blows.get(name) ?? 0) + 1);
      await strike(chance.pick(places), chance);
    }
  };
  const hands = Promise.all([hand(PROCESSES, new Chance(seed)), hand(LINKS, new Chance(~seed))]);
  // What goes wrong is told at the end.
  hands.catch(() => {});
  return {
    blows,
    async end() {
      isOver = true;
      ending.resolve();
      await hands;
    },
  };
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
