import { deepEqual, equal } from "node:assert/strict";
import { faultsOf, judge, type SentMessage, type Told, type Verdict } from "./live_judge.ts";

/** Message n is sent at 10 n, acknowledged at 10 n + 5, over its own socket. */
const sent = (id: number, more: Partial<SentMessage> = {}): SentMessage => ({
  id,
  topic: "t",
  sent: 10 * id,
  acknowledged: 10 * id + 5,
  lives: new Set(["a1"]),
  socket: `s${id}`,
  ...more,
});
const MESSAGES = [1, 2, 3, 4].map((id) => sent(id));
const begin: Told = { kind: "begin", at: 0 };
const took = (...ids: readonly number[]): Told[] => ids.map((id) => ({ kind: "message", at: 10 * id + 1, id }));
const gap = (at: number): Told => ({ kind: "gap", at });
const recovered = (asked: number): Told => ({ kind: "recovered", at: asked, recovered: true, asked });
const lost = (at: number): Told => ({ kind: "recovered", at, recovered: false, asked: at });

const verdictOn = (told: readonly Told[], messages: readonly SentMessage[] = MESSAGES): Verdict =>
  judge([{ client: "c", topic: "t", told }], messages);
/** Which kinds of faults are found, with how many of each. */
const faults = (verdict: Verdict) =>
  Object.fromEntries(
    Object.entries(faultsOf(verdict)).flatMap(([name, { length }]) => length > 0 ? [[name, length]] : []),
  );
const refuses = (
  what: string,
  told: readonly Told[],
  expected: Readonly<Record<string, number>>,
  messages = MESSAGES,
) => deepEqual(faults(verdictOn(told, messages)), expected, what);
const takes = (what: string, told: readonly Told[], excused: number, messages: readonly SentMessage[] = MESSAGES) => {
  const verdict = verdictOn(told, messages);
  deepEqual([faults(verdict), verdict.told], [{}, excused], what);
};

Deno.test("a view that has all is right, and so is one that began later", () => {
  takes("all", [begin, ...took(1, 2, 3, 4)], 0);
  takes("from the third on", [{ ...begin, at: 25 }, ...took(3, 4)], 0);
  equal(verdictOn([{ ...begin, at: 25 }, ...took(3, 4)]).due, 2);
  equal(verdictOn([begin, ...took(1, 2, 3, 4)]).due, 4);
});

Deno.test("what nobody acknowledged, or never left, may be missing, and may be there", () => {
  const open = [sent(1), sent(2, { acknowledged: undefined }), sent(3)];
  takes("not there", [begin, ...took(1, 3)], 0, open);
  takes("there", [begin, ...took(1, 2, 3)], 0, open);
  takes("not sent", [begin, ...took(1)], 0, [sent(1), sent(2, { sent: undefined, acknowledged: undefined })]);
});

Deno.test("what is missing without a word is refused", () => {
  refuses("the last", [begin, ...took(1, 2, 3)], { silent: 1 });
  refuses("all", [begin], { silent: 4 });
  refuses("one in the middle", [begin, ...took(1, 2, 4)], { silent: 1 });
});

Deno.test("a loss that was told excuses what was sent before it, and nothing else", () => {
  takes("a gap", [begin, ...took(1), gap(35), ...took(4)], 2);
  takes("not recovered", [begin, ...took(1), lost(35), ...took(4)], 2);
  takes("a gap at the end", [begin, ...took(1, 2, 3), gap(100)], 1);
  refuses("a gap before it was sent", [begin, gap(5), ...took(1, 2, 3)], { silent: 1 });
  refuses("beginning anew is no word before what follows", [begin, ...took(1), { ...begin, at: 15 }, ...took(4)], {
    silent: 2,
  });
});

Deno.test("a gap does not excuse what was missing where its gateway had gone on before", () => {
  refuses("the second is not behind the third", [begin, ...took(1, 3), gap(35), ...took(4)], { silent: 1 });
  const other = [sent(1), sent(2, { lives: new Set(["b1"]) }), sent(3), sent(4)];
  takes("of another gateway it may be", [begin, ...took(1, 3), gap(35), ...took(4)], 1, other);
  const pipelined = MESSAGES.map((message) => ({ ...message, acknowledged: 100 }));
  takes(
    "without an answer in between, nobody knows which was first",
    [begin, ...took(1, 3), gap(35), ...took(4)],
    1,
    pipelined,
  );
});

