import { type Command, get, type Payload, put, unlock } from "./commands.ts";
import type { Call } from "./deadlines.ts";
import type { StoredEntry } from "./encoding.ts";
import { type Entries, foundIn, type Place, versionIn } from "./entries.ts";
import { afterAll, isOk, type Reply, unconfirmed, unreachable } from "./replies.ts";
import { toBuffer } from "./tokens.ts";
import type { Transport } from "./transport.ts";

/** Milliseconds between two tries to get a lock that another gateway has: at least, and how many more at most. */
const PAUSE = 3, MORE = 9;

/** What becomes of an entry: it is deleted, or this is written. */
export type Change = "delete" | {
  readonly payload: Payload;
  readonly ttl?: number | undefined;
  readonly expiresAt?: number | undefined;
};

/** What the guard is made of. */
export interface GuardOptions {
  readonly transport: Transport;
  readonly entries: Entries;
  readonly random: (n: number) => Uint8Array;
  readonly now: () => number;
  /** Milliseconds that an operation may take. */
  readonly timeout: number;
}

/**
 * Changes of an entry that depend on what it is. Between reading and writing no other such change happens, through whatever
 * gateway: whoever makes one holds a lock of the cluster. Its lease is twice as long as an operation may take, and nothing is
 * sent after the operation's time, so that half of it is left for what is on its way. What is acknowledged was done while the
 * lock was held: the lock is freed behind it, by its token, and whoever finds it gone does not know what became of the entry.
 */
export class Guard {
  constructor(private readonly options: GuardOptions) {}

  /**
   * @param lock the place of the lock that guards it
   * @param decide what becomes of it; may be asked again when others came between; `undefined`: nothing. What it throws goes on
   * @returns what was there, and the version of what was written
   * @throws GatewayError `UNAVAILABLE`
   */
  async change(
    place: Place,
    lock: Place,
    call: Call,
    decide: (found: StoredEntry | undefined) => Change | undefined,
  ): Promise<{ readonly found: StoredEntry | undefined; readonly version: string | undefined }> {
    const token = this.options.random(16);
    const free = unlock(lock.map, lock.key, token.toHex());
    for (;;) {
      const found = await this.#locked(place, lock, token, call);
      let change: Change | undefined;
      try {
        change = decide(found);
      } catch (error) {
        await this.#free(place, free, call);
        throw error;
      }
      if (change === undefined) {
        await this.#free(place, free, call);
        return { found, version: undefined };
      }
      const done = await this.#apply(place, found, change, free, call);
      if (done !== undefined) return { found, version: done.version };
    }
  }

  /** What is there, while the lock is held. */
  async #locked(place: Place, lock: Place, token: Uint8Array, call: Call): Promise<StoredEntry | undefined> {
    const { transport, now, timeout } = this.options;
    // Reading the lock first mends it where its owner was lost: taking it looks at the owner alone.
    const take = put(lock.map, lock.key, toBuffer(token), { ttl: 2 * timeout, only: "NX" });
    const commands: Command[] = [get(lock.map, lock.key), take, get(place.map, place.key)];
    for (;;) {
      const [held, taken, reply] = await transport.ask(place, commands, call, { repeatable: true });
      // A member that did not hear of its success asked twice.
      if (isOk(taken) || holdsToken(held, lock, token)) return foundIn(reply, place);
      if (now() + PAUSE >= call.until) throw unreachable(new Error("another gateway holds the entry's lock"));
      if (call.waiter.signal.aborted) throw call.waiter.signal.reason;
      await new Promise((resolve) => setTimeout(resolve, PAUSE + Math.random() * MORE));
    }
  }

  /** @returns `undefined` when others came between */
  async #apply(
    place: Place,
    found: StoredEntry | undefined,
    change: Change,
    free: Command,
    call: Call,
  ): Promise<{ readonly version: string | undefined } | undefined> {
    const { transport, entries, now } = this.options;
    if (now() >= call.until) throw unreachable(new Error("the lock took all the time that there was"));
    const { map, key } = place;
    if (change === "delete") {
      await entries.erase(place, found!, call);
      assertHeld((await transport.ask(place, [free], call).catch(afterAll))[0]);
      return { version: undefined };
    }
    // Those who write without a lock, but only where nothing is or something, are exact as well.
    const only = found === undefined ? "NX" : "XX";
    const { payload, ttl, expiresAt } = change;
    const commands = [put(map, key, payload, { ttl, expiresAt, only }), get(map, key), free];
    const [written, after, freed] = await transport.ask(place, commands, call);
    if (!isOk(written)) return undefined;
    assertHeld(freed);
    return { version: versionIn(after, place, payload) };
  }

  async #free(place: Place, free: Command, call: Call): Promise<void> {
    await this.options.transport.ask(place, [free], call);
  }
}

/** @param freed what came of freeing the lock, behind a change @throws GatewayError `UNAVAILABLE` when it was not held any more */
function assertHeld(freed: Reply | undefined): void {
  if (!isOk(freed)) throw unconfirmed(new Error("the lock was over when the entry was changed"));
}

function holdsToken(reply: Reply | undefined, lock: Place, token: Uint8Array): boolean {
  const held = foundIn(reply, lock);
  return held !== undefined && toBuffer(token).equals(held.stored);
}
