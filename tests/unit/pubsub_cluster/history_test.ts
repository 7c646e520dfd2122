import { deepEqual, equal, match } from "node:assert/strict";
import type { Gap } from "../../../src/contracts/pubsub.ts";
import { check, type Seen, type Truth } from "./support/history.ts";

const TRUTH: Truth = {
  published: new Map([["t", new Map([[1, ["a1", "a2", "a3"]], [2, ["b1", "b2"]]])]]),
  times: new Map([["a1", 1], ["a2", 2], ["a3", 3], ["b1", 1], ["b2", 2]]),
  lost: new Set([2]),
  open: new Set([1]),
  present: new Map([["t", new Map([["anna", 1]])]]),
};
const begin = (...heads: [number, number][]): Seen => ({ type: "begin", heads: new Map(heads), why: undefined });
const message = (id: string): Seen => ({ type: "message", id });
const gap = (reason: Gap["reason"], at = 9): Seen => ({ type: "gap", reason, at });
const wrongIn = (seen: Seen[], isThere = false) => check({ client: "c", topic: "t", seen, isThere }, TRUTH);

Deno.test("the checker lets pass what may be", () => {
  for (
    const seen of [
      [begin(), message("a1"), message("b1"), message("a2"), message("b2"), message("a3")],
      [begin([1, 2], [2, 2]), message("a3")],
      // One that was away from the others for a while: what it published before comes late, and then all of it.
      [begin([1, 2], [2, 2]), message("a2"), message("a3")],
      [begin(), message("a1"), { type: "recovered" }, message("a2"), message("a3"), gap("gateway_lost")],
      [begin(), message("a1"), gap("expired"), message("a3"), gap("gateway_lost")],
      [begin(), message("a1"), message("a2"), begin([1, 3], [2, 2])],
      [begin([1, 3], [2, 2]), { type: "join", member: "anna" }, { type: "leave", member: "anna" }, {
        type: "join",
        member: "anna",
      }],
      [begin([1, 3], [2, 2]), { type: "leave", member: "ben" }],
    ] satisfies Seen[][]
  ) deepEqual(wrongIn(seen, true), [], JSON.stringify(seen));
});

Deno.test("the checker finds each thing that must not be", () => {
  for (
    const [seen, isThere, what] of [
      [[begin(), message("a1"), message("a1")], false, /a1 .* behind 1/],
      [[begin(), message("a1"), message("a2"), message("a1")], false, /behind 2/],
      [[begin(), message("a1"), message("a3")], false, /1:2 is missing before 3/],
      [[begin(), message("a2")], false, /1:1 is missing/],
      [[begin([1, 1]), message("a3")], false, /1:2 is missing/],
      // What another gateway's end explains it does not explain for this one.
      [[begin(), message("a1"), gap("gateway_lost"), message("a3")], false, /1:2 is missing/],
      // Told too early: behind it there was another message, and then the hole.
      [[begin(), gap("expired"), message("a1"), message("a3")], false, /1:2 is missing/],
      // Told before what is missing was published.
      [[begin(), message("a1"), gap("expired", 1), message("a3")], false, /1:2 is missing/],
      [[begin([1, 3]), message("b1"), gap("gateway_lost", 1)], true, /2:2 to 2 is missing/],
      [[begin(), message("a1"), { type: "recovered" }, message("a3")], false, /1:2 is missing/],
      [[{ type: "recovered" }], false, /never began/],
      [[begin(), message("z9")], false, /never published/],
      [[begin([2, 2]), message("a1"), message("a2")], true, /1:3 to 3 is missing/],
      [[begin([1, 3]), message("b1")], true, /2:2 to 2 is missing/],
      [[begin([1, 3])], true, /2:1 to 2 is missing/],
      [[begin(), { type: "join", member: "ben" }, { type: "join", member: "ben" }], false, /a second join of ben/],
      [[begin(), { type: "leave", member: "ben" }, { type: "leave", member: "ben" }], false, /a second leave of ben/],
      [[begin([1, 3], [2, 2]), { type: "join", member: "ben" }], true, /the last of ben is join/],
      [[begin([1, 3], [2, 2]), { type: "leave", member: "anna" }], true, /the last of anna is leave/],
    ] satisfies [Seen[], boolean, RegExp][]
  ) {
    const wrong = wrongIn(seen, isThere);
    equal(wrong.length, 1, JSON.stringify(seen));
    match(wrong[0]!, what);
  }
});
