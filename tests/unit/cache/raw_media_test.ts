import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { contentHeaders, entryHeaders, mediaTypeOf } from "../../../routes/cache/raw_media.ts";

const typeOf = (type: string) => mediaTypeOf(new Headers({ "content-type": type }));

Deno.test("any media type is taken as it is written", () => {
  for (
    const type of [
      "image/png",
      "text/html; charset=utf-8",
      "application/vnd.api+json",
      'multipart/mixed; boundary="a b;c"; x=y ;',
      "TEXT/Plain;charset=ISO-8859-1",
      "a/" + "b".repeat(253),
    ]
  ) equal(typeOf(type), type);
  equal(mediaTypeOf(new Headers()), "application/octet-stream");
  equal(typeOf("  "), "application/octet-stream");
});

Deno.test("what is none, or too long, is refused", () => {
  for (
    const type of [
      "x",
      "/",
      "a/",
      "/b",
      "*/*",
      "image/*",
      "a b/c",
      "a/b; x",
      "a/b; x=",
      'a/b; x="',
      "a/b, c/d",
      "é/b",
      "a/b; x=é",
      "a/" + "b".repeat(254),
    ]
  ) throws(() => typeOf(type), { code: "INVALID_REQUEST" }, type);
});

Deno.test("a hostile media type takes no time", () => {
  for (const type of ["a/b" + " ; ".repeat(84), "a/b" + ";  ".repeat(83) + '"', "a/" + "b;".repeat(120) + "="]) {
    throws(() => {
      typeOf(type + "\u00e9");
    });
  }
});

Deno.test("what could run as a page is neither shown nor run", () => {
  const headersOf = (type: string) => contentHeaders({ bytes: new Uint8Array(), type });
  for (
    const type of [
      "text/html",
      "TEXT/HTML; charset=utf-8",
      "image/svg+xml",
      "application/xhtml+xml",
      "text/xml",
      "application/pdf",
      "text/javascript",
      "text/plainish",
      "image/pngx",
      "application/jsonp",
      "unknown/x",
    ]
  ) equal(headersOf(type)["content-disposition"], "attachment", type);
  for (
    const type of ["image/png", "Image/JPEG", "text/plain; charset=utf-8", "audio/ogg", "application/octet-stream"]
  ) {
    equal(headersOf(type)["content-disposition"], undefined, type);
  }
  for (const headers of [headersOf("text/html"), contentHeaders({ json: "1" })]) {
    equal(headers["x-content-type-options"], "nosniff");
    equal(headers["content-security-policy"], "default-src 'none'; sandbox");
  }
  equal(contentHeaders({ json: "1" })["content-type"], "application/json");
});

Deno.test("an answer may be kept for as long as the entry lives, by its reader alone, and as it is", () => {
  const control = (expiresAt: number | undefined) =>
    entryHeaders({ value: { json: "1" }, version: "v", expiresAt }, 10_000)["cache-control"];
  deepEqual([control(undefined), control(12_999), control(9_000)], [
    "private, no-cache, no-transform",
    "private, max-age=2, no-transform",
    "private, max-age=0, no-transform",
  ]);
  const headers = entryHeaders({ value: { json: "1" }, version: "v", expiresAt: 1 }, 0);
  equal(headers["etag"], '"v"');
  ok(headers["vary"]!.includes("X-API-Key") && headers["vary"]!.includes("Authorization"));
});