Deno.test("who was told that nothing is missing has all that was taken before it asked, before anything newer", () => {
  const gateways = ["a1", "b1", "c1", "d1"];
  // Each through another gateway, so that only the answer says anything about them.
  const apart = [1, 2, 3, 4].map((id) => sent(id, { lives: new Set([gateways[id - 1]!]) }));
  const refused = (what: string, told: readonly Told[], expected: number) =>
    refuses(what, [begin, ...told], { wronglyRecovered: expected }, apart);
  const right = (what: string, told: readonly Told[], excused: number) => takes(what, [begin, ...told], excused, apart);
  right("all", [...took(1), recovered(36), ...took(2, 3, 4)], 0);
  right("in whatever order", [...took(1), recovered(36), ...took(3, 2, 4)], 0);
  refused("one less", [...took(1), recovered(36), ...took(3, 4)], 1);
  refused("none", [...took(1), recovered(36), ...took(4)], 2);
  refused("one of them too late", [...took(1), recovered(36), ...took(2, 4, 3)], 1);
  refused("a gap behind does not excuse it", [...took(1), recovered(36), ...took(4), gap(70)], 2);
  refused("nor does what was not recovered", [...took(1), recovered(36), ...took(4), lost(70)], 2);
  right("a gap before does", [...took(1), gap(36), recovered(37), ...took(4)], 2);
  right("what was taken while it asked may come later", [...took(1), recovered(32), ...took(2, 4, 3)], 0);
  right("where it broke off before anything newer came, the next answer counts", [
    ...took(1),
    recovered(36),
    recovered(37),
    ...took(2, 3, 4),
  ], 0);
  right("that one may say that it cannot be had", [...took(1), recovered(36), lost(37), ...took(4)], 2);
});

Deno.test("a message that comes twice is refused, unless it was said before that it may", () => {
  refuses("at once", [begin, ...took(1, 2, 2, 3, 4)], { duplicates: 1 });
  refuses("after a gap", [begin, ...took(1, 2), gap(25), ...took(2, 3, 4)], { duplicates: 1 });
  refuses("as missed", [begin, ...took(1, 2), recovered(26), ...took(2, 3, 4)], { duplicates: 1 });
  takes("after it was not recovered", [begin, ...took(1, 2), lost(26), ...took(1, 2, 3, 4)], 0);
  const again = [sent(1, { lives: new Set(["a1", "b1"]) })];
  takes("of two gateways", [begin, ...took(1, 1)], 0, again);
  equal(verdictOn([begin, ...took(1, 1)], again).twice, 1);
});

Deno.test("what comes in another order than its gateway took it, or its publisher sent it, is refused", () => {
  refuses("of one gateway", [begin, ...took(1, 3, 2, 4)], { disordered: 1 });
  const elsewhere = [sent(1), sent(2, { lives: new Set(["b1"]) }), sent(3), sent(4)];
  takes("of two gateways there is no order", [begin, ...took(1, 3, 2, 4)], 0, elsewhere);
  const together = [1, 2].map((id) => sent(id, { socket: "s", sent: 10, acknowledged: 50 }));
  refuses("of one socket, without an answer in between", [begin, ...took(2, 1)], { disordered: 1 }, together);
});

Deno.test("what nobody published there is refused", () => {
  refuses("never", [begin, ...took(1, 2, 3, 4, 5)], { unknown: 1 });
  refuses("elsewhere", [begin, ...took(1, 2, 3, 4, 5)], { unknown: 1 }, [...MESSAGES, sent(5, { topic: "u" })]);
});

Deno.test("every view is judged by itself", () => {
  const views = ["c", "d"].map((client, i) => ({ client, topic: "t", told: i === 0 ? [begin] : [begin, ...took(1)] }));
  const verdict = judge(views, [sent(1)]);
  deepEqual([verdict.due, verdict.silent.length], [2, 1]);
});
