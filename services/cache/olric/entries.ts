import type { CacheAddress } from "../../../src/contracts/cache.ts";
import { del, get, type Payload } from "./commands.ts";
import type { Call } from "./deadlines.ts";
import { decodeEntry, holds, type Kind, mapName, type StoredEntry } from "./encoding.ts";
import { afterAll, MemberFailure, type Reply, unreachable } from "./replies.ts";
import type { Transport } from "./transport.ts";

/** Where an entry is on the cluster. */
export interface Place {
  /** As the cluster calls it. */
  readonly map: string;
  readonly key: string;
}

/** Where an entry of a kind is. */
export const placeOf = (namespace: string, kind: Kind, { map, key }: CacheAddress): Place => ({
  map: mapName(namespace, kind, map),
  key,
});

/** One name for each place, of which no other place has the same. */
export const nameOf = ({ map, key }: Place): string => `${map.length}:${map}${key}`;

/** How often what comes up from below an entry is deleted too. */
const MOST_VERSIONS = 16;

/** Reads and deletes entries. */
export class Entries {
  constructor(private readonly transport: Transport) {}

  /** @returns `undefined` for nothing @throws GatewayError */
  async read(place: Place, call: Call): Promise<StoredEntry | undefined> {
    const [reply] = await this.transport.ask(place, [get(place.map, place.key)], call, { reading: true });
    return foundIn(reply, place);
  }

  /**
   * Deletes the entry that was read. The engine keeps older versions of an entry in older tables, and deletes the newest alone:
   * what then comes up is deleted too, but not what somebody wrote meanwhile.
   */
  async erase(place: Place, found: StoredEntry, call: Call): Promise<void> {
    const { map, key } = place;
    for (let times = 0; times < MOST_VERSIONS; times++) {
      const asked = this.transport.ask(place, [del(map, key), get(map, key)], call);
      const [, reply] = await (times === 0 ? asked : asked.catch(afterAll));
      const under = foundIn(reply, place);
      if (under === undefined || under.writtenAt > found.writtenAt) break;
    }
  }
}

/** The entry in a reply to {@link get}. @throws GatewayError `UNAVAILABLE` for what is none */
export function foundIn(reply: Reply | undefined, { key }: Place): StoredEntry | undefined {
  if (reply === "KEYNOTFOUND") return undefined;
  try {
    if (reply instanceof Uint8Array) return decodeEntry(reply, key);
    throw new MemberFailure("no entry");
  } catch (cause) {
    throw unreachable(cause);
  }
}

/** The version that a write got, of what was read behind it. */
export function versionIn(reply: Reply | undefined, place: Place, written: Payload): string {
  const after = foundIn(reply, place);
  // Gone already: no entry will ever have this one.
  if (after === undefined) return "0";
  // Somebody was quicker, so this write had an earlier one, which no entry has any more.
  return String(holds(after, written) ? after.writtenAt : after.writtenAt - 1n);
}
