import { decode } from "@ipld/dag-cbor";
import type { Entry, Range, TopicKey } from "./cluster.ts";

/** Bytes as they go over the network. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** What makes a value of what stood in a frame. @throws Malformed */
export type Field<Value> = (value: unknown) => Value;

/** What came is not what a gateway of this version sends. */
export class Malformed extends Error {
  override readonly name = "Malformed";
}

/** Characters of a topic's key: more than any has. */
const MAX_KEY = 400;
/** Of the name of a gateway, a message's id, a member. */
const MAX_NAME = 256;

const refuse = (): never => {
  throw new Malformed("not what was expected");
};

/** An integer that is no less than `least`. */
export const integer = (least = 0): Field<number> => (value) =>
  Number.isSafeInteger(value) && (value as number) >= least ? value as number : refuse();

/** A text of at most so many UTF-16 units. */
export const text = (longest: number): Field<string> => (value) =>
  typeof value === "string" && value.length <= longest ? value : refuse();

/** Bytes with a buffer of their own. */
export const bytes: Field<Bytes> = (value) =>
  value instanceof Uint8Array && value.buffer instanceof ArrayBuffer ? value as Bytes : refuse();

/** A truth value. */
export const flag: Field<boolean> = (value) => typeof value === "boolean" ? value : refuse();

/** What a field says, or `undefined` where nothing was said. */
export const maybe = <Value>(field: Field<Value>): Field<Value | undefined> => (value) =>
  value === null ? undefined : field(value);

/** Any number of the same. */
export const list = <Value>(field: Field<Value>): Field<Value[]> => (value) =>
  Array.isArray(value) ? value.map(field) : refuse();

/** Exactly these, in this order. */
export const row = <Values extends readonly unknown[]>(
  ...fields: { readonly [I in keyof Values]: Field<Values[I]> }
): Field<Values> =>
(value) =>
  Array.isArray(value) && value.length === fields.length
    ? fields.map((field, i) => field(value[i])) as unknown as Values
    : refuse();

/** A topic's key: a namespace, a slash and a topic. */
export const topicKey: Field<TopicKey> = (value) => {
  const key = text(MAX_KEY)(value);
  return key.indexOf("/") > 0 ? key : refuse();
};

/** The name of a gateway, of a message or of a member. */
export const name: Field<string> = text(MAX_NAME);

/** The number of a life of a gateway. */
export const epochNumber: Field<number> = integer(1);

/** A JSON object in its text: it keeps what CBOR has no word for, and its names cannot reach a prototype. */
export const jsonObject: Field<Readonly<Record<string, unknown>>> = (value) => {
  try {
    const parsed: unknown = JSON.parse(text(2 ** 16)(value));
    return typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)
      ? parsed as Record<string, unknown>
      : refuse();
  } catch {
    return refuse();
  }
};

const entryRow = row<[Bytes, boolean, number, string | undefined]>(bytes, flag, integer(), maybe(name));
const entryOf: Field<Entry> = (value) => {
  const [data, json, at, id] = entryRow(value);
  return { data, json, at, id };
};

/** Entries as they stand on the wire. */
export const entriesOut = (entries: readonly Entry[]): unknown[] =>
  entries.map(({ data, json, at, id }) => [data, json, at, id ?? null]);

/** Consecutive entries. */
export const entries: Field<Entry[]> = list(entryOf);

const rangeRow = row<[number, number, Entry[]]>(epochNumber, integer(1), entries);

/** A range as it stands on the wire. */
export const rangeOut = ({ epoch, from, entries }: Range): unknown[] => [epoch, from, entriesOut(entries)];

/** A range; its last offset is one that can be counted too. */
export const range: Field<Range> = (value) => {
  const [epoch, from, entries] = rangeRow(value);
  return Number.isSafeInteger(from + entries.length) ? { epoch, from, entries } : refuse();
};

/** What stands in bytes. @returns `undefined` for what is not CBOR, too long, or refused by the field */
export function read<Value>(field: Field<Value>, encoded: Uint8Array, maxBytes: number): Value | undefined {
  if (encoded.byteLength > maxBytes) return undefined;
  try {
    // A view on a pool would hand out views: what is kept of a message would keep all that came with it.
    return field(decode(new Uint8Array(encoded.buffer, encoded.byteOffset, encoded.byteLength)));
  } catch {
    // Malformed, or whatever a decoder makes of what a stranger wrote, too deep nesting included.
    return undefined;
  }
}

/** About how many bytes an entry takes on the wire. */
export const weight = ({ data, id }: Entry): number => data.byteLength + (id?.length ?? 0) + 24;

/** Parts of a list that weigh at most so much each; what is heavier alone stands alone. */
export function* parts<Item>(items: Iterable<Item>, weigh: (item: Item) => number, most: number): Generator<Item[]> {
  let part: Item[] = [];
  let weight = 0;
  for (const item of items) {
    const more = weigh(item);
    if (part.length > 0 && weight + more > most) {
      yield part;
      part = [];
      weight = 0;
    }
    part.push(item);
    weight += more;
  }
  if (part.length > 0) yield part;
}
