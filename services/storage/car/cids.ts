import { createHash } from "node:crypto";
import { CID } from "multiformats/cid";
import { GatewayError } from "../../../src/contracts/errors.ts";

/** Codecs that are taken, by their numbers in the table of multicodec. */
export const RAW = 0x55, DAG_PB = 0x70, DAG_CBOR = 0x71;
/** The hash that is taken, and the length of its digest in bytes. */
export const SHA2_256 = 0x12, DIGEST_LENGTH = 32;
/** Longer than any CID that is taken, in whatever base. Some bases take quadratic time to read. */
const MAX_TEXT = 100;

/** @throws GatewayError `INVALID_REQUEST` for what is no CID, or has a codec or hash that is not taken */
export function parseCid(text: string): CID {
  let cid: CID;
  try {
    if (text.length > MAX_TEXT) throw new RangeError("too long");
    cid = CID.parse(text);
  } catch (cause) {
    throw refused("expected a CID such as bafybei… or Qm…", cause);
  }
  const problem = problemOf(cid);
  if (problem !== undefined) throw refused(problem);
  return cid;
}

const refused = (problem: string, cause?: unknown) =>
  new GatewayError("INVALID_REQUEST", `cid: ${problem}`, { cause, details: [{ field: "cid", problem }] });

/** Why a CID is not taken, to follow the name of a field; `undefined`: it is. */
export function problemOf({ code, multihash }: CID): string | undefined {
  if (code !== RAW && code !== DAG_PB && code !== DAG_CBOR) {
    return `expected the codec raw, dag-pb or dag-cbor, not 0x${code.toString(16)}`;
  }
  if (multihash.code !== SHA2_256 || multihash.size !== DIGEST_LENGTH) {
    return `expected a hash by SHA-256, not 0x${multihash.code.toString(16)} of ${multihash.size} bytes`;
  }
  return undefined;
}

/**
 * The CID as a key: equal for version 0 and version 1 of the same. As text it is that of version 1 in base32. The library's own puts it
 * together letter by letter, and what it gives takes 2 KB of memory until somebody compares it.
 */
export function keyOf(cid: CID): string {
  const { bytes } = cid.version === 0 ? cid.toV1() : cid;
  const letters: number[] = [MULTIBASE];
  let rest = 0, bits = 0;
  for (let i = 0; i < bytes.length; i++) {
    rest = rest << 8 | bytes[i]!;
    for (bits += 8; bits >= 5;) letters.push(BASE32.charCodeAt(rest >> (bits -= 5) & 31));
    rest &= 31;
  }
  if (bits > 0) letters.push(BASE32.charCodeAt(rest << 5 - bits & 31));
  return String.fromCharCode(...letters);
}

/** The letter that says base32, and its digits. */
const MULTIBASE = 0x62, BASE32 = "abcdefghijklmnopqrstuvwxyz234567";

/** Whether the bytes are those of the CID, which must be one that is taken. */
export function isBlockOf(cid: CID, bytes: Uint8Array): boolean {
  const digest = createHash("sha256").update(bytes).digest();
  const expected = cid.multihash.digest;
  for (let i = 0; i < DIGEST_LENGTH; i++) if (digest[i] !== expected[i]) return false;
  return true;
}
