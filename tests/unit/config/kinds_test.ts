import { deepEqual, equal } from "node:assert/strict";
import { inspect } from "node:util";
import { byteSize, formatByteSize, parseByteSize } from "../../../config/kinds/byte_size.ts";
import { cidr } from "../../../config/kinds/cidr.ts";
import { list, mapOf, record } from "../../../config/kinds/collections.ts";
import { duration, formatDuration, parseDuration } from "../../../config/kinds/duration.ts";
import type { Kind } from "../../../config/kinds/kind.ts";
import { listenAddress } from "../../../config/kinds/listen_address.ts";
import { choice, flag, integer, number, path, text } from "../../../config/kinds/plain.ts";
import { origin, originOrAny, originOrUrl, secretUrl, url } from "../../../config/kinds/url.ts";

/** Inputs and what they become; `undefined` for what is refused. */
function becomes<T>(kind: Kind<T>, cases: readonly (readonly [input: unknown, output: unknown])[]): void {
  for (const [input, output] of cases) {
    const result = kind.schema.safeParse(input);
    deepEqual(result.success ? result.data : undefined, output, `${kind.name} of ${inspect(input)}`);
    if (!result.success) equal(result.error.issues.every(({ message }) => message.length > 0), true);
  }
}

/** Values that no kind of a single value may take. */
const NONSENSE = [null, undefined, {}, [], [1], NaN, Infinity, -Infinity, Symbol.iterator, "\u0000", new Date(0)];

Deno.test("a duration is a sum of amounts with units, or a bare number of milliseconds", () => {
  becomes(duration(), [
    ["10s", 10_000],
    ["1m30s", 90_000],
    ["500ms", 500],
    ["30d", 2_592_000_000],
    ["1.5s", 1500],
    ["1.1s", 1100],
    ["2h", 7_200_000],
    ["0s", 0],
    ["0", 0],
    [0, 0],
    [250, 250],
    ["250", 250],
  ]);
});

Deno.test("a duration refuses what has no unit it knows, no whole milliseconds, or leaves its bounds", () => {
  const wrong = [
    "",
    "ten",
    "10",
    "10 s",
    "10S",
    "1w",
    "-5s",
    "s",
    "1s ",
    "0.5ms",
    "1e3ms",
    -1,
    1.5,
    1e300,
    "9".repeat(60) + "d",
  ];
  becomes(duration({ min: "1s", max: "1h" }), [...wrong, ...NONSENSE].map((input) => [input, undefined]));
  becomes(duration({ min: "1s", max: "1h" }), [["999ms", undefined], ["1s", 1000], ["1h", 3_600_000], [
    "1h1ms",
    undefined,
  ]]);
});

Deno.test("formatDuration() gives what parseDuration() takes back", () => {
  equal(formatDuration(90_000), "1m30s");
  equal(formatDuration(900_000), "15m");
  equal(formatDuration(0), "0s");
  for (const value of [0, 1, 999, 1000, 61_001, 86_400_000, 1e15]) equal(parseDuration(formatDuration(value)), value);
});

Deno.test("a size tells 1024 from 1000", () => {
  becomes(byteSize(), [
    ["1MiB", 1_048_576],
    ["10MB", 10_000_000],
    ["10 MB", 10_000_000],
    ["1.5KiB", 1536],
    ["1kb", 1000],
    ["1GiB", 1024 ** 3],
    ["12B", 12],
    ["12", 12],
    [12, 12],
    [0, 0],
  ]);
});

Deno.test("a size refuses what is no whole number of bytes or leaves its bounds", () => {
  const wrong = ["", "MiB", "1M", "1 mega", "-1MB", "0.3B", "1.0001KiB", -1, 0.5, "9".repeat(70), "9999999TiB"];
  becomes(byteSize({ max: "1GiB" }), [...wrong, "1.1GiB", ...NONSENSE].map((input) => [input, undefined]));
});

Deno.test("formatByteSize() gives what parseByteSize() takes back", () => {
  equal(formatByteSize(1_048_576), "1MiB");
  equal(formatByteSize(10_000_000), "10MB");
  equal(formatByteSize(1001), "1001B");
  for (const value of [0, 1, 1000, 1024, 1_048_577, 5e12]) equal(parseByteSize(formatByteSize(value)), value);
});

