import { encode } from "@ipld/dag-cbor";
import { deepEqual, equal, ok } from "node:assert/strict";
import type { Range } from "../../../services/pubsub/cluster/cluster.ts";
import { parts } from "../../../services/pubsub/cluster/fields.ts";
import {
  decodeFarewellAnswer,
  decodeHeadsAnswer,
  decodeQuestion,
  decodeRangeAnswer,
  encodeFarewellAnswer,
  encodeHeadsAnswer,
  encodeQuestion,
  encodeRangeAnswer,
  type Question,
} from "../../../services/pubsub/cluster/questions.ts";
import {
  decodeFrame,
  decodeMessage,
  encodeFrame,
  encodeMessage,
  type Frame,
} from "../../../services/pubsub/cluster/wire.ts";

const MAX = 2 ** 20;
const RANGE: Range = {
  epoch: 3,
  from: 7,
  entries: [
    { data: new Uint8Array([0, 255]), json: false, at: 1_760_000_000_000, id: undefined },
    { data: new Uint8Array(0), json: true, at: 0, id: "x".repeat(64) },
  ],
};
const FRAMES: readonly Frame[] = [
  { type: "hello", version: 1, epoch: undefined },
  { type: "hello", version: 1, epoch: 9 },
  { type: "beat", epoch: 9, sees: ["12D3KooW"] },
  { type: "join", id: 4, keys: ["ns/a", "ns/ü/b"] },
  { type: "leave", keys: ["ns/a"] },
  { type: "heads", id: 0, topics: [["ns/a", [[1, 5], [2, 0]]]] },
  { type: "entries", key: "ns/a", range: RANGE },
  {
    type: "members",
    first: true,
    last: false,
    topics: [["ns/a", [
      { id: "u", meta: JSON.parse('{"__proto__":{"a":1},"n":1.5,"deep":[{"a":null}]}'), joinedAt: 5, connections: 2 },
      { id: "", meta: undefined, joinedAt: 0, connections: 0 },
    ]]],
  },
  { type: "mark" },
  { type: "taken" },
  { type: "again" },
  { type: "farewell", epoch: 2, last: true, forgotten: 0, heads: [["ns/a", 12]] },
  { type: "farewell_done", epoch: 2 },
];
const QUESTIONS: readonly Question[] = [
  { type: "heads", keys: ["ns/a"] },
  { type: "range", key: "ns/a", epoch: 1, after: 0, maxBytes: 100 },
  { type: "farewell", epoch: 1, keys: [] },
];

Deno.test("frames, messages, questions and answers are read as they were written", () => {
  for (const frame of FRAMES) deepEqual(decodeFrame(encodeFrame(frame), MAX), frame);
  deepEqual(decodeMessage(encodeMessage(RANGE), MAX), RANGE);
  for (const question of QUESTIONS) deepEqual(decodeQuestion(encodeQuestion(question), MAX), question);
  const heads = { epoch: undefined, topics: [[{ epoch: 1, first: 2, head: 3 }], []] };
  deepEqual(decodeHeadsAnswer(encodeHeadsAnswer(heads), MAX, 2), heads);
  const range = { first: 1, head: 8, from: 7, entries: RANGE.entries };
  deepEqual(decodeRangeAnswer(encodeRangeAnswer(range), MAX, 6), range);
  deepEqual(decodeFarewellAnswer(encodeFarewellAnswer([1, undefined]), MAX, 2), [1, undefined]);
  equal(decodeFarewellAnswer(encodeFarewellAnswer(undefined), MAX, 0), undefined);
});

Deno.test("what is cut off, has a byte changed or is random is refused or is something else, and never throws", () => {
  let seed = 1;
  const random = () => (seed = Math.imul(seed, 1_103_515_245) + 12_345 >>> 0) / 2 ** 32;
  for (const whole of [...FRAMES.map(encodeFrame), encodeMessage(RANGE), ...QUESTIONS.map(encodeQuestion)]) {
    for (let length = 0; length < whole.length; length++) {
      equal(decodeFrame(whole.subarray(0, length), MAX), undefined);
      equal(decodeMessage(whole.subarray(0, length), MAX), undefined);
      equal(decodeQuestion(whole.subarray(0, length), MAX), undefined);
    }
    for (let at = 0; at < whole.length; at++) {
      const other = whole.slice();
      other[at] = Math.floor(random() * 256);
      for (const decode of [decodeFrame, decodeMessage, decodeQuestion]) decode(other, MAX);
    }
  }
  for (let i = 0; i < 2_000; i++) {
    const bytes = Uint8Array.from({ length: Math.floor(random() * 40) }, () => Math.floor(random() * 256));
    for (const decode of [decodeFrame, decodeMessage, decodeQuestion]) equal(decode(bytes, MAX), undefined);
  }
});

