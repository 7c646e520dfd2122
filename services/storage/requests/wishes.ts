import ipaddr from "ipaddr.js";
import type { PinWish } from "../../../src/contracts/pinning.ts";
import { type Cid, readCid } from "../cids.ts";
import { invalid } from "../failures.ts";
import { checkedName, checkText } from "../names.ts";

/** Characters of a name, as the specification has them. */
const LONGEST_NAME = 255;
/** Bytes of the notes beside a request, as JSON in UTF-8. */
const MAX_META_BYTES = 1_024;
/** Addresses that are looked at: a node with a few interfaces and transports tells more than it may by the specification. */
const MAX_GIVEN = 100;
/** Addresses that are kept, and bytes that they may have together: whoever makes many requests fills the control plane. */
const MAX_ORIGINS = 20, MAX_ORIGIN_BYTES = 4_096;
const LONGEST_ORIGIN = 1_024;
/** What can be connected to: an address that names its peer. */
const USABLE = /^(\/[\w.:%-]+)+\/p2p\/[1-9A-HJ-NP-Za-km-z]{20,100}$/, LONGEST_USABLE = 256;

/** A wish as it may be recorded. */
export interface CheckedWish {
  readonly cid: Cid;
  readonly name: string | undefined;
  /** What the object is called that is made for it; `undefined`: as its CID. */
  readonly objectName: string | undefined;
  /** JSON object. */
  readonly meta: string;
  readonly origins: readonly string[];
  /** Those of {@link origins} that the engine is told. */
  readonly usable: readonly string[];
}

/** Holds a wish against what may be. @throws GatewayError `INVALID_REQUEST` with the field */
export function checkedWish({ cid: text, name, meta = {}, origins = [] }: PinWish): CheckedWish {
  const cid = readCid(text);
  if (cid === undefined) {
    throw invalid(
      "cid",
      "is not a CID that can be kept here: version 0, or 1 in base32 or base58, and not an identity",
    );
  }
  const kept = checkedOrigins(origins);
  return {
    cid,
    name: checkedText(name),
    objectName: objectNameOf(name),
    meta: checkedMeta(meta),
    origins: kept,
    usable: kept.filter(isUsable),
  };
}

function checkedText(name: string | undefined): string | undefined {
  if (name === undefined || name === "") return undefined;
  if (name.length > LONGEST_NAME) throw invalid("name", `must have at most ${LONGEST_NAME} characters`);
  checkText(name, "name", Infinity);
  return name;
}

/** Objects are named like files, requests as one likes. */
function objectNameOf(name: string | undefined): string | undefined {
  try {
    return checkedName(name);
  } catch {
    return undefined;
  }
}

function checkedMeta(meta: Readonly<Record<string, string>>): string {
  for (const text of Object.entries(meta).flat()) {
    if (text.includes("\0")) throw invalid("meta", "holds U+0000");
    if (!text.isWellFormed()) throw invalid("meta", "holds half of a surrogate pair, which no UTF-8 can hold");
  }
  const json = JSON.stringify(meta);
  if (new TextEncoder().encode(json).length > MAX_META_BYTES) {
    throw invalid("meta", `must have at most ${MAX_META_BYTES} bytes as JSON`);
  }
  return json;
}

function checkedOrigins(origins: readonly string[]): readonly string[] {
  if (origins.length > MAX_GIVEN) throw invalid("origins", `at most ${MAX_GIVEN}`);
  origins.forEach((origin, i) => {
    if (origin.length <= LONGEST_ORIGIN && /^(\/[^\s/\p{Cc}]+)+$/u.test(origin) && origin.isWellFormed()) return;
    throw invalid(`origins.${i}`, "must be a multiaddress, such as /ip4/192.0.2.1/tcp/4001/p2p/<peer id>");
  });
  let bytes = 0;
  return [...new Set(origins)].toSorted((a, b) => rank(a) - rank(b)).slice(0, MAX_ORIGINS)
    .filter((origin) => (bytes += new TextEncoder().encode(origin).length) <= MAX_ORIGIN_BYTES);
}

const isUsable = (origin: string) => origin.length <= LONGEST_USABLE && USABLE.test(origin);

/** How little an address promises: of those that nobody connects to, least. */
function rank(origin: string): number {
  if (!isUsable(origin)) return 3;
  const [, protocol, host] = origin.split("/");
  if (protocol !== "ip4" && protocol !== "ip6") return protocol?.startsWith("dns") ? 0 : 2;
  const range = ipaddr.isValid(host!) ? ipaddr.process(host!).range() : "loopback";
  return range === "unicast" ? 0 : range === "loopback" ? 2 : 1;
}
