import { invalid } from "../failures.ts";
import type { Routing } from "./routing.ts";

/** Where a scan is within a partition: at one of those who have it, at a place of the engine's. */
export interface Position {
  readonly partition: number;
  readonly owner: number;
  readonly cursor: bigint;
}

/** What of a map is still to be seen. */
export interface Rest {
  /** Where it is in partitions that are begun, by their number. */
  readonly begun: readonly Position[];
  /** The first partition of which nothing was seen, nor of those behind it. */
  readonly unseen: number;
}

/** A map of which nothing was seen yet. */
export const WHOLE: Rest = { begun: [], unseen: 0 };

/** The beginning of a partition. */
export const startOf = (partition: number): Position => ({ partition, owner: 0, cursor: 0n });

/** Where a partition goes on; `undefined` at its end. @param cursor of the engine; 0: that owner has no more */
export function nextOf({ partition, owner }: Position, cursor: bigint, owners: number): Position | undefined {
  if (cursor !== 0n) return { partition, owner, cursor };
  return owner + 1 < owners ? { partition, owner: owner + 1, cursor: 0n } : undefined;
}

/** A rest as text, with a sum of who has each partition that is begun; `undefined` for nothing. */
export function encode({ begun, unseen }: Rest, routing: Routing): string | undefined {
  if (begun.length === 0 && unseen === routing.partitions) return undefined;
  const positions = begun.map(({ partition, owner, cursor }) =>
    [partition, owner, cursor, routing.fingerprintOf(partition)].join(".")
  );
  return `${unseen}:${positions}`;
}

/**
 * What {@link encode} made. Begins partitions anew that others have by now: their cursors mean something else.
 * @throws GatewayError `INVALID_REQUEST` for what it never made
 */
export function decode(text: string, routing: Routing): Rest {
  const [, first, rest] = /^(\d{1,9}):(.*)$/.exec(text) ?? [];
  if (rest === undefined || Number(first) > routing.partitions) throw notGiven();
  const unseen = Number(first);
  const begun = rest === "" ? [] : rest.split(",").map((part) => positionIn(part, routing));
  // A partition that stood there twice would be walked through twice at once.
  const isInOrder = begun.every(({ partition }, i) => partition < (begun[i + 1]?.partition ?? unseen));
  if (!isInOrder || begun.length === 0 && unseen === routing.partitions) throw notGiven();
  return { begun, unseen };
}

function positionIn(text: string, routing: Routing): Position {
  const [, first, second, third, fingerprint] = /^(\d{1,9})\.(\d{1,3})\.(\d{1,20})\.([0-9a-z]+)$/.exec(text) ?? [];
  if (fingerprint === undefined) throw notGiven();
  const partition = Number(first), owner = Number(second), cursor = BigInt(third!);
  if (partition >= routing.partitions || BigInt.asUintN(64, cursor) !== cursor) throw notGiven();
  const isSame = fingerprint === routing.fingerprintOf(partition) && owner < routing.ownersOf(partition).length;
  return isSame ? { partition, owner, cursor } : startOf(partition);
}

const notGiven = () => invalid("cursor", "not one that a scan of this map gave; begin without it");
