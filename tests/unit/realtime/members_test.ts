import { deepEqual, equal, ok, throws } from "node:assert/strict";
import type { Member } from "../../../src/contracts/pubsub.ts";
import { memberJson } from "../../../src/http/live/encodings.ts";
import { type MembersPage, membersPage, type MembersQuery } from "../../../src/http/live/members.ts";

const someone = (id: string, joinedAt: number, meta?: Record<string, unknown>): Member => ({
  id,
  joinedAt,
  meta,
  connections: 1,
});
const crowd = (many: number) =>
  Array.from({ length: many }, (_, i) => someone(`m${String(i).padStart(5, "0")}`, i >> 1));
const ALL = { limit: 1_000, maxLength: 1e9 };
const page = (members: readonly Member[], query: Partial<MembersQuery> = {}) =>
  membersPage(members, memberJson, { ...ALL, ...query });
const idsOf = ({ text }: MembersPage) => (JSON.parse(text) as { id: string }[]).map(({ id }) => id);

/** All pages, each asked for behind the one before; the members may change in between. */
function* pages(members: () => readonly Member[], query: Partial<MembersQuery>): Generator<MembersPage> {
  let after: string | undefined;
  do {
    const made = page(members(), { ...query, after });
    yield made;
    after = made.next;
  } while (after !== undefined);
}

Deno.test("pages hold everybody once, in their order, and each says how many there are", () => {
  const members = crowd(25);
  for (const limit of [1, 2, 3, 7, 24, 25, 26]) {
    const made = [...pages(() => members, { limit })];
    deepEqual(made.flatMap(idsOf), members.map(({ id }) => id));
    ok(made.every(({ count }) => count === 25));
    equal(made.length, Math.ceil(25 / limit));
  }
  deepEqual(page([]), { text: "[]", count: 0, next: undefined });
});

Deno.test("nobody who stays is missing or twice, whoever comes and leaves between two pages", () => {
  let members: readonly Member[] = crowd(10);
  const staying = members.filter((_, i) => i % 3 !== 0).map(({ id }) => id);
  const seen: string[] = [];
  let turn = 0;
  for (const made of pages(() => members, { limit: 2 })) {
    seen.push(...idsOf(made));
    // The last of the page leaves, too: the next one begins behind where it stood.
    members = [
      ...members.filter(({ id }) => staying.includes(id) || !seen.includes(id)),
      someone(`new${turn}`, 100 + turn),
    ];
    if (++turn > 20) break;
    if (turn > 6) members = members.filter(({ id }) => !id.startsWith("new"));
  }
  deepEqual(seen.filter((id) => staying.includes(id)), staying);
  equal(new Set(seen).size, seen.length);
});

Deno.test("a page is no larger than may be, and holds one member however large that is", () => {
  const members = crowd(10).map((member, i) => ({ ...member, meta: { text: "x".repeat(i === 4 ? 5_000 : 50) } }));
  const made = [...pages(() => members, { maxLength: 400 })];
  deepEqual(made.flatMap(idsOf), members.map(({ id }) => id));
  for (const one of made) ok(one.text.length <= 402 || idsOf(one).length === 1, String(one.text.length));
  ok(made.length > 3 && made.length < 8, String(made.length));
});

Deno.test("a page is made once for all who ask for the same, and anew when somebody came", () => {
  const members = crowd(3);
  let made = 0;
  const counted = (member: Member) => (made++, member.id);
  const all = () => membersPage(members, counted, ALL).text;
  equal(all(), all());
  equal(made, 3);
  membersPage(members, counted, { ...ALL, limit: 1 });
  equal(made, 4);
  membersPage([...members, someone("x", 9)], counted, ALL);
  equal(made, 8);
});

Deno.test("any id can be where a page ends, and what was never given is refused", () => {
  const ids = [":", "1:2", "ä😀", "\ufeff", " ", "a\u2028b"].sort((a, b) => a < b ? -1 : 1);
  const members = ids.map((id) => someone(id, 5));
  deepEqual([...pages(() => members, { limit: 1 })].flatMap(idsOf), ids);
  for (
    const after of ["", "x", "=", "AA", "m1", btoa("x:y"), btoa("1:"), btoa(":a"), btoa("1e3:a"), btoa("1:\xff"), "🙂"]
  ) {
    throws(() => page(members, { after }), { code: "INVALID_REQUEST", message: /^after: must be/ }, after);
  }
});
