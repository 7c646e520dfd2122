import { deepEqual, equal, match, ok, throws } from "node:assert/strict";
import { parse } from "content-disposition";
import type { GatewayError } from "../../../src/contracts/errors.ts";
import { mediaRangesOf } from "../../../src/http/accept.ts";
import { disposition, foreignContent, isHarmless, isMediaType } from "../../../src/http/content_headers.ts";
import { entityTagsOf, isKnown, rangeCounts } from "../../../src/http/entity_tags.ts";
import { nameOfSegment, rawSegments } from "../../../src/http/segments.ts";

Deno.test("the name of a file stands in a header in characters that a header can hold, and comes back", () => {
  for (const name of ["a.txt", "a b.txt", 'a"b', "a;b=c", "é漢😀.png", "100%41.txt", "a'b", "x".repeat(255)]) {
    const header = disposition("attachment", name);
    match(header, /^attachment; filename[=*][\x20-\x7e]*$/, name);
    equal(parse(header).parameters["filename"], name);
    new Headers({ "content-disposition": header });
  }
  match(disposition("inline", "a.png"), /^inline; filename=/);
  match(disposition("inline", "testтест.jpg"), /^inline; filename="?test____.jpg"?; filename\*=UTF-8''test%D1/);
});

Deno.test("no name of a file is a path, a line or a disguise", () => {
  for (
    const [name, safe] of [
      ["../../etc/passwd", ".._.._etc_passwd"],
      ["C:\\x", "C:_x"],
      ["a\r\nSet-Cookie: x=1", "a__Set-Cookie: x=1"],
      ["a\0b", "a_b"],
      ["photo\u202egnp.exe", "photo_gnp.exe"],
      ["half \ud800 pair", "half \ufffd pair"],
      ["x".repeat(10_000), "x".repeat(255)],
    ] as const
  ) {
    const header = disposition("attachment", name);
    match(header, /^[\x20-\x7e]+$/);
    equal(parse(header).parameters["filename"], safe);
  }
});

Deno.test("what a browser would run is no harmless type", () => {
  for (
    const type of ["image/png", "text/plain", "text/plain; charset=utf-8", "video/mp4", "application/json", "IMAGE/PNG"]
  ) {
    ok(isHarmless(type), type);
  }
  for (
    const type of [
      "text/html",
      "image/svg+xml",
      "application/xhtml+xml",
      "text/xml",
      "application/xml",
      "text/javascript",
      "application/javascript",
      "application/pdf",
      "text/css",
      "image/png2",
      "text/plainer",
      "multipart/x-mixed-replace",
      "video/film+xml",
      "audio/x+xml; charset=utf-8",
      "",
    ]
  ) ok(!isHarmless(type), type);
  equal(foreignContent("text/html")["content-security-policy"], "default-src 'none'; sandbox");
  equal(foreignContent("text/html")["x-content-type-options"], "nosniff");
  for (const type of ["a/b", 'a/b; c="d"', "a/b;c=d"]) ok(isMediaType(type), type);
  for (const type of ["a", "a/", "a/b\r\nx: y", "a/b, c/d", 'a/b; c="\u0000"', "a/" + "b".repeat(300)]) {
    ok(!isMediaType(type), type);
  }
});

Deno.test("tags are compared as RFC 9110 says", () => {
  const known = (headers: Record<string, string>, etag = '"a"') => isKnown(new Headers(headers), etag);
  equal(known({}), false);
  for (const value of ['"a"', 'W/"a"', '"b", "a"', "*", ' W/"b" ,"a" ']) {
    equal(known({ "if-none-match": value }), true, value);
  }
  equal(known({ "if-none-match": 'W/"a"' }, 'W/"a"'), true);
  equal(known({ "if-none-match": '"b"' }), false);
  equal(known({ "if-match": '"a"' }), false);
  equal(known({ "if-match": "*" }, 'W/"a"'), false);
  const isFailed = (error: unknown) => (error as GatewayError).code === "PRECONDITION_FAILED";
  throws(() => known({ "if-match": '"b"' }), isFailed);
  throws(() => known({ "if-match": 'W/"a"' }), isFailed);
  throws(() => known({ "if-match": '"a"' }, 'W/"a"'), isFailed);
  throws(() => known({ "if-match": '"b"', "if-none-match": '"a"' }), isFailed, "If-Match goes first");
  for (const wrong of ["a", '"a', 'x"a"', ""]) {
    throws(
      () => known({ "if-none-match": wrong }),
      (error: unknown) => (error as GatewayError).code === "INVALID_REQUEST",
      wrong,
    );
  }
  deepEqual(entityTagsOf(new Headers({ "if-match": '"a", W/"b"' }), "If-Match"), { strong: ["a"], all: ["a", "b"] });
  const counts = (value: string, etag = '"a"') => rangeCounts(new Headers({ "if-range": value }), etag);
  equal(rangeCounts(new Headers(), '"a"'), true);
  equal(counts('"a"'), true);
  for (const value of ['"b"', 'W/"a"', "Wed, 21 Oct 2015 07:28:00 GMT", "a"]) equal(counts(value), false, value);
  equal(counts('W/"a"', 'W/"a"'), false, "a weak tag promises no bytes");
});

Deno.test("what a client accepts is in the order of its liking", () => {
  const types = (accept: string | null) => mediaRangesOf(accept).map(({ type }) => type);
  deepEqual(types(null), []);
  deepEqual(types("A/B;q=0.5, c/d, e/f;q=0, g/h ; Q=0.7, i/j;q=x"), ["c/d", "g/h", "a/b"]);
  deepEqual(types("*/*, a/*, c/d, e/f;q=0.5"), ["c/d", "a/*", "*/*", "e/f"], "what is named before what is not");
  deepEqual([...mediaRangesOf('a/b; Order="dfs"; q=0.9;order=unk; dups')[0]!.parameters], [["order", "dfs"], [
    "dups",
    "",
  ]]);
});

Deno.test("a segment of a path is a name within its folder, or refused", () => {
  deepEqual(rawSegments("http://x/ipfs/a%2Fb/c?d/e#f"), ["ipfs", "a%2Fb", "c"]);
  deepEqual(rawSegments("http://x?y/ipfs/a"), ["ipfs", "a"], "a host that is none makes no segment");
  for (
    const [segment, name] of [["a", "a"], ["a%20b", "a b"], ["%C3%A9", "é"], ["...", "..."], ["a+b", "a+b"]] as const
  ) {
    equal(nameOfSegment(segment, "path"), name);
  }
  for (const segment of ["", ".", "..", "%2e", "%2E%2e", "a%2fb", "%00", "%", "%zz", "%ff", "%ed%a0%80"]) {
    throws(
      () => nameOfSegment(segment, "path"),
      (error: unknown) => (error as GatewayError).code === "INVALID_REQUEST",
      segment,
    );
  }
});
