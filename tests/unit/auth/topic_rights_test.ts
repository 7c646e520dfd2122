import { deepEqual, equal, ok } from "node:assert/strict";
import { type Grant, SCOPES } from "../../../src/contracts/identity.ts";
import {
  callerOf,
  fits,
  grantProblem,
  grantsOf,
  MAX_PATTERN_BYTES,
  MAX_PATTERNS,
  mayGive,
  mayUse,
  nameProblem,
  patternsOf,
  patternsProblem,
  rightsOf,
} from "../../../src/contracts/topic_rights.ts";

const holderOf = (...grants: Grant[]) => {
  const { scopes, topics } = rightsOf(grants);
  return { scopes: new Set(scopes), ...(topics && { topics }) };
};

/** Whether a pattern stands for a text, found by trying everything. */
function standsFor(pattern: string, text: string): boolean {
  let reached = [true, ...Array.from(text, () => false)];
  for (const symbol of pattern) {
    const next = reached.map((_, i) =>
      symbol === "*" ? reached.slice(0, i + 1).includes(true) : i > 0 && reached[i - 1]! && text[i - 1] === symbol
    );
    reached = next;
  }
  return reached.at(-1)!;
}

/** Every text of so many letters at most. */
function textsOf(letters: string, length: number): string[] {
  const longest = length === 0 ? [""] : textsOf(letters, length - 1);
  return length === 0 ? longest : ["", ...[...letters].flatMap((letter) => longest.map((rest) => letter + rest))];
}

const all = (letters: string, length: number) => [...new Set(textsOf(letters, length))];

Deno.test("patterns that would try everything are answered like any other", () => {
  const text = "a".repeat(255);
  for (const part of ["*a", "a*", "**a", "*aa*", "*"]) {
    const pattern = part.repeat(Math.floor(254 / part.length));
    equal(fits(`${pattern}b`, text), false, pattern);
    equal(fits(pattern, text), standsFor(pattern, text), pattern);
  }
  equal(fits("*".repeat(100_000) + "b", "a".repeat(100_000)), false);
  equal(fits("*ab".repeat(50_000), "a".repeat(100_000)), false);
});

Deno.test("what has a meaning elsewhere has none in a pattern", () => {
  for (const literal of ["a.b", "a?", "[ab]", "a|b", "^a$", "(a)+", "\\*", "a\\", "#", "+", "%", "_", "{a,b}", ">"]) {
    equal(fits(literal, literal.replaceAll("*", "x")), true, literal);
    for (const other of ["a", "b", "axb", "ab", "aa", "", "orders"]) {
      if (other !== literal) equal(fits(literal, other), standsFor(literal, other), `${literal} ${other}`);
    }
  }
  equal(fits("orders.*", "orders.eu/1"), true);
  equal(fits("orders.*", "orders."), true);
  equal(fits("orders.*", "ordersXeu"), false);
  equal(fits("orders.*", "Orders.eu"), false);
  equal(fits("caf\u00e9", "cafe\u0301"), false, "bytes name a topic, and not how it looks");
});

Deno.test("a pattern stands for exactly what trying everything finds", () => {
  const texts = all("ab", 5);
  for (const pattern of all("ab*", 5)) {
    for (const text of texts) equal(fits(pattern, text), standsFor(pattern, text), `${pattern} ${text}`);
  }
});

Deno.test("nobody gives away a topic that is not the own, and everything that one of the own patterns stands for", () => {
  const texts = all("abc", 5);
  for (const own of all("ab*", 3)) {
    const holder = holderOf(`pubsub:subscribe:${own}`);
    for (const given of all("ab*", 3)) {
      const within = texts.every((text) => !standsFor(given, text) || standsFor(own, text));
      equal(mayGive(holder, `pubsub:subscribe:${given}`), within, `${own} gives ${given}`);
    }
  }
});

Deno.test("a right for some topics gives no right for all, and none of another kind", () => {
  const holder = holderOf("pubsub:subscribe:a*", "pubsub:subscribe:b", "sql:read");
  for (
    const grant of [
      "pubsub:subscribe",
      "pubsub:subscribe:*",
      "pubsub:subscribe:**",
      "pubsub:subscribe:*a",
      "pubsub:publish:a",
      "pubsub:presence:a",
      "sql:write",
      "namespace:admin",
    ] as const
  ) equal(mayGive(holder, grant), false, grant);
  for (const grant of ["pubsub:subscribe:a", "pubsub:subscribe:a*b*", "pubsub:subscribe:b", "sql:read"] as const) {
    equal(mayGive(holder, grant), true, grant);
  }
  for (const pattern of ["", "*", "anything"]) {
    equal(mayGive(holderOf("pubsub:publish"), `pubsub:publish:${pattern}`), true, pattern);
    equal(mayGive(holderOf("sql:read"), `pubsub:publish:${pattern}`), false, pattern);
  }
});

