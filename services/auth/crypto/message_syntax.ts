import { isIPv6 } from "node:net";

const PCHAR = "(?:[A-Za-z0-9\\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})";
const REG_NAME = "(?:[A-Za-z0-9\\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})*";
const USERINFO = "(?:[A-Za-z0-9\\-._~!$&'()*+,;=:]|%[0-9A-Fa-f]{2})*";
const IP_LITERAL = "\\[(?:([0-9A-Fa-f:.]+)|[vV][0-9A-Fa-f]+\\.[A-Za-z0-9\\-._~!$&'()*+,;=:]+)\\]";

const AUTHORITY = new RegExp(`^(?:${USERINFO}@)?(?:${IP_LITERAL}|${REG_NAME})(?::[0-9]*)?$`);
const URI = new RegExp(
  `^([A-Za-z][A-Za-z0-9+.\\-]*):` +
    // An authority is taken as a whole here and looked at on its own.
    `(?://([^/?#]*)(?:/${PCHAR}*)*|/(?:${PCHAR}+(?:/${PCHAR}*)*)?|${PCHAR}+(?:/${PCHAR}*)*|)` +
    `(?:\\?(?:${PCHAR}|[/?])*)?(?:#(?:${PCHAR}|[/?])*)?$`,
);
const DATE_TIME = new RegExp(
  "^([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(\\.[0-9]+)?" +
    "(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))$",
);

/** The parts of a URI that tell whose it is. */
export interface UriParts {
  readonly scheme: string;
  /** `undefined` where the URI has none (`urn:…`). */
  readonly authority: string | undefined;
}

/** Reads a URI by the grammar of RFC 3986, with none of the repairs that browsers make. @returns `undefined` if it is none */
export function parseUri(text: string): UriParts | undefined {
  const match = URI.exec(text);
  if (match === null) return undefined;
  const [, scheme = "", authority] = match;
  return authority === undefined || AUTHORITY.test(authority) && hasSoundHost(authority)
    ? { scheme, authority }
    : undefined;
}

/** Whether a text is an RFC 3986 authority (`[userinfo@]host[:port]`) and not empty. */
export function isAuthority(text: string): boolean {
  return text !== "" && AUTHORITY.test(text) && hasSoundHost(text);
}

/** Reads an RFC 3339 date-time. @returns Unix milliseconds, `undefined` if it is none or names a day that does not exist */
export function parseDateTime(text: string): number | undefined {
  const match = DATE_TIME.exec(text);
  if (match === null) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const [offsetHour, offsetMinute] = [Number(match[9] ?? 0), Number(match[10] ?? 0)];
  // 60 is a leap second: RFC 3339 allows it, and it counts as the second after it.
  if (hour > 23 || minute > 59 || second > 60 || offsetHour > 23 || offsetMinute > 59) return undefined;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
  const offset = (offsetHour * 60 + offsetMinute) * (match[8] === "-" ? -1 : 1);
  const fraction = Math.floor(Number(match[7] ?? 0) * 1000);
  return date.getTime() + ((hour * 60 + minute - offset) * 60 + second) * 1000 + fraction;
}

function hasSoundHost(authority: string): boolean {
  const address = AUTHORITY.exec(authority)?.[1];
  return address === undefined || isIPv6(address);
}
