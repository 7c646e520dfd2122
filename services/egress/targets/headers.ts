import { EgressFailure, type HeaderPairs } from "../../../src/contracts/egress.ts";
import { TOKEN, withoutBlanks } from "./fields.ts";

/** Fields that a request may have, and bytes of them with their separators: what common servers take. */
const MAX_FIELDS = 100, MAX_BYTES = 32_768;
/** RFC 9110, 5.5: one byte for a character, and no control characters but tabs. */
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** What concerns one connection alone (RFC 9110, 7.6.1 and 11.7; RFC 9113, 3.2.1), in the spelling of older clients too. */
const HOP_BY_HOP = new Set([
  ...["connection", "keep-alive", "te", "trailer", "trailers", "transfer-encoding", "upgrade", "http2-settings"],
  ...["proxy-connection", "proxy-authenticate", "proxy-authorization", "proxy-authentication-info"],
]);

/** What whoever sends the request sets by what it sends. */
const FRAMING = new Set(["host", "content-length", "expect"]);

/** What proxies write of whom they act for: passed on it would tell, and a user's own would be believed where ours should be. */
const FORWARDING = new Set([
  ...["forwarded", "via", "cdn-loop", "x-forwarded", "forwarded-for", "x-real-ip", "client-ip", "x-client-ip"],
  ...["x-cluster-client-ip", "x-remote-ip", "x-remote-addr", "x-originating-ip", "x-original-forwarded-for"],
  ...["true-client-ip", "fastly-client-ip", "fly-client-ip", "proxy-client-ip", "wl-proxy-client-ip"],
  ...["x-proxyuser-ip", "x-appengine-user-ip", "x-envoy-external-address", "x-azure-clientip", "x-azure-socketip"],
  ...[
    "cf-connecting-ip",
    "cf-connecting-ipv6",
    "cf-connecting-o2o",
    "cf-pseudo-ipv4",
    "cf-ipcountry",
    "cf-ray",
    "cf-visitor",
  ],
  "cf-worker",
]);
const FORWARDING_PREFIXES = ["x-forwarded-", "x-orama-"];

/** What joins requests of one caller, which programs add of their own (W3C Trace Context and Baggage, B3; RFC 9110, 10.1.2). */
const LINKING = new Set([
  ...["from", "traceparent", "tracestate", "baggage", "b3", "x-request-id", "request-id", "x-correlation-id"],
  ...["x-amzn-trace-id", "x-cloud-trace-context", "uber-trace-id", "sentry-trace"],
]);
const LINKING_PREFIXES = ["x-b3-"];

/**
 * Names of what proves who asks; Fetch standard, 4.4, has the first, and the others are as secret. Names are written together as often as
 * not, and one that is left out needlessly is missed by hardly anybody.
 */
const SECRET = new RegExp(
  [
    "auth(?!ors?(?:[-_]|$))|cookie|token|secret|passw|passphrase|credential|session|jwt|signature|assertion|csrf|xsrf|bearer",
    "(?:api|access|account|admin|app|client|function|functions|license|master|private|security|service|shared|signing|user)key",
    "(?:^|[-_])(?:key|keys|keyid|pass|pwd|pin|otp|sid|sig|hmac|ticket|dpop)(?:[-_]|$)",
  ].join("|"),
);

/** What tells another server where the request was before: browsers send neither of them there as it was. */
const ORIGIN = new Set(["referer", "origin"]);

/** What is sent where the request does not say it. Neither the version nor the machine can be told by it. */
const DEFAULTS: HeaderPairs = [["user-agent", "orama-gateway"], ["accept", "*/*"], ["accept-encoding", "identity"]];

/** How the header of a request is made. */
export interface RequestHeaderOptions {
  /** Whether what joins requests of one caller is left out as well, such as `traceparent`. What tells the caller is left out always. */
  readonly anonymous: boolean;
  /** More names to leave out, in lower case: those by which the caller spoke to this gateway. Default: none. */
  readonly drop?: readonly string[];
}

