import { base32nopad, base58 } from "@scure/base";

/** A CID may be written in several ways; here it has one of them. */
export interface Cid {
  /** Version 1 in base32. What is recorded, and what drivers get. */
  readonly canonical: string;
  /** As it is written in answers: version 0 where it was given so. */
  readonly written: string;
}

/** Characters that the longest CID may have which is looked at. */
const LONGEST = 200;
const DAG_PB = 0x70;
/** The hash that is no hash: the content stands in the CID itself, so that nothing would be stored or could be deleted. */
const IDENTITY = 0x00;
const MOST_DIGEST_BYTES = 64, LEAST_DIGEST_BYTES = 20;

/**
 * Reads a CID (https://github.com/multiformats/cid): version 0, or version 1 in base32 (`b…`) or base58btc (`z…`).
 * @returns `undefined` for what is none, and for those that hold their content themselves (`identity`)
 */
export function readCid(text: string): Cid | undefined {
  if (text.length < 8 || text.length > LONGEST) return undefined;
  if (/^Qm[1-9A-HJ-NP-Za-km-z]{44}$/.test(text)) {
    const hash = decoded(() => base58.decode(text));
    if (hash?.length !== 34 || hash[0] !== 0x12 || hash[1] !== 0x20) return undefined;
    return { canonical: base32Of(Uint8Array.of(1, DAG_PB, ...hash)), written: text };
  }
  const bytes = text.startsWith("b")
    ? /^b[a-z2-7]+$/.test(text) ? decoded(() => base32nopad.decode(text.slice(1).toUpperCase())) : undefined
    : text.startsWith("z")
    ? decoded(() => base58.decode(text.slice(1)))
    : undefined;
  if (!bytes || !isVersion1(bytes)) return undefined;
  const canonical = base32Of(bytes);
  return { canonical, written: canonical };
}

/** Whether bytes are version, codec, and a whole multihash with nothing behind it. */
function isVersion1(bytes: Uint8Array): boolean {
  const numbers: number[] = [];
  let at = 0;
  while (numbers.length < 4) {
    let value = 0, shift = 0;
    for (;; shift += 7) {
      const byte = bytes[at++];
      // Only the shortest form of a number: else one CID would have many spellings.
      if (byte === undefined || shift > 28 || (byte === 0 && shift > 0)) return false;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    numbers.push(value);
  }
  const [version, , hash, length] = numbers;
  return version === 1 && hash !== IDENTITY && length! >= LEAST_DIGEST_BYTES && length! <= MOST_DIGEST_BYTES &&
    bytes.length === at + length!;
}

const base32Of = (bytes: Uint8Array) => `b${base32nopad.encode(bytes).toLowerCase()}`;

function decoded(decode: () => Uint8Array): Uint8Array | undefined {
  try {
    return decode();
  } catch {
    return undefined;
  }
}
