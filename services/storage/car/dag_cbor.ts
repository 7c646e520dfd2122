import { Links } from "./links.ts";

/** Major types of CBOR. */
const NEGATIVE = 1, BYTES = 2, TEXT = 3, LIST = 4, MAP = 5, TAG = 6;
/** The tag of a CID, and how its bytes begin. */
const TAG_CID = 42, IDENTITY_BASE = 0;
/** Lists and maps within each other. Other readers stop there, too. */
const MAX_DEPTH = 1_024;

/**
 * The links of a block of dag-cbor. Everything else in it is passed over without making anything of it.
 * @throws Error for what is no CBOR, or is more than dag-cbor allows: lengths that are not told, other tags than that of a CID
 */
export function linksOfDagCbor(bytes: Uint8Array): Links {
  const links = new Links(bytes);
  /** How many items each list that is open still has. */
  const open: number[] = [1];
  let at = 0;
  const argument = (low: number): number => {
    if (low < 24) return low;
    if (low > 27) throw new Error("a length that is not told");
    let value = 0;
    for (let left = 1 << (low - 24); left > 0; left--) {
      const byte = bytes[at++];
      if (byte === undefined) throw new Error("it ends too early");
      value = value * 256 + byte;
    }
    return value;
  };
  while (open.length > 0) {
    if (open[open.length - 1] === 0) {
      open.pop();
      continue;
    }
    open[open.length - 1]!--;
    const head = bytes[at++];
    if (head === undefined) throw new Error("it ends too early");
    const major = head >> 5, value = argument(head & 31);
    if (major <= NEGATIVE) continue;
    if (major === BYTES || major === TEXT) at += value;
    else if (major === LIST || major === MAP) {
      if (open.length > MAX_DEPTH) throw new Error(`deeper than ${MAX_DEPTH}`);
      open.push(major === MAP ? value * 2 : value);
    } else if (major === TAG) {
      if (value !== TAG_CID || bytes[at++]! >> 5 !== BYTES) throw new Error(`the tag ${value}`);
      const length = argument(bytes[at - 1]! & 31);
      if (length === 0 || bytes[at] !== IDENTITY_BASE) throw new Error("a link without a CID");
      links.add(at + 1, at + length, 0, 0);
      at += length;
    } else if ((head & 31) < 20 || (head & 31) === 24) {
      throw new Error("a value that dag-cbor has not");
    }
    if (at > bytes.length) throw new Error("it ends too early");
  }
  if (at !== bytes.length) throw new Error("something is behind it");
  return links;
}
