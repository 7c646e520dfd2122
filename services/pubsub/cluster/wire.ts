import { encode } from "@ipld/dag-cbor";
import type { NodeId } from "../mesh/mesh.ts";
import type { Range, TopicKey } from "./cluster.ts";
import {
  type Bytes,
  epochNumber,
  type Field,
  flag,
  integer,
  jsonObject,
  list,
  Malformed,
  maybe,
  name,
  range,
  rangeOut,
  read,
  row,
  topicKey,
} from "./fields.ts";

/** Of the frames; another version's are refused, and whoever speaks it says so first. */
export const WIRE_VERSION = 1;

/** How far epochs are in a topic. */
export type TopicHeads = readonly [key: TopicKey, heads: readonly (readonly [epoch: number, head: number])[]];

/** A member as one gateway has it; without connections it left. */
export interface PresentMember {
  readonly id: string;
  readonly meta: Readonly<Record<string, unknown>> | undefined;
  readonly joinedAt: number;
  readonly connections: number;
}

/** Some of who is present in a topic, on one gateway. */
export type TopicMembers = readonly [key: TopicKey, members: readonly PresentMember[]];

/** What goes over a link. */
export type Frame =
  /** Begins a link, and a new life of the same process. */
  | { readonly type: "hello"; readonly version: number; readonly epoch: number | undefined }
  /** Once a second: it lives, and hears these gateways over links. */
  | { readonly type: "beat"; readonly epoch: number | undefined; readonly sees: readonly NodeId[] }
  /** Heads of these topics are wanted, now and whenever they change. `id` 0: nobody waits. */
  | { readonly type: "join"; readonly id: number; readonly keys: readonly TopicKey[] }
  | { readonly type: "leave"; readonly keys: readonly TopicKey[] }
  /** Answers a join, or tells what changed. Epochs that are not named have no entry. */
  | { readonly type: "heads"; readonly id: number; readonly topics: readonly TopicHeads[] }
  /** Entries of the sender, for one who joined so lately that a channel may not reach it yet. */
  | { readonly type: "entries"; readonly key: TopicKey; readonly range: Range }
  /** `first`: all that was said before is forgotten, unless it is said again up to and with `last`. */
  | {
    readonly type: "members";
    readonly first: boolean;
    readonly last: boolean;
    readonly topics: readonly TopicMembers[];
  }
  /** To be answered with `taken`: what was sent before it was taken by then, and more may be sent. */
  | { readonly type: "mark" }
  | { readonly type: "taken" }
  /** Something was not taken: begin anew with what is joined, and who is present. */
  | { readonly type: "again" }
  /**
   * How far the sender's epoch came in each topic, in parts. It publishes no more. A topic that is not named may have a head up to
   * `forgotten`.
   */
  | {
    readonly type: "farewell";
    readonly epoch: number;
    readonly last: boolean;
    readonly forgotten: number;
    readonly heads: readonly (readonly [key: TopicKey, head: number])[];
  }
  /** All of it that was joined is here. */
  | { readonly type: "farewell_done"; readonly epoch: number };

const headRow = row<[number, number]>(epochNumber, integer());
const topicHeads = row<[TopicKey, [number, number][]]>(topicKey, list(headRow));
const memberRow = row<[string, Record<string, unknown> | undefined, number, number]>(
  name,
  maybe(jsonObject),
  integer(),
  integer(),
);
const member: Field<PresentMember> = (value) => {
  const [id, meta, joinedAt, connections] = memberRow(value);
  return { id, meta, joinedAt, connections };
};
const topicMembers = row<[TopicKey, PresentMember[]]>(topicKey, list(member));

type Shape<Type extends Frame["type"]> = Extract<Frame, { readonly type: Type }>;
interface Codec<Shape> {
  readonly out: (frame: Shape) => readonly unknown[];
  readonly in: (fields: unknown[]) => Shape;
}
const codec = <Type extends Frame["type"], Values extends readonly unknown[]>(
  out: (frame: Shape<Type>) => readonly unknown[],
  fields: Field<Values>,
  make: (values: Values) => Shape<Type>,
): Codec<Shape<Type>> => ({ out, in: (values) => make(fields(values)) });

