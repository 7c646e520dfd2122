import { equal, ok, throws } from "node:assert/strict";
import {
  hostPatternProblem,
  portProblem,
  type TargetLists,
  TargetRules,
} from "../../../../services/egress/targets/hosts.ts";
import { targetOf } from "../../../../services/egress/targets/target.ts";

const ANY: TargetLists = { allow_hosts: null, deny_hosts: [], ports: ["1-65535"], methods: null };
const rules = (lists: Partial<TargetLists>) => new TargetRules({ ...ANY, ...lists });
const isTaken = (of: TargetRules, url: string, method = "GET") => of.refusal(targetOf(url), method) === undefined;

Deno.test("a denied host is refused in every spelling, though it be allowed too", () => {
  const some = rules({
    allow_hosts: ["*.example.com", "api.example.com", "8.8.8.0/24"],
    deny_hosts: ["api.example.com", "*.secret.example.com", "8.8.8.8", "bücher.example.com"],
  });
  for (
    const url of [
      ...[
        "https://api.example.com/",
        "https://API.Example.COM./",
        "https://api。example．com/",
        "https://%61pi.example.com/",
      ],
      ...[
        "https://a.secret.example.com/",
        "https://a.b.secret.example.com/",
        "https://8.8.8.8/",
        "https://0x08080808/",
      ],
      ...["https://134744072/", "https://BÜCHER.example.com/", "https://xn--bcher-kva.example.com/"],
    ]
  ) ok(/^the host \S+ may not be used$/.test(some.refusal(targetOf(url), "GET") ?? ""), url);
  for (const url of ["https://a.example.com/", "https://secret.example.com/", "https://8.8.8.9/"]) {
    equal(some.refusal(targetOf(url), "GET"), undefined, url);
  }
});

Deno.test("a suffix covers what is below it, not itself, and nothing that only looks alike", () => {
  const some = rules({ allow_hosts: ["*.example.com"] });
  for (const host of ["a.example.com", "a.b.example.com", "A.EXAMPLE.COM", "a.example.com.", "_a.example.com"]) {
    ok(isTaken(some, `https://${host}/`), host);
  }
  for (const host of ["example.com", "aexample.com", "a.example.com.evil.org", "example.com.a", "com", "8.8.8.8"]) {
    equal(
      some.refusal(targetOf(`https://${host}/`), "GET"),
      `the host ${host} is not among those that may be used`,
      host,
    );
  }
  ok(isTaken(rules({ allow_hosts: ["*.com"] }), "https://example.com/"));
  ok(!isTaken(rules({ deny_hosts: ["*.com"] }), "https://a.example.com/"));
});

Deno.test("addresses and ranges hold for hosts that are addresses; an allowed one makes no name one of them", () => {
  const some = rules({ allow_hosts: ["203.0.113.0/24", "2001:db8::/32", "8.8.8.8"] });
  for (const host of ["203.0.113.7", "203.0.28935", "[2001:db8::1]", "[2001:DB8:0:0::2]", "8.8.8.8", "8.8.2056"]) {
    ok(isTaken(some, `http://${host}/`), host);
  }
  for (const host of ["203.0.114.0", "[2001:db9::1]", "8.8.8.9", "[::ffff:8.8.8.8]", "203.0.113.7.example.com"]) {
    ok(!isTaken(some, `http://${host}/`), host);
  }
});

Deno.test("what a name resolves to is refused by denied addresses, not by allowed ones", () => {
  const some = rules({ allow_hosts: ["a.example.com", "9.9.9.0/24"], deny_hosts: ["8.8.8.0/24", "2606:4700::/32"] });
  for (const address of ["8.8.8.8", "2606:4700::1"]) {
    equal(some.addressRefusal(address), "the host has an address that may not be used", address);
  }
  for (const address of ["8.8.9.8", "9.9.9.9", "2607::1"]) equal(some.addressRefusal(address), undefined, address);
});

Deno.test("an empty list of allowed hosts, ports or methods allows nothing, and no list anything", () => {
  const url = "https://example.com/";
  ok(isTaken(rules({}), url, "PURGE"));
  ok(!isTaken(rules({ allow_hosts: [] }), url));
  equal(rules({ ports: [] }).refusal(targetOf(url), "GET"), "port 443 may not be used");
  equal(rules({ methods: [] }).refusal(targetOf(url), "GET"), "the method GET may not be used");
});