Deno.test("an address to listen on has a host and a port; a port alone is loopback and never the network", () => {
  const at = (hostname: string, port: number) => ({ hostname, port });
  becomes(listenAddress, [
    ["127.0.0.1:6001", at("127.0.0.1", 6001)],
    ["gateway.example:80", at("gateway.example", 80)],
    [":6001", at("0.0.0.0", 6001)],
    ["[::1]:6001", at("::1", 6001)],
    ["[::]:0", at("::", 0)],
    ["localhost:0", at("localhost", 0)],
    ["6001", at("127.0.0.1", 6001)],
    [6001, at("127.0.0.1", 6001)],
  ]);
  equal(listenAddress.toYaml({ hostname: "::1", port: 6001 }), "[::1]:6001");
});

Deno.test("an address to listen on refuses what cannot be listened on", () => {
  const wrong = [
    "",
    ":",
    "host",
    "host:",
    "host:65536",
    "host:-1",
    "::1:6001",
    "[::1]",
    "[]:1",
    "[1.2.3.4]:1",
    "[fe80::1%eth0]:1",
  ];
  const alsoWrong = [
    "*:80",
    "a b:80",
    "256.0.0.1:80",
    "1.2.3:80",
    "010.0.0.1:80",
    "http://h:80",
    "h:80/",
    "-h:80",
    65_536,
    -1,
    1.5,
  ];
  becomes(listenAddress, [...wrong, ...alsoWrong, ...NONSENSE].map((input) => [input, undefined]));
});

Deno.test("a URL is http or https, without credentials and fragment", () => {
  becomes(url, [
    ["http://localhost:5001", "http://localhost:5001"],
    ["http://localhost:5001/", "http://localhost:5001"],
    ["HTTPS://Node.Example/db/", "https://node.example/db"],
    ["http://[::1]:5001", "http://[::1]:5001"],
    ["http://u:p@h", undefined],
    ["http://u@h", undefined],
    ["http://h#x", undefined],
    ["http:/h", undefined],
    ["http:\\\\h", undefined],
    ["http://h\\@evil", undefined],
    ["http://", undefined],
    ["http:///x", undefined],
    [" http://h", undefined],
    ["http://a b", undefined],
    ["http://h:99999", undefined],
    ["ftp://h", undefined],
    ["javascript:alert(1)", undefined],
    ["localhost:5001", undefined],
    ["", undefined],
    ...NONSENSE.map((input) => [input, undefined] as const),
  ]);
  becomes(secretUrl, [["https://u:p@rpc.example/v3/key", "https://u:p@rpc.example/v3/key"]]);
});

Deno.test("an origin has no path; `*` is one only where it says so", () => {
  becomes(origin, [
    ["https://app.example", "https://app.example"],
    ["https://app.example/", "https://app.example"],
    ["https://app.example:443", "https://app.example"],
    ["https://app.example/x", undefined],
    ["https://app.example?x", undefined],
    ["*", undefined],
    ["null", undefined],
  ]);
  becomes(originOrAny, [["*", "*"], ["http://localhost:3000", "http://localhost:3000"], ["**", undefined]]);
});

Deno.test("a callback is a whole origin only when it is written without any path", () => {
  becomes(originOrUrl, [
    ["https://app.example", "https://app.example"],
    ["https://APP.example:443", "https://app.example"],
    ["https://app.example/", "https://app.example/"],
    ["https://app.example/cb?x=1", "https://app.example/cb?x=1"],
    ["https://app.example?x=1", "https://app.example/?x=1"],
    ["https://app.example@evil.example", undefined],
    ["//app.example", undefined],
  ]);
});

