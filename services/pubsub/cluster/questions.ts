import { encode } from "@ipld/dag-cbor";
import type { Entry, TopicKey } from "./cluster.ts";
import {
  type Bytes,
  entries,
  entriesOut,
  epochNumber,
  type Field,
  integer,
  list,
  Malformed,
  maybe,
  read,
  row,
  topicKey,
} from "./fields.ts";

/** What one gateway asks another, and waits for. */
export type Question =
  /** How far topics are there. */
  | { readonly type: "heads"; readonly keys: readonly TopicKey[] }
  /** Entries of an epoch behind an offset. */
  | {
    readonly type: "range";
    readonly key: TopicKey;
    readonly epoch: number;
    readonly after: number;
    readonly maxBytes: number;
  }
  /** How far a topic was when an epoch said farewell. */
  | { readonly type: "farewell"; readonly epoch: number; readonly keys: readonly TopicKey[] };

/** One epoch of a topic as somebody has it: the oldest entry that is kept, and the newest that there was. */
export interface Extent {
  readonly epoch: number;
  readonly first: number;
  readonly head: number;
}

/** Of each topic that was asked for. */
export interface HeadsAnswer {
  /** Under which the one who answers lives now: its own head of that epoch, or that there is none, is certain. */
  readonly epoch: number | undefined;
  readonly topics: readonly (readonly Extent[])[];
}

/** Entries, or none where what follows the offset is not kept: `extent` says what is. */
export interface RangeAnswer {
  readonly first: number;
  readonly head: number;
  readonly from: number;
  readonly entries: readonly Entry[];
}

/**
 * Of each topic; `undefined` for one that was not in the farewell and may have had a head all the same. The whole `undefined` for a
 * farewell that the one who answers has not heard.
 */
export type FarewellAnswer = readonly (number | undefined)[] | undefined;

const FIELDS: Readonly<Record<Question["type"], Field<Question>>> = {
  heads: (value) => {
    const [keys] = row<[string[]]>(list(topicKey))(value);
    return { type: "heads", keys };
  },
  range: (value) => {
    const [key, epoch, after, maxBytes] = row<[string, number, number, number]>(
      topicKey,
      epochNumber,
      integer(),
      integer(),
    )(value);
    return { type: "range", key, epoch, after, maxBytes };
  },
  farewell: (value) => {
    const [epoch, keys] = row<[number, string[]]>(epochNumber, list(topicKey))(value);
    return { type: "farewell", epoch, keys };
  },
};

/** A question in bytes. */
export function encodeQuestion(question: Question): Bytes {
  switch (question.type) {
    case "heads":
      return encode(["heads", question.keys]) as Bytes;
    case "range":
      return encode(["range", question.key, question.epoch, question.after, question.maxBytes]) as Bytes;
    case "farewell":
      return encode(["farewell", question.epoch, question.keys]) as Bytes;
  }
}

const anyQuestion: Field<Question> = (value) => {
  if (!Array.isArray(value) || typeof value[0] !== "string" || !Object.hasOwn(FIELDS, value[0])) {
    throw new Malformed("no question that is known");
  }
  return FIELDS[value[0] as Question["type"]](value.slice(1));
};

/** @returns `undefined` for what is no question of this version */
export const decodeQuestion = (encoded: Uint8Array, maxBytes: number): Question | undefined =>
  read(anyQuestion, encoded, maxBytes);

/** An answer in bytes. */
export const encodeHeadsAnswer = ({ epoch, topics }: HeadsAnswer): Bytes =>
  encode([
    epoch ?? null,
    topics.map((extents) => extents.map(({ epoch, first, head }) => [epoch, first, head])),
  ]) as Bytes;

const extent: Field<Extent> = (value) => {
  const [epoch, first, head] = row<[number, number, number]>(epochNumber, integer(1), integer())(value);
  return { epoch, first, head };
};
const headsRow = row<[number | undefined, Extent[][]]>(maybe(epochNumber), list(list(extent)));

/** @returns `undefined` for what is no answer to so many topics */
export function decodeHeadsAnswer(encoded: Uint8Array, maxBytes: number, topics: number): HeadsAnswer | undefined {
  const found = read(headsRow, encoded, maxBytes);
  return found?.[1].length === topics ? { epoch: found[0], topics: found[1] } : undefined;
}

/** An answer in bytes. */
export const encodeRangeAnswer = ({ first, head, from, entries }: RangeAnswer): Bytes =>
  encode([first, head, from, entriesOut(entries)]) as Bytes;

const rangeRow = row<[number, number, number, Entry[]]>(integer(1), integer(), integer(1), entries);

/** @returns `undefined` for what is no answer, or is not what follows `after` */
export function decodeRangeAnswer(encoded: Uint8Array, maxBytes: number, after: number): RangeAnswer | undefined {
  const found = read(rangeRow, encoded, maxBytes);
  if (found === undefined) return undefined;
  const [first, head, from, items] = found;
  const fits = items.length === 0 || (from === after + 1 && after + items.length <= head);
  return fits ? { first, head, from, entries: items } : undefined;
}

/** An answer in bytes. */
export const encodeFarewellAnswer = (answer: FarewellAnswer): Bytes =>
  encode([answer?.map((head) => head ?? null) ?? null]) as Bytes;

const farewellRow = row<[(number | undefined)[] | undefined]>(maybe(list(maybe(integer()))));

/** @returns `undefined` for what is no answer to so many topics, as for a farewell that was not heard */
export function decodeFarewellAnswer(encoded: Uint8Array, maxBytes: number, topics: number): FarewellAnswer {
  const found = read(farewellRow, encoded, maxBytes)?.[0];
  return found?.length === topics ? found : undefined;
}