Deno.test("ports are numbers or ranges with both their ends", () => {
  const some = rules({ ports: [443, "80", "8000-8999", "1-1"] });
  for (const port of [443, 80, 8_000, 8_500, 8_999, 1]) ok(isTaken(some, `http://a.example:${port}/`), String(port));
  for (const port of [2, 22, 79, 81, 444, 7_999, 9_000, 65_535]) {
    equal(
      some.refusal(targetOf(`http://a.example:${port}/`), "GET"),
      `port ${port} may not be used; these may: 443, 80, 8000-8999, 1-1`,
    );
  }
  ok(isTaken(some, "https://a.example/"), "the port of the scheme");
  ok(!isTaken(rules({ ports: [443] }), "http://a.example/"));
});

Deno.test("methods are the same in any letter case", () => {
  const some = rules({ methods: ["get", "POST"] });
  for (const method of ["GET", "get", "Post"]) ok(isTaken(some, "https://a.example/", method), method);
  equal(
    some.refusal(targetOf("https://a.example/"), "delete"),
    "the method DELETE may not be used; these may: GET, POST",
  );
});

Deno.test("a pattern that would not mean what it says is refused with the reason", () => {
  const problems: Readonly<Record<string, RegExp>> = {
    "": /neither a name nor an address/,
    "*": /every host/,
    "*.": /neither a name/,
    "*.*.example.com": /beginning alone/,
    "a.*.example.com": /beginning alone/,
    "*example.com": /beginning alone/,
    "a*.example.com": /beginning alone/,
    "example.*": /beginning alone/,
    "example.com.": /without a dot at its end/,
    "example.com。": /without a dot at its end/,
    "*.example.com.": /without a dot at its end/,
    ".example.com": /between any two dots/,
    "a..example.com": /between any two dots/,
    "https://example.com": /without scheme, port and path/,
    "example.com/a": /without scheme, port and path/,
    "example.com:443": /without scheme, port and path/,
    "user@example.com": /without scheme, port and path/,
    "exa mple.com": /without scheme, port and path/,
    "example.com\n": /without scheme, port and path/,
    "%65xample.com": /without scheme, port and path/,
    "a,b.example.com": /letters, digits/,
    "127.1": /must be an address, or a range/,
    "0x7f.1": /must be written as 127.0.0.1/,
    "①②⑦.1": /must be written as 127.0.0.1/,
    "*.127.1": /must be written as 127.0.0.1/,
    "2130706433": /must be an address, or a range/,
    "127.0.0.1.": /must be an address, or a range/,
    "10.0.0.1/8": /no bits beyond the prefix/,
    "10.0.0.0/33": /must be an address, or a range/,
    "::1%eth0": /must be an address, or a range/,
    "[::1]": /must be an address, or a range/,
    "example.com/8": /without scheme, port and path/,
    "a.1": /neither a name/,
    "xn--a.com": /neither a name/,
    [`${"a".repeat(64)}.com`]: /63 characters/,
    [`${"a.".repeat(150)}com`]: /253 characters/,
    ["a".repeat(5_000)]: /neither a name/,
  };
  for (const [text, sentence] of Object.entries(problems)) {
    const problem = hostPatternProblem(text);
    ok(problem !== undefined && sentence.test(problem), `${text.slice(0, 50)}: ${problem}`);
    throws(() => rules({ allow_hosts: [text] }), { name: "RangeError" }, text);
    throws(() => rules({ deny_hosts: [text] }), { name: "RangeError" }, text);
  }
});

Deno.test("patterns that mean something are taken", () => {
  for (
    const text of [
      ...["example.com", "EXAMPLE.com", "*.example.com", "*.com", "localhost", "a_b.example.com", "bücher.example"],
      ...[
        "*.bücher.example",
        "例え.テスト",
        "xn--bcher-kva.example",
        "8.8.8.8",
        "10.0.0.0/8",
        "0.0.0.0/0",
        "::1",
        "fd00::/8",
      ],
    ]
  ) equal(hostPatternProblem(text), undefined, text);
});

Deno.test("ports that are none are refused with the reason", () => {
  for (
    const port of [
      0,
      -1,
      65_536,
      1.5,
      NaN,
      Infinity,
      1e21,
      "",
      "a",
      "1-",
      "-1",
      "1-2-3",
      "0-5",
      "1-65536",
      " 1",
      "+1",
      "0x1",
    ]
  ) {
    ok(/must be a port from 1 to 65535/.test(portProblem(port) ?? ""), String(port));
    throws(() => rules({ ports: [port] }), { name: "RangeError" }, String(port));
  }
  equal(portProblem("9-8"), "must begin with the smaller port");
  for (const port of [1, 65_535, "1", "1-65535", "80-80"]) equal(portProblem(port), undefined, String(port));
});
