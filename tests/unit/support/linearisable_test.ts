import { equal, match, ok, throws } from "node:assert/strict";
import { type Happening, type Model, whyNotLinearisable } from "../../support/linearisable.ts";
import { randomFrom } from "../cache/support/random.ts";

/** A register of one letter: written, read, or changed from one to another. */
type Operation = { readonly put: string } | { readonly get: true } | { readonly from: string; readonly to: string };
type One = Happening<Operation, string>;

const REGISTER: Model<string, Operation, string> = {
  initial: "0",
  step(state, { op, outcome, result }) {
    if ("get" in op) return outcome === "unknown" || result === state ? state : undefined;
    if ("put" in op) return op.put;
    if (outcome === "refused") return state === op.from ? undefined : state;
    return state === op.from ? op.to : undefined;
  },
  textOf: (state) => state,
  kindOf: ({ op, result }) => JSON.stringify([op, result]),
  isRead: ({ op, outcome }) => "get" in op || outcome === "refused",
};

const done = (begin: number, end: number, op: Operation, result?: string): One => ({
  begin,
  end,
  op,
  outcome: "ok",
  result,
});
const put = (begin: number, end: number, value: string) => done(begin, end, { put: value });
const get = (begin: number, end: number, result: string) => done(begin, end, { get: true }, result);
const unknown = (begin: number, op: Operation): One => ({
  begin,
  end: begin,
  op,
  outcome: "unknown",
  result: undefined,
});
const can = (...history: One[]) => equal(whyNotLinearisable(REGISTER, history), undefined);
const cannot = (...history: One[]) => match(whyNotLinearisable(REGISTER, history) ?? "it can", /does not fit/);

Deno.test("one after the other: a read sees what was written last, and nothing else", () => {
  can(put(0, 1, "a"), get(2, 3, "a"), put(4, 5, "b"), get(6, 7, "b"));
  cannot(put(0, 1, "a"), get(2, 3, "0"));
  cannot(put(0, 1, "a"), put(2, 3, "b"), get(4, 5, "a"));
  cannot(get(0, 1, "made up"));
});

Deno.test("at the same time: a read sees the one or the other, but two reads in a row do not go back", () => {
  for (const seen of ["0", "a", "b"]) can(put(0, 10, "a"), put(0, 10, "b"), get(1, 2, seen));
  can(put(0, 10, "a"), get(1, 2, "0"), get(3, 4, "a"));
  cannot(put(0, 10, "a"), get(1, 2, "a"), get(3, 4, "0"));
  cannot(put(0, 10, "a"), put(0, 10, "b"), get(1, 2, "a"), get(3, 4, "b"), get(5, 6, "a"));
});

Deno.test("what nobody confirmed may have happened, late as well, once, or never, but not before it was asked for", () => {
  can(put(0, 1, "a"), unknown(2, { put: "b" }), get(3, 4, "a"), get(5, 6, "a"));
  can(unknown(0, { put: "b" }), put(1, 2, "a"), get(3, 4, "a"), get(5, 6, "b"));
  cannot(get(0, 1, "b"), unknown(2, { put: "b" }));
  cannot(unknown(0, { put: "b" }), put(1, 2, "a"), get(3, 4, "b"), put(5, 6, "c"), get(7, 8, "b"));
  can(
    unknown(0, { put: "b" }),
    unknown(0, { put: "b" }),
    put(1, 2, "a"),
    get(3, 4, "b"),
    put(5, 6, "c"),
    get(7, 8, "b"),
  );
});

Deno.test("of two that change the same value one alone may be told that it did", () => {
  const change = (begin: number, end: number, to: string, outcome: "ok" | "refused"): One => ({
    ...done(begin, end, { from: "0", to }),
    outcome,
  });
  can(change(0, 5, "a", "ok"), change(1, 6, "b", "refused"), get(7, 8, "a"));
  cannot(change(0, 5, "a", "ok"), change(1, 6, "b", "ok"));
  cannot(change(0, 5, "a", "refused"), change(1, 6, "b", "refused"));
});

Deno.test("the reason tells how far it went, and what did not fit", () => {
  const reason = whyNotLinearisable(REGISTER, [put(0, 1, "a"), get(2, 3, "a"), get(4, 5, "z")]) ?? "";
  match(reason, /^2 of 3 can have happened, up to a; .*\n.*"result":"z"/);
});

Deno.test("a small history is judged as by trying every order", () => {
  const next = randomFrom(7);
  const any = (n: number) => Math.floor(next() * n);
  const letter = () => "0ab"[any(3)]!;
  let good = 0, bad = 0;
  for (let round = 0; round < 3_000; round++) {
    const history = Array.from({ length: 2 + any(4) }, (): One => {
      const begin = any(8), end = begin + any(6);
      const kind = any(3);
      const op = kind === 0
        ? { put: letter() }
        : kind === 1
        ? { get: true as const }
        : { from: letter(), to: letter() };
      const outcome = any(4) === 0 ? "unknown" : kind === 2 && any(2) === 0 ? "refused" : "ok";
      return { begin, end, op, outcome, result: kind === 1 && outcome === "ok" ? letter() : undefined };
    });
    const expected = byEveryOrder("0", history);
    equal(whyNotLinearisable(REGISTER, history) === undefined, expected, JSON.stringify(history));
    if (expected) good++;
    else bad++;
  }
  ok(good > 500 && bad > 500, `${good} good, ${bad} bad`);
});

/** Slow and plain: whichever could be the first, and then the rest. */
function byEveryOrder(state: string, rest: readonly One[]): boolean {
  if (rest.every(({ outcome }) => outcome === "unknown")) return true;
  const soonest = Math.min(...rest.map(({ outcome, end }) => outcome === "unknown" ? Infinity : end));
  return rest.some((one) => {
    const after = one.begin <= soonest ? REGISTER.step(state, one) : undefined;
    return after !== undefined && byEveryOrder(after, rest.filter((other) => other !== one));
  });
}

Deno.test("what cannot be decided is no answer", () => {
  throws(() => whyNotLinearisable(REGISTER, [put(0, 9, "a"), put(0, 9, "b"), get(0, 9, "z")], 2), /undecided/);
});
