import type { TopicKey, View } from "./cluster/cluster.ts";
import { invalid } from "./failures.ts";

/**
 * A position is, in base64url: the version; four bytes of the hash of the topic's key; the highest epoch that was known; how many
 * epochs are named; and for each of them, rising, how much its number is above the one before, and its offset. All numbers are
 * LEB128 varints. A view has one spelling only.
 */
const VERSION = 1;
/** Epochs that a position may name. With more of them open there are no positions, rather than wrong ones. */
export const MAX_EPOCHS = 256;
/** Bytes of the largest safe integer as a varint. */
const MAX_VARINT = 8;
const FIRST_NUMBER = 5;
const BASE64URL = { alphabet: "base64url", omitPadding: true } as const;

const scratch = new Uint8Array(FIRST_NUMBER + MAX_VARINT * (2 + 2 * MAX_EPOCHS));
/** Longer ones were never given: they are not looked at. */
const LONGEST = Math.ceil(scratch.length * 4 / 3);

/**
 * What ties positions to a topic: FNV-1a in 32 bits. It finds mistakes, and is no secret: whoever makes up a position for a topic
 * that they may read gets nothing that they may not read.
 */
export function sumOf(key: TopicKey): number {
  let sum = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) sum = Math.imul(sum ^ key.charCodeAt(i), 0x01000193);
  return sum >>> 0;
}

/**
 * A view as its holder is given it.
 * @param sum of the topic, {@link sumOf}
 * @returns `undefined` for one of more epochs than a position can name
 */
export function positionText(sum: number, { heads, known }: View): string | undefined {
  if (heads.size > MAX_EPOCHS) return undefined;
  scratch[0] = VERSION;
  for (let i = 0; i < 4; i++) scratch[1 + i] = sum >>> (24 - 8 * i);
  let end = putVarint(putVarint(FIRST_NUMBER, known), heads.size);
  let before = 0;
  for (const epoch of heads.size < 2 ? heads.keys() : [...heads.keys()].sort((a, b) => a - b)) {
    end = putVarint(putVarint(end, epoch - before), heads.get(epoch)!);
    before = epoch;
  }
  return scratch.subarray(0, end).toBase64(BASE64URL);
}

/** @param sum of the topic that it is to be of @throws GatewayError `INVALID_REQUEST` for anything that was never given for this topic */
export function readPosition(sum: number, text: string): View {
  const view = text.length <= LONGEST ? viewOf(text) : undefined;
  // Every other spelling of the same, and every other topic's, shows here.
  if (view === undefined || positionText(sum, view) !== text) {
    throw invalid("since", "not a position that this topic gave; begin without it");
  }
  return view;
}

function viewOf(text: string): View | undefined {
  let bytes: Uint8Array;
  try {
    bytes = Uint8Array.fromBase64(text, { alphabet: "base64url" });
  } catch {
    return undefined;
  }
  let at = FIRST_NUMBER;
  const next = (): number => {
    let number = 0;
    for (let scale = 1; at < bytes.length; scale *= 128) {
      const byte = bytes[at++]!;
      number += (byte & 127) * scale;
      if (!Number.isSafeInteger(number)) return NaN;
      if (byte < 128) return number;
    }
    return NaN;
  };
  const known = next(), count = next();
  if (!(count <= MAX_EPOCHS)) return undefined;
  const heads = new Map<number, number>();
  let epoch = 0;
  for (let i = 0; i < count; i++) {
    const above = next(), offset = next();
    epoch += above;
    if (!(above > 0 && offset >= 0 && Number.isSafeInteger(epoch))) return undefined;
    heads.set(epoch, offset);
  }
  return at === bytes.length ? { heads, known } : undefined;
}

function putVarint(at: number, number: number): number {
  let rest = number;
  for (; rest > 127; rest = Math.floor(rest / 128)) scratch[at++] = rest % 128 | 128;
  scratch[at] = rest;
  return at + 1;
}
