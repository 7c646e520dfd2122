import { deepEqual, equal } from "node:assert/strict";
import { endOf, entryMembers } from "../../../routes/cache/entry_json.ts";
import type { CacheEntry } from "../../../src/contracts/cache.ts";

const parsed = (entry: CacheEntry) => JSON.parse(`{${entryMembers(entry)}}`);

Deno.test("an entry is told with its value as it is, or as base64 with what it is", () => {
  const json = '{ "n": 12345678901234567890 }';
  equal(
    entryMembers({ value: { json }, version: 'a"b', expiresAt: undefined }),
    `"value":${json},"version":"a\\"b"`,
  );
  deepEqual(
    parsed({ value: { bytes: new Uint8Array([0, 255]), type: 'a/b; c="d"' }, version: "1", expiresAt: 0 }),
    {
      value: "AP8=",
      encoding: "base64",
      content_type: 'a/b; c="d"',
      version: "1",
      expires_at: "1970-01-01T00:00:00.000Z",
    },
  );
});

Deno.test("an end that has no date is none: other programs may write anything", () => {
  for (const expiresAt of [8.64e15 + 1, 2 ** 63, Infinity, NaN]) {
    const entry = { value: { json: "1" }, version: "1", expiresAt };
    equal(endOf(entry), undefined);
    deepEqual(parsed(entry), { value: 1, version: "1" });
  }
  equal(endOf({ value: { json: "1" }, version: "1", expiresAt: 8.64e15 }), 8.64e15);
});