Deno.test("a range is refused when it has bits beyond its prefix or is written in an odd way", () => {
  becomes(cidr, [
    ["10.0.0.0/8", "10.0.0.0/8"],
    ["10.1.2.3", "10.1.2.3/32"],
    ["0.0.0.0/0", "0.0.0.0/0"],
    ["10.128.0.0/9", "10.128.0.0/9"],
    ["fd00::/8", "fd00::/8"],
    ["FD00:0:0::/8", "fd00::/8"],
    ["::1", "::1/128"],
    ["::/0", "::/0"],
    ["10.0.0.5/8", undefined],
    ["10.64.0.0/9", undefined],
    ["fd00::1/8", undefined],
    ["10.0.0.0/33", undefined],
    ["::/129", undefined],
    ["10/8", undefined],
    ["010.0.0.0/8", undefined],
    ["0xa.0.0.0/8", undefined],
    ["10.0.0.0/", undefined],
    ["10.0.0.0/-1", undefined],
    ["fe80::1%eth0/128", undefined],
    ["localhost", undefined],
    ["", undefined],
    ...NONSENSE.map((input) => [input, undefined] as const),
  ]);
});

Deno.test("plain kinds take their own type and no other", () => {
  becomes(text({ max: 3 }), [["abc", "abc"], ["é", "é"], ["", undefined], ["abcd", undefined], ["a\nb", undefined], [
    5,
    undefined,
  ]]);
  becomes(text({ pattern: /^\d+$/, expected: "digits" }), [["12", "12"], ["1x", undefined]]);
  becomes(path, [["./data", "./data"], ["", undefined], ["a\u0000b", undefined]]);
  becomes(flag, [[true, true], [false, false], ["true", undefined], [1, undefined], ["yes", undefined], [
    null,
    undefined,
  ]]);
  becomes(integer({ min: 1, max: 5 }), [[1, 1], [5, 5], [0, undefined], [6, undefined], [1.5, undefined], [
    "1",
    undefined,
  ]]);
  becomes(integer(), [[2 ** 53, undefined], [NaN, undefined], [Infinity, undefined], [5n, undefined]]);
  becomes(number({ max: 2 }), [[0.5, 0.5], [2.1, undefined], [-0.1, undefined], [Infinity, undefined], [
    NaN,
    undefined,
  ]]);
  becomes(choice(["a", "b"]), [["a", "a"], ["A", undefined], ["c", undefined], [0, undefined]]);
});

Deno.test("collections take lists and maps of their items, and nothing like them", () => {
  becomes(list(integer()), [[[1, 2], [1, 2]], [[], []], [[1, "2"], undefined], [1, undefined], [{ 0: 1 }, undefined], [
    null,
    undefined,
  ]]);
  const digits = { name: "digit", expected: "a digit", pattern: /^\d$/ };
  becomes(mapOf(digits, flag), [[{ 1: true }, { 1: true }], [{}, {}], [{ x: true }, undefined], [[true], undefined], [{
    1: 1,
  }, undefined]]);
  becomes(record({ a: flag, b: integer() }), [
    [{ a: true, b: 1 }, { a: true, b: 1 }],
    [{ a: true }, undefined],
    [{ a: true, b: 1, c: 1 }, undefined],
    [[], undefined],
  ]);
});

Deno.test("fromText() gives each kind what its schema can judge", () => {
  equal(text().fromText("true"), "true");
  equal(text().fromText("007"), "007");
  equal(integer().fromText("007"), 7);
  equal(integer().fromText("0x10"), "0x10");
  equal(integer().fromText(""), "");
  equal(flag.fromText("false"), false);
  equal(flag.fromText("False"), "False");
  deepEqual(list(text()).fromText("a, b,,c "), ["a", "b", "c"]);
  deepEqual(list(text()).fromText(""), []);
  deepEqual(list(text()).fromText('["a, b", c]'), ["a, b", "c"]);
  deepEqual(list(text()).fromText("- a\n- b\n"), ["a", "b"]);
  deepEqual(list(integer()).fromText("1,137"), [1, 137]);
  equal(list(text()).fromText("[a"), "[a");
  equal(list(text()).fromText("[a]\n[b]"), "[a]\n[b]");
  const map = mapOf({ name: "word", expected: "a word", pattern: /^\w+$/ }, text());
  deepEqual(map.fromText("{1: b, c: d}"), { 1: "b", c: "d" });
  equal(map.fromText("{a: b, a: c}"), "{a: b, a: c}");
  equal(map.fromText("{__proto__: {}}"), "{__proto__: {}}");
  equal(map.fromText(""), "");
});
