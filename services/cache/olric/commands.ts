import type { Buffer } from "node:buffer";

/** What a value is sent as: text goes as UTF-8. */
export type Payload = string | Buffer;

/**
 * A command. Made here alone, of typed values: a member ends when it gets one that is not well-formed (an option without its
 * value, a partition that there is not), and spins for ever on an option that it does not know.
 */
export type Command = readonly [name: string, ...rest: readonly Payload[]];

/** How an entry is written. */
export interface PutCommandOptions {
  /** Milliseconds that it lives. */
  readonly ttl?: number | undefined;
  /** Unix milliseconds at which it ends, in place of {@link ttl}. */
  readonly expiresAt?: number | undefined;
  /** Only where nothing is, or something. An entry whose time is over counts as something for `XX`, and as nothing for `NX`. */
  readonly only?: "NX" | "XX" | undefined;
}

/** Writes an entry; the time that one before it had to live is not kept. */
export function put(map: string, key: string, value: Payload, options: PutCommandOptions = {}): Command {
  const { ttl, expiresAt, only } = options;
  const rest: string[] = [];
  if (ttl !== undefined) rest.push("PX", positive(ttl));
  else if (expiresAt !== undefined) rest.push("PXAT", positive(expiresAt));
  if (only !== undefined) rest.push(only);
  return ["DM.PUT", map, key, value, ...rest];
}

/** Reads an entry as it is stored, with its times. It also mends a member that lost the entry to which its partition came. */
export const get = (map: string, key: string): Command => ["DM.GET", map, key, "RW"];

/** Deletes the newest version of an entry; see `entries.ts`. What it answers means nothing. */
export const del = (map: string, key: string): Command => ["DM.DEL", map, key];

/** Adds to an entry, which must be a whole number: anything else would count as 0. Exact among all who ask the same member. */
export const incr = (map: string, key: string, by: number): Command => ["DM.INCR", map, key, whole(by)];

/** Deletes an entry if these are its bytes. @param hex of its bytes */
export const unlock = (map: string, key: string, hex: string): Command => ["DM.UNLOCK", map, key, hexadecimal(hex)];

/**
 * Gives an entry another time to live if these are its bytes. Its replicas become empty, and are believed: it has to be written
 * again at once.
 */
export const lease = (map: string, key: string, hex: string, ttl: number): Command => [
  "DM.PLOCKLEASE",
  map,
  key,
  hexadecimal(hex),
  positive(ttl),
];

/** Keys of a partition that the member owns. @param partition one of the routing table @param cursor of the engine */
export const scan = (partition: number, map: string, cursor: bigint, count: number): Command => [
  "DM.SCAN",
  natural(partition),
  map,
  unsigned(cursor),
  "COUNT",
  positive(count),
];

/** Deletes a map on all members. */
export const destroy = (map: string): Command => ["DM.DESTROY", map];

/** Figures of a member, as JSON. */
export const STATS: Command = ["STATS"];

/** Whether a member lives. */
export const PING: Command = ["PING"];

/** The members: `[[address, birth, "true" for the coordinator], …]`. */
export const MEMBERS: Command = ["CLUSTER.MEMBERS"];

/** Who has which partition: `[[partition, [former owner, …, owner], [replica, …]], …]`. */
export const ROUTING_TABLE: Command = ["CLUSTER.ROUTINGTABLE"];

/** Shows the password. In lower case: only so it is answered before the member has joined the others. */
export const auth = (password: string): Command => ["auth", password];

function whole(n: number): string {
  if (!Number.isSafeInteger(n)) throw new RangeError(`${n} is no whole number`);
  return String(n + 0);
}

function natural(n: number): string {
  if (n < 0) throw new RangeError(`${n} is below 0`);
  return whole(n);
}

function positive(n: number): string {
  if (n < 1) throw new RangeError(`${n} is below 1`);
  return whole(n);
}

function unsigned(n: bigint): string {
  if (BigInt.asUintN(64, n) !== n) throw new RangeError(`${n} does not fit into 64 bits`);
  return String(n);
}

function hexadecimal(hex: string): string {
  if (!/^(?:[0-9a-f]{2})+$/.test(hex)) throw new RangeError("no hexadecimal digits");
  return hex;
}
