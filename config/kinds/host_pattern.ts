import { cidr } from "./cidr.ts";
import { type Kind, parsedKind } from "./kind.ts";

/** RFC 1035, 2.3.4; some servers have an underscore in their names. The last label is no number: that would be an address. */
const NAME = /^(?:[a-z\d_-]{1,63}\.)*(?!(?:\d+|0x[\da-f]*)$)[a-z\d_-]{1,63}$/;
const LONGEST = 253;

/**
 * Which servers are meant: a name in any script, the sub-domains of one (`*.example.com`, not `example.com` itself), an address, or a
 * range of addresses. Becomes its normal form in lower case and ASCII.
 */
export const hostPattern: Kind<string> = parsedKind({
  name: "host",
  expected:
    "a host such as api.example.com, *.example.com for sub-domains, an address, or a range such as 203.0.113.0/24",
  parse: parseHostPattern,
  toYaml: (value) => value,
});

function parseHostPattern(raw: unknown): string | undefined {
  if (typeof raw !== "string" || raw.length > LONGEST) return undefined;
  const range = cidr.schema.safeParse(raw);
  // One address stays one: nobody wrote a range.
  if (range.success) return raw.includes("/") ? range.data : range.data.split("/")[0];
  const [, star = "", name = ""] = /^(\*\.)?([^\s\p{Cc}/?#@:\\[\]%*]+)$/u.exec(raw) ?? [];
  // The URL parser makes ASCII of other scripts (UTS 46), and addresses of what libraries take for one, such as 127.1.
  const hostname = URL.parse(`http://${name}/`)?.hostname ?? "";
  return NAME.test(hostname) && star.length + hostname.length <= LONGEST ? star + hostname : undefined;
}