Deno.test("frames that say what cannot be are refused", () => {
  const row = (value: unknown) => decodeFrame(encode(value), MAX);
  for (
    const wrong of [
      null,
      {},
      [],
      ["toString"],
      ["__proto__"],
      [1, 2],
      ["a frame of a later version", 1],
      ["hello", 1],
      ["hello", 1, 0],
      ["hello", 1, 2, "more"],
      ["hello", "1", 2],
      ["beat", 1, "12D3"],
      ["beat", 1, ["x".repeat(257)]],
      ["join", -1, ["ns/a"]],
      ["join", 1, ["no topic"]],
      ["join", 1, ["/a"]],
      ["join", 1, ["ns/" + "a".repeat(400)]],
      ["heads", 0, [["ns/a", [[0, 1]]]]],
      ["heads", 0, [["ns/a", [[1, 2 ** 60]]]]],
      ["heads", 0, [["ns/a", [[1, 1.5]]]]],
      ["entries", "ns/a", [1, 0, []]],
      ["entries", "ns/a", [1, Number.MAX_SAFE_INTEGER, [[new Uint8Array(1), false, 0, null]]]],
      ["entries", "ns/a", [1, 1, [["text", false, 0, null]]]],
      ["entries", "ns/a", [1, 1, [[new Uint8Array(1), 0, 0, null]]]],
      ["members", true, true, [["ns/a", [["u", "[1]", 0, 1]]]]],
      ["members", true, true, [["ns/a", [["u", "{", 0, 1]]]]],
      ["members", true, true, [["ns/a", [["u", null, 0, -1]]]]],
      ["farewell", 1, true, 0, [["ns/a", 0]]],
    ]
  ) equal(row(wrong), undefined, JSON.stringify(wrong));
  // So deep that reading it would end in too many calls.
  equal(decodeFrame(new Uint8Array(MAX).fill(0x81), MAX), undefined);
  // A length that is announced and not there.
  equal(decodeFrame(Uint8Array.from([0x9b, 0, 0, 0, 1, 0, 0, 0, 0]), MAX), undefined);
});

Deno.test("what is longer than the network carries is refused before it is looked at", () => {
  const bytes = encodeMessage(RANGE);
  ok(decodeMessage(bytes, bytes.byteLength));
  equal(decodeMessage(bytes, bytes.byteLength - 1), undefined);
  equal(decodeFrame(encodeFrame(FRAMES[0]!), 3), undefined);
});

Deno.test("an answer that does not follow on what was asked is none", () => {
  const { entries } = RANGE;
  equal(decodeRangeAnswer(encodeRangeAnswer({ first: 1, head: 8, from: 7, entries }), MAX, 5), undefined);
  equal(decodeRangeAnswer(encodeRangeAnswer({ first: 1, head: 7, from: 7, entries }), MAX, 6), undefined);
  equal(decodeHeadsAnswer(encodeHeadsAnswer({ epoch: 1, topics: [[]] }), MAX, 2), undefined);
  equal(decodeFarewellAnswer(encodeFarewellAnswer([1]), MAX, 2), undefined);
});

Deno.test("what is taken out of a frame does not keep the frame", () => {
  const decoded = decodeMessage(encodeMessage({ ...RANGE, entries: [RANGE.entries[0]!] }), MAX);
  equal(decoded?.entries[0]?.data.buffer.byteLength, 2);
});

Deno.test("parts hold no more than they may, but for one thing alone that is more", () => {
  deepEqual([...parts([3, 3, 3, 9, 1], (n) => n, 6)], [[3, 3], [3], [9], [1]]);
  deepEqual([...parts([], () => 1, 1)], []);
});