Deno.test("a caller uses the topics that one of its patterns stands for; without patterns, all; without the scope, none", () => {
  const bound = holderOf("pubsub:subscribe:orders.*", "pubsub:subscribe:news", "pubsub:publish");
  deepEqual(["orders.1", "news", "news.1", "order"].map((topic) => mayUse(bound, "subscribe", topic)), [
    true,
    true,
    false,
    false,
  ]);
  equal(mayUse(bound, "publish", "anything"), true);
  equal(mayUse(bound, "presence", "news"), false);
  equal(mayUse({ scopes: new Set(["sql:read"]), topics: { publish: ["*"] } }, "publish", "a"), false);
  equal(mayUse({ scopes: new Set(["pubsub:publish"]), topics: { publish: [] } }, "publish", "a"), false);
});

Deno.test("rights go into scopes and patterns, and come back", () => {
  const grants: Grant[] = ["sql:read", "pubsub:publish:a:b", "pubsub:publish:c\n", "pubsub:presence"];
  const { scopes, topics } = rightsOf(grants);
  deepEqual([scopes, topics], [["sql:read", "pubsub:publish", "pubsub:presence"], { publish: ["a:b", "c\n"] }]);
  deepEqual(grantsOf(scopes, topics), grants);
  deepEqual(patternsOf(grants), ["a:b", "c\n"]);
  deepEqual(rightsOf(["pubsub:publish:a", "pubsub:publish"]), { scopes: ["pubsub:publish"] }, "the wider one holds");
  deepEqual(rightsOf(SCOPES), { scopes: [...SCOPES] });
  deepEqual(grantsOf(SCOPES), SCOPES);
});

Deno.test("what cannot be a right of a key is told what it must be", () => {
  for (
    const wrong of [
      "",
      "sql",
      "pubsub",
      "pubsub:",
      "pubsub:listen:a",
      "sql:read:a",
      "PUBSUB:publish:a",
      "pubsub:publish:",
      " pubsub:publish:a",
      "pubsub:publish:a\u0000",
      "pubsub:publish:\ud800",
      `pubsub:publish:${"a".repeat(256)}`,
      `pubsub:publish:${"\u00fc".repeat(128)}`,
      7,
      null,
      ["sql:read"],
      {},
    ]
  ) ok(grantProblem(wrong), JSON.stringify(wrong));
  for (const right of [...SCOPES, "pubsub:publish:*", "pubsub:presence: ", `pubsub:subscribe:${"a".repeat(255)}`]) {
    equal(grantProblem(right), undefined, right);
  }
});

Deno.test("names have 1 to 255 bytes of any script without control characters", () => {
  for (const name of ["a", " ", "room/1", "\u{1f600}", "\u0085", "\u00fc".repeat(127), "a".repeat(255)]) {
    equal(nameProblem(name), undefined, name);
  }
  for (const name of ["", "a\nb", "\u0000", "\u001f", "\u007f", "\ud800", "\udc00a", "\u00fc".repeat(128)]) {
    ok(nameProblem(name), JSON.stringify(name));
  }
});

Deno.test("patterns of one credential are bounded in number and in bytes", () => {
  equal(patternsProblem(Array(MAX_PATTERNS).fill("*")), undefined);
  ok(patternsProblem(Array(MAX_PATTERNS + 1).fill("*")));
  equal(patternsProblem(["a".repeat(255), "b".repeat(255), "c".repeat(255)]), undefined);
  ok(patternsProblem(Array(5).fill("a".repeat(MAX_PATTERN_BYTES / 5))));
  ok(patternsProblem(Array(3).fill('"'.repeat(200))), "as they stand in a token");
});

Deno.test("a key, a wallet and a member are one caller with all their credentials; a token without a member is one by itself", () => {
  const key = { kind: "api_key", id: "key_1", subject: "key:key_1" } as const;
  const topics = { subscribe: ["a"] };
  deepEqual(callerOf(key), { caller: "key:key_1", isGuest: false });
  deepEqual(callerOf({ ...key, topics }), { caller: "key_1", isGuest: false });
  const session = { kind: "jwt", id: "session_1", subject: "0xowner" } as const;
  deepEqual(callerOf(session), callerOf({ ...session, id: "session_2" }));
  deepEqual(callerOf(session), { caller: "0xowner", isGuest: false });
  const token = { kind: "jwt", id: "token_1", subject: "key:key_1", topics } as const;
  deepEqual(callerOf(token), { caller: "token_1", isGuest: true });
  const alice = { ...token, memberId: "alice" };
  deepEqual(callerOf(alice), { caller: "key:key_1/alice", isGuest: true });
  deepEqual(callerOf({ ...alice, id: "token_2" }), callerOf(alice));
});
