import { deepEqual, equal } from "node:assert/strict";
import { hostPattern } from "../../../config/kinds/host_pattern.ts";
import { hostPatternProblem } from "../../../services/egress/targets/hosts.ts";
import { hostPatternField } from "../../../src/http/host_pattern.ts";

/** What is written, and its normal form; `undefined` for what is refused. */
const CASES: readonly (readonly [written: unknown, normal: string | undefined])[] = [
  ["api.example.com", "api.example.com"],
  ["API.Example.COM", "api.example.com"],
  ["*.example.com", "*.example.com"],
  ["*.com", "*.com"],
  ["localhost", "localhost"],
  ["my_bucket.s3.example", "my_bucket.s3.example"],
  ["xn--mnchen-3ya.de", "xn--mnchen-3ya.de"],
  ["*.MÜNCHEN。de", "*.xn--mnchen-3ya.de"],
  ["-a-.example", "-a-.example"],
  ["1.2.3.4.example", "1.2.3.4.example"],
  ["abc.de", "abc.de"],
  [`${"a".repeat(63)}.example`, `${"a".repeat(63)}.example`],
  ["203.0.113.5", "203.0.113.5"],
  ["203.0.113.0/24", "203.0.113.0/24"],
  ["203.0.113.5/32", "203.0.113.5/32"],
  ["0.0.0.0/0", "0.0.0.0/0"],
  ["2001:DB8:0::1", "2001:db8::1"],
  ["2001:db8::/32", "2001:db8::/32"],
  ["::ffff:10.0.0.1", "::ffff:a00:1"],
  ["", undefined],
  ["*", undefined],
  ["*.", undefined],
  ["*.*.example.com", undefined],
  ["api.*.com", undefined],
  ["*example.com", undefined],
  ["*.1.2.3.4", undefined],
  [".example.com", undefined],
  ["example.com.", undefined],
  ["example.com。", undefined],
  ["a..b", undefined],
  ["xn--.example", undefined],
  ["xn--a.example", undefined],
  ["a\u00adb\u0000.example", undefined],
  ["ex%61mple.com", undefined],
  ["a\tb.example", undefined],
  [`${"a".repeat(64)}.example`, undefined],
  [`${"a.".repeat(126)}aa`, undefined],
  ["example.com:443", undefined],
  ["https://example.com", undefined],
  ["example.com/path", undefined],
  ["user@example.com", undefined],
  ["a b", undefined],
  ["example.com\n", undefined],
  ["example.com\0", undefined],
  // An address in any other spelling would be taken for a name, and never match the address that it stands for.
  ["127.1", undefined],
  ["１２７.0.0.1", undefined],
  ["2130706433", undefined],
  ["0x7f.0.0.1", undefined],
  ["0x7f000001", undefined],
  ["a.0x1", undefined],
  ["017700000001", undefined],
  ["010.0.0.1", undefined],
  ["256.0.0.1", undefined],
  ["1.2.3.4.5", undefined],
  ["[::1]", undefined],
  ["fe80::1%eth0", undefined],
  ["203.0.113.5/24", undefined],
  ["203.0.113.0/33", undefined],
  ["2001:db8::/129", undefined],
  ["2001:db8::1/32", undefined],
  ["10/8", undefined],
  ["10.0.0.0/", undefined],
  ["10.0.0.0/-1", undefined],
  ["example.com/24", undefined],
  [null, undefined],
  [5, undefined],
  [["example.com"], undefined],
  [{}, undefined],
];

Deno.test("a host is a name, what is below one, an address or a range, alike in the configuration and in requests", () => {
  for (const [written, normal] of CASES) {
    for (const [where, schema] of [["configuration", hostPattern.schema], ["request", hostPatternField]] as const) {
      const result = schema.safeParse(written);
      const what = `${where}: ${JSON.stringify(written)}`;
      deepEqual(result.success ? result.data : undefined, normal, what);
      if (!result.success) equal(result.error.issues.every(({ message }) => message.length > 0), true, what);
      if (normal === undefined) continue;
      equal(schema.parse(normal), normal, `${what}: its normal form is one`);
      equal(hostPatternProblem(normal), undefined, `${what}: whoever decides can read it`);
    }
  }
});

Deno.test("a host that is made to be looked at for long is not", () => {
  const start = performance.now();
  for (
    const text of [`${"a-".repeat(20_000)}!`, `${"a.".repeat(20_000)}!`, `${"f:".repeat(20_000)}`, "0".repeat(40_000)]
  ) {
    for (const schema of [hostPattern.schema, hostPatternField]) equal(schema.safeParse(text).success, false);
  }
  const took = performance.now() - start;
  equal(took < 1_000, true, `${took} ms`);
});
