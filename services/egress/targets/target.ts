import { EgressFailure } from "../../../src/contracts/egress.ts";
import type { Target } from "../parts.ts";
import { readAddress } from "./ranges.ts";

/** Characters of a URL, as it is given and as it is sent. */
const LONGEST_URL = 8_192;
/** RFC 1035, 2.3.4, without the length of the root. */
const LONGEST_NAME = 253, LONGEST_LABEL = 63;
/** Programs disagree over what all of these mean: some cut there, some take them out, some go on. */
const UNCLEAR = /[\p{Cc}\p{White_Space}\\]/u;
/** What a reference needs to name a host itself; of its authority, what is in front of a path, query or fragment (RFC 3986, 3.2). */
const AUTHORITY = /^(?:(https?):)?\/\/([^/?#]*)/i;
const SCHEME = /^[a-z][a-z\d+.-]*:/i;

/**
 * Reads the URL of a request, or of a redirect. It is read after the WHATWG URL standard, as browsers do, so every spelling of an address
 * becomes the usual one and every name ASCII (UTS 46); what different programs read differently is refused instead.
 * @param base what a redirect's `Location` is relative to; without it the URL must be absolute
 * @throws EgressFailure `EGRESS_REQUEST_INVALID` with a sentence that says what to write instead, and holds nothing of the URL
 */
export function targetOf(url: string, base?: Target | URL): Target {
  checkWritten(url, base !== undefined);
  const parsed = parse(url, base);
  if (parsed.protocol !== "http:" && parsed.protocol !== "https:") throw wrongScheme();
  if (parsed.username !== "" || parsed.password !== "") throw withUser();
  parsed.hash = "";
  if (parsed.href.length > LONGEST_URL) throw tooLong();
  const scheme = parsed.protocol === "https:" ? "https" : "http";
  const port = parsed.port === "" ? (scheme === "https" ? 443 : 80) : Number(parsed.port);
  if (port === 0) throw invalid("the URL's port must be a number from 1 to 65535");
  const path = parsed.href.slice(parsed.origin.length);
  return { scheme, ...hostOf(parsed.hostname), port, path };
}

/** The URL that leads to a target; its port is always in it. */
export const urlOf = ({ scheme, host, kind, port, path }: Target): string =>
  `${scheme}://${kind === "ipv6" ? `[${host}]` : host}:${port}${path}`;

/** Names that have no meaning outside one machine or network, or none that is HTTP. */
const LOCAL = new Set([
  // RFC 6761, 6.3; RFC 6762; SSAC 113 (metadata.google.internal is one of these).
  ...["localhost", "local", "internal"],
  // Networks use them as if they were theirs (RFC 6762, G), so nobody else gets them; Consul and Kubernetes do so too.
  ...["localdomain", "lan", "intranet", "private", "corp", "home", "mail", "consul", "svc"],
  // RFC 8375, RFC 1035, RFC 3596, RFC 7050 and others: all of it is of the network itself (RFC 3172).
  "arpa",
  // RFC 6761, 6.4; RFC 9476.
  ...["invalid", "alt"],
  // To a proxy of the kind of Tor it is an order about its circuit, not a name.
  ...["exit", "noconnect"],
]);
/** RFC 7686, and the same of the Anyone network. */
const PROXY_ONLY = new Set(["onion", "anyone"]);

/**
 * Whether a name is one of this machine's or of a network's own, so that whoever resolves it is led inside: names without a dot, such as
 * end with `.localhost`, `.local`, `.internal`, `.home.arpa` or the like, and names that programs read as an address.
 * `.test` and `.example` are not among them: nobody resolves them who was not told to (RFC 6761, 6.2 and 6.5).
 * @param host in any letter case, with or without a dot at its end; an address is no name
 */
export function isLocalName(host: string): boolean {
  const name = plain(host);
  if (readAddress(name) !== undefined) return false;
  const last = lastLabel(name);
  return !name.includes(".") || LOCAL.has(last) || isNumber(last);
}

/** Whether a name can be reached through an anonymous proxy alone, and must never be asked of a resolver: `.onion`, `.anyone`. */
export const isProxyOnlyName = (host: string): boolean => PROXY_ONLY.has(lastLabel(plain(host)));

/**
 * The only spelling of a name: lower case, ASCII, without a dot at its end. Underscores are in use and stay (RFC 2181, 11).
 * @param name as the WHATWG URL standard has made it
 * @returns why it is none, as the end of a sentence that begins with what the name is of
 */
export function canonicalName(name: string): { readonly name: string } | { readonly problem: string } {
  const bare = name.replace(/\.$/, "");
  const labels = bare.split(".");
  if (labels.includes("")) return { problem: "must have something between any two dots" };
  if (!/^[a-z\d_.-]+$/.test(bare)) return { problem: "may have letters, digits, hyphens, underscores and dots alone" };
  if (labels.some(({ length }) => length > LONGEST_LABEL)) {
    return { problem: `may have no more than ${LONGEST_LABEL} characters between two dots` };
  }
  if (bare.length > LONGEST_NAME) return { problem: `may have no more than ${LONGEST_NAME} characters` };
  if (isNumber(labels.at(-1)!)) return { problem: "ends as an address, but is none" };
  return { name: bare };
}

function checkWritten(url: string, isReference: boolean): void {
  if (url.length > LONGEST_URL) throw tooLong();
  if (UNCLEAR.test(url)) {
    throw invalid("the URL must be without blanks, control characters and backslashes: encode them");
  }
  if (!url.isWellFormed()) throw invalid("the URL must be whole characters: half of one is missing");
  const [, scheme, authority] = AUTHORITY.exec(url) ?? [];
  if (SCHEME.test(url) ? scheme === undefined : !isReference) throw wrongScheme();
  // Browsers skip slashes in front of a host; others take the path that follows them for one without a host.
  if (authority === "") throw invalid("the URL must name its host after two slashes, as in https://example.com/");
  // Also where nothing stands in front of it, which a parser would forget.
  if (authority?.includes("@")) throw withUser();
  if (authority?.startsWith("[") && authority.includes("%")) {
    throw invalid("the URL's address must be without a zone: those lead to the network of one machine alone");
  }
}

function parse(url: string, base: Target | URL | undefined): URL {
  const parsed = URL.parse(url, base === undefined || base instanceof URL ? base : urlOf(base));
  if (parsed === null) throw invalid("the URL's host must be a name or an address, and its port from 1 to 65535");
  return parsed;
}

function hostOf(hostname: string): Pick<Target, "host" | "kind"> {
  if (hostname.startsWith("[")) return { host: hostname.slice(1, -1), kind: "ipv6" };
  if (readAddress(hostname) !== undefined) return { host: hostname, kind: "ipv4" };
  const found = canonicalName(hostname);
  if ("problem" in found) throw invalid(`the URL's host ${found.problem}`);
  return { host: found.name, kind: "name" };
}

const plain = (host: string) => host.toLowerCase().replace(/\.+$/, "");
const lastLabel = (name: string) => name.slice(name.lastIndexOf(".") + 1);
/** As the WHATWG URL standard tells that a host ends in a number; libraries read such names as addresses. */
const isNumber = (label: string) => /^(\d+|0x[\da-f]*)$/.test(label);

const invalid = (sentence: string) => new EgressFailure("EGRESS_REQUEST_INVALID", sentence);
const tooLong = () => invalid(`the URL may have no more than ${LONGEST_URL} characters`);
const wrongScheme = () => invalid("the URL must begin with http:// or https://");
const withUser = () => invalid("the URL must be without a user and password: send an Authorization header instead");
