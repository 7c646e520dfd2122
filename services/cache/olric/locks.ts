import type { CacheLease } from "../../../src/contracts/cache.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { lockLost } from "../failures.ts";
import { get, incr, lease as extend, put, unlock } from "./commands.ts";
import type { Call } from "./deadlines.ts";
import { foundIn, type Place } from "./entries.ts";
import { afterAll, countOf, isOk } from "./replies.ts";
import { toBuffer } from "./tokens.ts";
import type { Transport } from "./transport.ts";

/** Milliseconds that the number of a lock is remembered. The clock makes the next one larger than one that was forgotten. */
const MEMORY = 24 * 3_600_000;
/** Microseconds that the number of a lock may be behind the clock. */
const MOST_BEHIND = 1e6;
/** How often an older version that comes up is freed too. */
const MOST_VERSIONS = 16;

/** What locks are made of. Both clocks in milliseconds. */
export interface LocksOptions {
  readonly transport: Transport;
  readonly random: (n: number) => Uint8Array;
  readonly now: () => number;
  readonly monotonic: () => number;
}

/**
 * Locks: an entry of 16 bytes, written where nothing was, which ends by itself. It is ours as long as these are its bytes. Not by
 * `DM.LOCK`, which makes up the bytes itself, so that after an answer that was lost nobody could free it.
 */
export class Locks {
  constructor(private readonly options: LocksOptions) {}

  /** @param fencing the place of its number @returns `undefined` when somebody has it @throws GatewayError `UNAVAILABLE` */
  async tryLock(place: Place, fencing: Place, lease: number, call: Call): Promise<CacheLease | undefined> {
    const { transport, random, now, monotonic } = this.options;
    const token = random(16);
    const begun = monotonic(), expiresAt = now() + lease;
    // Reading it first mends it where its owner was lost: writing looks at the owner alone.
    const take = put(place.map, place.key, toBuffer(token), { ttl: lease, only: "NX" });
    const [, taken] = await transport.ask(place, [get(place.map, place.key), take], call);
    if (!isOk(taken)) return undefined;
    const number = await this.#next(fencing, call).catch(afterAll);
    // Somebody may have it by now.
    if (monotonic() - begun >= lease) throw tooLate();
    return { token: token.toHex(), fencing: number, expiresAt };
  }

  /** @returns Unix milliseconds at which it ends @throws GatewayError `LOCK_LOST`, `UNAVAILABLE` */
  async renew(place: Place, token: string, lease: number, call: Call): Promise<number> {
    const { transport, now, monotonic } = this.options;
    assertToken(token);
    const begun = monotonic(), expiresAt = now() + lease;
    const [extended] = await transport.ask(place, [extend(place.map, place.key, token, lease)], call);
    if (!isOk(extended)) throw lockLost();
    // Its replicas are empty now. For as long as the new lease nobody else can have it, so it is written without a look.
    const write = put(place.map, place.key, toBuffer(Uint8Array.fromHex(token)), { ttl: lease, only: "XX" });
    const [written] = await transport.ask(place, [write], call).catch(afterAll);
    if (!isOk(written) || monotonic() - begun >= lease) throw lockLost();
    return expiresAt;
  }

  /** @throws GatewayError `LOCK_LOST`, `UNAVAILABLE` */
  async unlock(place: Place, token: string, call: Call): Promise<void> {
    assertToken(token);
    const { map, key } = place;
    for (let times = 0; times < MOST_VERSIONS; times++) {
      const [freed, after] = await this.options.transport.ask(place, [unlock(map, key, token), get(map, key)], call);
      if (!isOk(freed) && times === 0) throw lockLost();
      const under = foundIn(after, place);
      if (under === undefined || !toBuffer(Uint8Array.fromHex(token)).equals(under.stored)) return;
    }
  }

  /**
   * A number larger than all before. It is about the time, in microseconds, so that it grows also when the last one was lost, or is
   * counted by a member that does not know it yet, or still takes itself for the owner.
   */
  async #next(place: Place, call: Call): Promise<number> {
    const { transport, now } = this.options;
    const { map, key } = place;
    const time = Math.floor(now() * 1_000);
    const first = put(map, key, String(time), { ttl: MEMORY, only: "NX" });
    const [, , number] = await transport.ask(place, [get(map, key), first, incr(map, key, 1)], call, { pinned: true });
    const value = countOf(number);
    if (value > time - MOST_BEHIND) return value;
    const [grown] = await transport.ask(place, [incr(map, key, time - value)], call, { pinned: true });
    return countOf(grown);
  }
}

const tooLate = () =>
  new GatewayError("UNAVAILABLE", "the lease was over before the cache had answered; try again with a longer one", {
    retryAfter: 1,
  });

function assertToken(token: string): void {
  if (!/^[0-9a-f]{32}$/.test(token)) throw lockLost();
}
