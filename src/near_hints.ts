import type { CacheNearWrite } from "./contracts/cache.ts";
import type { Delivery, PubSub } from "./contracts/pubsub.ts";
import type { RequestContext } from "./contracts/request.ts";
import { BETWEEN_GATEWAYS } from "./revocation_hints.ts";

/** A near cache, as far as other gateways have to do with it. */
export interface NearCopies {
  /** Has somebody told of each write behind which copies elsewhere are old. */
  onWrite(tell: (write: CacheNearWrite) => void): void;
  /** Throws the copies out that another gateway's write made old. */
  wroteElsewhere(write: CacheNearWrite): void;
}

/** What hints are made of. */
export interface NearHints {
  readonly pubsub: Pick<PubSub, "publish" | "subscribe">;
  readonly near: NearCopies;
  /** Names this gateway among the others: what it says itself is not for its own ears. */
  readonly sender: string;
  /** Calls back behind so many milliseconds; the process may end meanwhile. */
  readonly clock: { after(ms: number, run: () => void, background: boolean): unknown };
  /** Fires when the gateway stops. */
  readonly signal: AbortSignal;
  /** Told when hints could not be given, or none will be heard. */
  readonly onError: (error: unknown) => void;
}

const TOPIC = "near";
/** Milliseconds in which writes gather that are told together. */
const GATHERING = 5;
/** Keys of one map that are told one by one; behind more than these all of it is old. */
const MAX_KEYS = 500;
/** Maps in one message, and bytes of their keys; behind more of these a map is old as a whole. */
const MAX_MAPS = 100, MAX_BYTES = 48 * 1024;

/**
 * Has gateways tell each other what they wrote to maps with a near cache, so that copies elsewhere end at once and not with their life.
 * Nobody waits for it, and who misses a hint has old copies for no longer than without: a hint says what to forget, and never a value.
 */
export function hintAtWrites({ pubsub, near, sender, clock, signal, onError }: NearHints): void {
  const request: RequestContext = { requestId: "", clientAddress: "", signal };
  const failed = (error: unknown) => {
    if (!signal.aborted) onError(error);
  };
  const deliver = ({ events }: Delivery) => {
    for (const event of events) {
      if (event.kind !== "message") continue;
      for (const write of heardIn(event.data, sender)) near.wroteElsewhere(write);
    }
  };
  pubsub.subscribe(BETWEEN_GATEWAYS, TOPIC, { deliver, ended() {} }, { presence: false }, request).catch(failed);

  let gathered: Gathered | undefined;
  const tell = (hints: Gathered) => {
    if (gathered !== hints || signal.aborted) return;
    gathered = undefined;
    const hint = { data: new TextEncoder().encode(JSON.stringify([sender, hints.told()])), json: true };
    Promise.try(() => pubsub.publish(BETWEEN_GATEWAYS, TOPIC, [hint], {}, { ...request, caller: "" })).catch(failed);
  };
  near.onWrite((write) => {
    if (signal.aborted) return;
    if (gathered === undefined) {
      const hints = gathered = new Gathered();
      clock.after(GATHERING, () => tell(hints), true);
    }
    gathered.add(write);
    if (gathered.isFull) tell(gathered);
  });
}

/** One map and its keys as they are told: `null` stands for all of them. */
type Told = readonly [namespace: string, map: string, keys: readonly string[] | null];

/** Writes of a moment. */
class Gathered {
  readonly #maps = new Map<string, { readonly write: CacheNearWrite; keys: Set<string> | undefined }>();
  #bytes = 0;

  /** Whether it is to go at once. */
  get isFull(): boolean {
    return this.#maps.size >= MAX_MAPS;
  }

  add(write: CacheNearWrite): void {
    const name = JSON.stringify([write.namespace, write.map]);
    let of = this.#maps.get(name);
    if (of === undefined) this.#maps.set(name, of = { write, keys: new Set() });
    if (write.keys === undefined) of.keys = undefined;
    for (const key of write.keys ?? []) {
      if (of.keys === undefined) return;
      if (of.keys.has(key)) continue;
      // Of three bytes at most in UTF-8, and six where JSON escapes it.
      this.#bytes += 6 * key.length;
      if (of.keys.size >= MAX_KEYS || this.#bytes > MAX_BYTES) of.keys = undefined;
      else of.keys.add(key);
    }
  }

  told(): readonly Told[] {
    return [...this.#maps.values()].map((
      { write: { namespace, map }, keys },
    ) => [namespace, map, keys ? [...keys] : null]);
  }
}

/** What another gateway told; nothing of what is no hint, or was told by this one. */
function heardIn(data: Uint8Array, own: string): CacheNearWrite[] {
  let message: unknown;
  try {
    message = JSON.parse(new TextDecoder().decode(data));
  } catch {
    return [];
  }
  if (!Array.isArray(message) || message[0] === own || !Array.isArray(message[1])) return [];
  return message[1].filter(isTold).map(([namespace, map, keys]) => ({ namespace, map, keys: keys ?? undefined }));
}

function isTold(value: unknown): value is Told {
  if (!Array.isArray(value)) return false;
  const [namespace, map, keys] = value;
  return typeof namespace === "string" && typeof map === "string" &&
    (keys === null || Array.isArray(keys) && keys.every((key) => typeof key === "string"));
}