const FRAMES: { readonly [Type in Frame["type"]]: Codec<Shape<Type>> } = {
  hello: codec(
    ({ version, epoch }) => [version, epoch ?? null],
    row<[number, number | undefined]>(integer(1), maybe(epochNumber)),
    ([version, epoch]) => ({ type: "hello", version, epoch }),
  ),
  beat: codec(
    ({ epoch, sees }) => [epoch ?? null, sees],
    row<[number | undefined, string[]]>(maybe(epochNumber), list(name)),
    ([epoch, sees]) => ({ type: "beat", epoch, sees }),
  ),
  join: codec(
    ({ id, keys }) => [id, keys],
    row<[number, string[]]>(integer(), list(topicKey)),
    ([id, keys]) => ({ type: "join", id, keys }),
  ),
  leave: codec(
    ({ keys }) => [keys],
    row<[string[]]>(list(topicKey)),
    ([keys]) => ({ type: "leave", keys }),
  ),
  heads: codec(
    ({ id, topics }) => [id, topics],
    row<[number, [TopicKey, [number, number][]][]]>(integer(), list(topicHeads)),
    ([id, topics]) => ({ type: "heads", id, topics }),
  ),
  entries: codec(
    ({ key, range }) => [key, rangeOut(range)],
    row<[string, Range]>(topicKey, range),
    ([key, range]) => ({ type: "entries", key, range }),
  ),
  members: codec(
    ({ first, last, topics }) => [first, last, topics.map(([key, members]) => [key, members.map(memberOut)])],
    row<[boolean, boolean, [TopicKey, PresentMember[]][]]>(flag, flag, list(topicMembers)),
    ([first, last, topics]) => ({ type: "members", first, last, topics }),
  ),
  mark: codec(() => [], row<[]>(), () => ({ type: "mark" })),
  taken: codec(() => [], row<[]>(), () => ({ type: "taken" })),
  again: codec(() => [], row<[]>(), () => ({ type: "again" })),
  farewell: codec(
    ({ epoch, last, forgotten, heads }) => [epoch, last, forgotten, heads],
    row<[number, boolean, number, [string, number][]]>(
      epochNumber,
      flag,
      integer(),
      list(row<[string, number]>(topicKey, integer(1))),
    ),
    ([epoch, last, forgotten, heads]) => ({ type: "farewell", epoch, last, forgotten, heads }),
  ),
  farewell_done: codec(
    ({ epoch }) => [epoch],
    row<[number]>(epochNumber),
    ([epoch]) => ({ type: "farewell_done", epoch }),
  ),
};

const memberOut = ({ id, meta, joinedAt, connections }: PresentMember) => [
  id,
  meta === undefined ? null : JSON.stringify(meta),
  joinedAt,
  connections,
];

/** A frame in bytes. */
export function encodeFrame(frame: Frame): Bytes {
  const { out } = FRAMES[frame.type] as Codec<Frame>;
  return encode([frame.type, ...out(frame)]) as Bytes;
}

const anyFrame: Field<Frame> = (value) => {
  if (!Array.isArray(value) || typeof value[0] !== "string" || !Object.hasOwn(FRAMES, value[0])) {
    throw new Malformed("no frame that is known");
  }
  return (FRAMES[value[0] as Frame["type"]] as Codec<Frame>).in(value.slice(1));
};

/** @returns `undefined` for what is no frame of this version */
export const decodeFrame = (encoded: Uint8Array, maxBytes: number): Frame | undefined =>
  read(anyFrame, encoded, maxBytes);

const messageRow = row<[number, Range]>(
  (value) => value === WIRE_VERSION ? WIRE_VERSION : integer(1)(undefined),
  range,
);

/** Entries as they go over a topic's channel, which says which topic it is. */
export const encodeMessage = (range: Range): Bytes => encode([WIRE_VERSION, rangeOut(range)]) as Bytes;

/** @returns `undefined` for what is no message of this version */
export const decodeMessage = (encoded: Uint8Array, maxBytes: number): Range | undefined =>
  read(messageRow, encoded, maxBytes)?.[1];
