import { deepEqual, equal, rejects, throws } from "node:assert/strict";
import { Preconditions } from "../../../routes/cache/conditions.ts";
import type { CacheEntry } from "../../../src/contracts/cache.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";

const entry = (version: string): CacheEntry => ({ value: { json: "1" }, version, expiresAt: undefined });
const of = (headers: Record<string, string>) => new Preconditions(new Headers(headers));
const code = (wanted: string) => (error: GatewayError) => error.code === wanted;
const notAsked = () => {
  throw new Error("nobody has to be asked");
};

Deno.test("a read is known by If-None-Match, weakly compared, and refused by If-Match, strongly compared", () => {
  equal(of({}).isKnown(entry("7")), false);
  for (const known of ['"7"', 'W/"7"', '"6", "7"', "*", " * ", '"a,b" , W/"7"', ',"7",,']) {
    equal(of({ "if-none-match": known }).isKnown(entry("7")), true, known);
  }
  for (const other of ['"8"', '""', 'W/"77"']) equal(of({ "if-none-match": other }).isKnown(entry("7")), false, other);
  for (const match of ['"7"', "*", '"6","7"']) equal(of({ "if-match": match }).isKnown(entry("7")), false, match);
  for (const wrong of ['W/"7"', '"8"']) {
    throws(() => of({ "if-match": wrong }).isKnown(entry("7")), code("PRECONDITION_FAILED"), wrong);
  }
});

Deno.test("a write has the condition that its headers say, without asking what is there where that is clear", async () => {
  equal(await of({}).condition(notAsked), undefined);
  equal(await of({ "if-match": "*" }).condition(notAsked), "present");
  equal(await of({ "if-none-match": "*" }).condition(notAsked), "absent");
  deepEqual(await of({ "if-match": '"7"' }).condition(notAsked), { version: "7" });
});

Deno.test("where several tags are named, the one that is there is meant", async () => {
  const there = (version?: string) => () => version === undefined ? undefined : entry(version);
  deepEqual(await of({ "if-match": '"6", "7"' }).condition(there("7")), { version: "7" });
  for (const current of [there("8"), there()]) {
    await rejects(of({ "if-match": '"6", "7"' }).condition(current), code("PRECONDITION_FAILED"));
  }
  await rejects(of({ "if-match": 'W/"7"' }).condition(there("7")), code("PRECONDITION_FAILED"));
  deepEqual(await of({ "if-none-match": '"6"' }).condition(there("7")), { version: "7" });
  equal(await of({ "if-none-match": '"6"' }).condition(there()), "absent");
  await rejects(of({ "if-none-match": '"6", W/"7"' }).condition(there("7")), code("PRECONDITION_FAILED"));
});

Deno.test("what is no list of tags is refused: leaving it out would change too much", async () => {
  for (const wrong of ["7", '"7', "7, *", '"7" x', "W/7", 'w/"7"', "*, *", '"a"b"', ",", '"é"']) {
    for (const name of ["if-match", "if-none-match"]) {
      throws(() => of({ [name]: wrong }), code("INVALID_REQUEST"), wrong);
    }
  }
  const both = of({ "if-match": '"7"', "if-none-match": "*" });
  await rejects(both.condition(notAsked), code("INVALID_REQUEST"));
});

Deno.test("a hostile header takes no time", () => {
  for (
    const text of [" , ".repeat(20_000) + "x", '"a" '.repeat(20_000) + "x", '"'.repeat(60_001), "W/".repeat(30_000)]
  ) {
    throws(() => of({ "if-match": text }), code("INVALID_REQUEST"));
  }
});
