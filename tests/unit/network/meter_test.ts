import { equal, ok, throws } from "node:assert/strict";
import { Allowance, FrameMeter, MeterError } from "../../../services/network/meter.ts";

const LIMITS = { bytesPerSecond: 1_000, frameCost: 100, maxFrame: 5_000, streamsPerSecond: 10 };
const DATA = 0, WINDOW_UPDATE = 1, PING = 2;

function frame(type: number, length: number, data = type === DATA ? length : 0): Uint8Array {
  const bytes = new Uint8Array(12 + data);
  bytes[1] = type;
  new DataView(bytes.buffer).setUint32(8, length);
  return bytes;
}

const joined = (...parts: readonly Uint8Array[]) => Uint8Array.from(parts.flatMap((part) => [...part]));
/** Frames with everything that they can have: none, all that may be, and lengths that are no lengths. */
const FRAMES = joined(
  frame(PING, 0xffff_ffff),
  frame(DATA, 0),
  frame(DATA, 5_000),
  frame(WINDOW_UPDATE, 0xffff_ffff),
  frame(DATA, 13),
);

Deno.test("what comes costs its bytes and something for each frame, however it is cut", () => {
  const expected = 5 * 100 + 5_013;
  equal(new FrameMeter(LIMITS).read(FRAMES), expected);
  for (const size of [1, 2, 5, 11, 12, 13, 1_000]) {
    const meter = new FrameMeter(LIMITS);
    let cost = 0;
    for (let at = 0; at < FRAMES.length; at += size) cost += meter.read(FRAMES.subarray(at, at + size));
    equal(cost, expected, `in pieces of ${size}`);
  }
});

Deno.test("a frame that announces more than a stream may send is refused before any of it has come", () => {
  for (const length of [5_001, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff]) {
    const meter = new FrameMeter(LIMITS);
    meter.read(frame(DATA, 10));
    throws(() => meter.read(frame(DATA, length, 0)), MeterError);
    const inPieces = new FrameMeter(LIMITS), bytes = frame(DATA, length, 0);
    inPieces.read(bytes.subarray(0, 11));
    throws(() => inPieces.read(bytes.subarray(11)), MeterError);
  }
});

Deno.test("streams that are opened are counted, by data and by updates of the window alike; pings open none", () => {
  const meter = new FrameMeter(LIMITS);
  const opening = (type: number, flags: number) => frame(type, 0).fill(flags, 3, 4);
  meter.read(
    joined(opening(DATA, 1), opening(WINDOW_UPDATE, 1), opening(WINDOW_UPDATE, 5), opening(PING, 1), opening(DATA, 2)),
  );
  equal(meter.opened(), 3);
  equal(meter.opened(), 0);
});

Deno.test("an allowance fills again with time, and no further than it was", () => {
  let now = 0;
  const allowance = new Allowance(1_000, () => now);
  equal(allowance.take(900), 0);
  const pause = allowance.take(600);
  ok(pause >= 500 && pause <= 502, String(pause));
  now += pause;
  equal(allowance.take(0), 0);
  now += 3_600_000;
  equal(allowance.take(999), 0);
  ok(allowance.take(1_001) > 0);
});