/**
 * The header of a request as it is sent: without what concerns the connection or tells for whom it is sent, with what is sent by default
 * where it is missing. Names keep their letters, and all their order.
 * @throws EgressFailure `EGRESS_REQUEST_INVALID` that names the field, never its value
 */
export function requestHeaders(pairs: HeaderPairs, { anonymous, drop = [] }: RequestHeaderOptions): HeaderPairs {
  check(pairs);
  const dropped = new Set(drop);
  const kept = endToEnd(pairs).filter(([name]) =>
    !FRAMING.has(name) && !isOf(name, FORWARDING, FORWARDING_PREFIXES) && !dropped.has(name) &&
    !(anonymous && isOf(name, LINKING, LINKING_PREFIXES))
  );
  const names = new Set(kept.map(([name]) => name));
  return [
    ...kept.map(([, name, value]) => [name, withoutBlanks(value)] as const),
    ...DEFAULTS.filter(([name]) => !names.has(name)),
  ];
}

/** The header of a response as it is passed on: without what concerns the connection, or its `Connection` field names. */
export const responseHeaders = (pairs: HeaderPairs): HeaderPairs =>
  endToEnd(pairs).map(([, name, value]) => [name, value]);

/** What changes from one request to the one that it is redirected to. */
export interface RedirectHeaderOptions {
  /** Whether the next server is another, by scheme, host or port. */
  readonly crossOrigin: boolean;
  /** Whether the next request is sent without the body. */
  readonly dropBody: boolean;
}

/**
 * The header of the request that another is redirected to (RFC 9110, 15.4; Fetch standard, 4.4). Another server gets nothing that proves
 * who asks: no `Authorization`, no `Cookie`, nothing that is called a key, token, secret, password, session or signature; nor where it was
 * asked for before: no `Referer`, no `Origin`.
 * @param pairs as {@link requestHeaders} made them
 */
export const redirectHeaders = (pairs: HeaderPairs, { crossOrigin, dropBody }: RedirectHeaderOptions): HeaderPairs =>
  pairs.filter(([name]) => {
    const lower = name.toLowerCase();
    return !(crossOrigin && (SECRET.test(lower) || ORIGIN.has(lower))) &&
      !(dropBody && /^(content-.*|(repr-)?digest)$/.test(lower));
  });

/** Without what concerns one connection; each with its name in lower case in front. */
function endToEnd(pairs: HeaderPairs): readonly (readonly [lower: string, name: string, value: string])[] {
  const all = pairs.map(([name, value]) => [name.toLowerCase(), name, value] as const);
  const named = all.filter(([lower]) => lower === "connection" || lower === "proxy-connection").flatMap(([, , value]) =>
    value.split(",").map((option) => option.trim().toLowerCase())
  );
  const dropped = new Set(named);
  return all.filter(([lower]) => !HOP_BY_HOP.has(lower) && !dropped.has(lower));
}

const isOf = (name: string, names: ReadonlySet<string>, prefixes: readonly string[]) =>
  names.has(name) || prefixes.some((prefix) => name.startsWith(prefix));

function check(pairs: HeaderPairs): void {
  if (pairs.length > MAX_FIELDS) throw invalid(`a request may have no more than ${MAX_FIELDS} headers`);
  let bytes = 0;
  for (const [name, value] of pairs) {
    if (name.length > 256 || !TOKEN.test(name)) throw invalid(`${shown(name)} is not the name of a header`);
    if (!VALUE.test(value)) {
      throw invalid(`the header ${name} must have no line breaks, control characters, or characters beyond Latin-1`);
    }
    bytes += name.length + value.length + 4;
  }
  if (bytes > MAX_BYTES) throw invalid(`the headers of a request may have no more than ${MAX_BYTES} bytes together`);
}

const shown = (name: string) => JSON.stringify(name.length > 64 ? `${name.slice(0, 64)}…` : name);
const invalid = (sentence: string) => new EgressFailure("EGRESS_REQUEST_INVALID", sentence);
