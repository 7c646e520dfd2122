import type { CacheAddress, CachePutOptions, CacheValue } from "../../../src/contracts/cache.ts";
import { notAsExpected } from "../failures.ts";
import { get, type Payload, put } from "./commands.ts";
import type { Call } from "./deadlines.ts";
import { encodeValue, type StoredEntry } from "./encoding.ts";
import { type Entries, nameOf, type Place, placeOf, versionIn } from "./entries.ts";
import type { Change, Guard } from "./guard.ts";
import type { KeyedQueue } from "./keyed_queue.ts";
import { isOk } from "./replies.ts";
import { toBuffer } from "./tokens.ts";
import type { Transport } from "./transport.ts";

/** What writes are made of. */
export interface WritesOptions {
  readonly transport: Transport;
  readonly entries: Entries;
  readonly guard: Guard;
  readonly queue: KeyedQueue;
}

/** Writes of entries. Those of one entry through this gateway are done one after the other. */
export class Writes {
  constructor(private readonly options: WritesOptions) {}

  /** @returns the version, where it was asked for @throws GatewayError `PRECONDITION_FAILED`, `UNAVAILABLE` */
  put(
    namespace: string,
    at: CacheAddress,
    value: CacheValue,
    { ttl, condition, versioned = false }: CachePutOptions,
    call: Call,
  ): Promise<string | undefined> {
    const place = placeOf(namespace, "d", at), payload = encodeValue(value, at.key);
    return this.#inTurn(place, call, async () => {
      if (condition === "absent") return await this.#create(place, payload, ttl, versioned, call);
      if (condition === "present") return await this.#replace(place, payload, ttl, versioned, call);
      if (condition === undefined && !versioned) {
        await this.options.transport.ask(place, [put(place.map, place.key, payload, { ttl })], call);
        return undefined;
      }
      const { version } = await this.#change(namespace, at, call, (found) => {
        if (condition !== undefined) assertVersion(found, condition.version);
        return { payload, ttl };
      });
      return version;
    });
  }

  /** @returns what was there before @throws GatewayError `UNAVAILABLE` */
  async swap(
    namespace: string,
    at: CacheAddress,
    value: CacheValue,
    ttl: number | undefined,
    call: Call,
  ): Promise<StoredEntry | undefined> {
    const change = { payload: encodeValue(value, at.key), ttl };
    const work = () => this.#change(namespace, at, call, () => change);
    return (await this.#inTurn(placeOf(namespace, "d", at), call, work)).found;
  }

  /** @returns whether something was there @throws GatewayError `PRECONDITION_FAILED`, `UNAVAILABLE` */
  delete(namespace: string, at: CacheAddress, version: string | undefined, call: Call): Promise<boolean> {
    const place = placeOf(namespace, "d", at);
    return this.#inTurn(place, call, async () => {
      if (version === undefined) {
        // What is not there is not deleted: under what has ended, something older might come up.
        const found = await this.options.entries.read(place, call);
        if (found !== undefined) await this.options.entries.erase(place, found, call);
        return found !== undefined;
      }
      const { found } = await this.#change(namespace, at, call, (found) => {
        if (found === undefined) return undefined;
        assertVersion(found, version);
        return "delete";
      });
      return found !== undefined;
    });
  }

  /** @returns whether it is there @throws GatewayError `UNAVAILABLE` */
  async expire(namespace: string, at: CacheAddress, ttl: number | undefined, call: Call): Promise<boolean> {
    // Not by DM.PEXPIRE: it empties the replicas of the entry, and they are believed.
    const rewrite = (found: StoredEntry | undefined) => found && { payload: toBuffer(found.stored), ttl };
    const work = () => this.#change(namespace, at, call, rewrite);
    return (await this.#inTurn(placeOf(namespace, "d", at), call, work)).found !== undefined;
  }

  async #create(
    place: Place,
    payload: Payload,
    ttl: number | undefined,
    versioned: boolean,
    call: Call,
  ): Promise<string | undefined> {
    const { map, key } = place;
    // Reading it first mends it where its owner was lost: writing looks at the owner alone.
    const commands = [get(map, key), put(map, key, payload, { ttl, only: "NX" }), ...versioned ? [get(map, key)] : []];
    const [, written, after] = await this.options.transport.ask(place, commands, call);
    if (!isOk(written)) throw notAsExpected("there is an entry already");
    return versioned ? versionIn(after, place, payload) : undefined;
  }

  async #replace(
    place: Place,
    payload: Payload,
    ttl: number | undefined,
    versioned: boolean,
    call: Call,
  ): Promise<string | undefined> {
    const { map, key } = place;
    // To the engine alone, an entry whose time is over would be something.
    if (await this.options.entries.read(place, call) === undefined) throw notAsExpected("there is no entry");
    const commands = [put(map, key, payload, { ttl, only: "XX" }), ...versioned ? [get(map, key)] : []];
    const [written, after] = await this.options.transport.ask(place, commands, call);
    if (!isOk(written)) throw notAsExpected("there is no entry");
    return versioned ? versionIn(after, place, payload) : undefined;
  }

  #inTurn<T>(place: Place, call: Call, work: () => Promise<T>): Promise<T> {
    return this.options.queue.run(nameOf(place), call, work);
  }

  #change(
    namespace: string,
    at: CacheAddress,
    call: Call,
    decide: (found: StoredEntry | undefined) => Change | undefined,
  ): ReturnType<Guard["change"]> {
    return this.options.guard.change(placeOf(namespace, "d", at), placeOf(namespace, "w", at), call, decide);
  }
}

function assertVersion(found: StoredEntry | undefined, version: string): void {
  if (found === undefined) throw notAsExpected("there is no entry");
  if (String(found.writtenAt) !== version) throw notAsExpected("the entry has another version");
}
