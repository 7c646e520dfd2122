import { equal, ok, rejects } from "node:assert/strict";
import { SYSTEM_CLOCK } from "../../../../services/clock/clock.ts";
import { Exchange, NotTaken } from "../../../../services/egress/link/exchange.ts";
import { HopFailure } from "../../../../services/egress/parts.ts";
import { FRAME, MAX_DATA } from "../../../../services/egress/wire/frames.ts";
import { until } from "../../../engines/support/wait.ts";
import { BOUNDS, hopTo, NEVER } from "../process/support/sender.ts";
import { frameOf, Pair } from "./support/pair.ts";

const json = (type: number, message: unknown) => frameOf(type, JSON.stringify(message));
const HEAD = json(FRAME.head, { status: 200, headers: [["A", "b"]] });
const TAKEN = frameOf(FRAME.taken);
const PROBED = { proxy: { host: "127.0.0.1", port: 9050 }, username: "a", password: "b" };
const UNAVAILABLE = { name: "HopFailure", code: "EGRESS_UNAVAILABLE" };
/** The server may have the request: it is not to be repeated. */
const CUT_SHORT = { name: "HopFailure", code: "EGRESS_RESPONSE_INVALID" };

/** What a hop comes to whose process sends these bytes, and goes where it is said. */
async function outcome(bytes: readonly Uint8Array[], { goes = true, hop = hopTo(80) } = {}): Promise<string> {
  await using pair = await Pair.open();
  const sending = new Exchange(pair.here, NEVER, SYSTEM_CLOCK).send(hop);
  sending.catch(() => {});
  // Whoever sends too much may be left before the end of it.
  for (const one of [TAKEN, ...bytes]) await pair.there.write(one).catch(() => {});
  if (goes) await pair.there.closeWrite().catch(() => {});
  const { status, body } = await sending;
  return `${status} ${await new Response(body).text()}`;
}

Deno.test("a response in frames is one", async () => {
  equal(await outcome([HEAD, frameOf(FRAME.end)]), "200 ");
  equal(
    await outcome([HEAD, frameOf(FRAME.data, "ab"), frameOf(FRAME.data, "c"), frameOf(FRAME.end)], { goes: false }),
    "200 abc",
  );
  const fail = json(FRAME.fail, { code: "EGRESS_TIMEOUT", message: "Too slow.", cause: "why" });
  const told = { name: "HopFailure", code: "EGRESS_TIMEOUT", message: "Too slow.", cause: "why" };
  await rejects(outcome([fail]), told);
  await rejects(outcome([HEAD, frameOf(FRAME.data, "ab"), fail]), told, "in the middle of a body");
});

Deno.test("what a sound process would not send ends the hop, before the head and in the body", async () => {
  const head = (status: unknown, headers: unknown) => json(FRAME.head, { status, headers });
  const fail = (code: unknown, message: unknown, cause: unknown = "") => json(FRAME.fail, { code, message, cause });
  const before: readonly [string, ...Uint8Array[]][] = [
    ["a status as a text", head("200", [])],
    ["a status that is none", head(199, [])],
    ["a switch of protocols", head(101, [])],
    ["a status above", head(600, [])],
    ["half a status", head(200.5, [])],
    ["no headers", head(200, undefined)],
    ["headers as an object", head(200, { a: "b" })],
    ["a header without a value", head(200, [["a"]])],
    ["a header with two values", head(200, [["a", "b", "c"]])],
    ["a number as a value", head(200, [["a", 1]])],
    ["no name", head(200, [["", "b"]])],
    ["a name with a space", head(200, [["a b", "c"]])],
    ["a name with a line", head(200, [["a\r\nb", "c"]])],
    ["a value with a line", head(200, [["a", "b\r\nSet-Cookie: c"]])],
    ["a value with a line feed", head(200, [["a", "b\n"]])],
    ["a value with a zero", head(200, [["a", "b\0"]])],
    ["a value beyond bytes", head(200, [["a", "\u0100"]])],
    ["too many headers", head(200, new Array(1_001).fill(["a", "b"]))],
    ["more than the head may have", head(200, [["a", "b".repeat(BOUNDS.headBytes)]])],
    ["no object", json(FRAME.head, null)],
    ["a list", json(FRAME.head, [])],
    ["no JSON", frameOf(FRAME.head, "{{")],
    ["a body before the head", frameOf(FRAME.data, "a")],
    ["an end before the head", frameOf(FRAME.end)],
    ["taken twice", TAKEN],
    ["a frame of the gateway", json(FRAME.open, {})],
    ["an answer to another question", json(FRAME.probed, { latency: 1 })],
    ["a type that is none", frameOf(77, "a")],
    ["a length without end", frameOf(FRAME.data, "a", 0xffffffff)],
    ["half a frame", HEAD.subarray(0, 9)],
    ["more of a body that there is not", frameOf(FRAME.more)],
    ["a code that is none", fail("EGRESS_BUSY", "Busy.")],
    ["a code of every object", fail("constructor", "No.")],
    ["no sentence", fail("EGRESS_TIMEOUT", 1)],
    ["a sentence of two lines", fail("EGRESS_TIMEOUT", "a\nb")],
    ["a sentence without end", fail("EGRESS_TIMEOUT", "a".repeat(1_000))],
    ["a cause of two lines", fail("EGRESS_TIMEOUT", "No.", "a\nb")],
  ];
  // With an end after it, so that whoever takes it for a head has a whole response.
  const end = frameOf(FRAME.end);
  for (const [what, ...bytes] of before) await rejects(outcome([...bytes, end]), CUT_SHORT, what);
  await rejects(outcome([]), CUT_SHORT, "nothing at all");
  const within: readonly [string, ...Uint8Array[]][] = [
    ["a second head", HEAD],
    ["a piece that is too long", frameOf(FRAME.data, new Uint8Array(MAX_DATA + 1))],
    ["garbage", new Uint8Array(100).fill(0xee)],
    ["half a piece", frameOf(FRAME.data, "abc").subarray(0, 7)],
    ["more", frameOf(FRAME.more)],
  ];
  for (const [what, ...bytes] of within) {
    await rejects(outcome([HEAD, frameOf(FRAME.data, "ab"), ...bytes, end]), CUT_SHORT, what);
  }
  await rejects(outcome([HEAD, frameOf(FRAME.data, "ab")]), CUT_SHORT, "no end");
});

Deno.test("what a process has not begun may be asked of another one, and nothing of its body is gone", async () => {
  for (const first of [new Uint8Array(), TAKEN.subarray(0, 3), HEAD, frameOf(FRAME.end)]) {
    await using pair = await Pair.open();
    const body = new ReadableStream<Uint8Array>({ pull: (controller) => controller.enqueue(first) }, {
      highWaterMark: 0,
    });
    const sending = new Exchange(pair.here, NEVER, SYSTEM_CLOCK).send(hopTo(80, { method: "POST", body }));
    sending.catch(() => {});
    if (first.length > 0) await pair.there.write(first);
    await pair.there.closeWrite();
    // What is no frame of a beginning is a fault, not an end.
    await rejects(sending, first.length === 0 ? NotTaken : UNAVAILABLE);
    equal(body.locked, false);
  }
});

Deno.test("a process is given no more of a body than it asks for", async () => {
  await using pair = await Pair.open();
  const hop = hopTo(80, { method: "POST", body: new Uint8Array(20 * MAX_DATA) });
  const leaving = new AbortController();
  const sending = new Exchange(pair.here, leaving.signal, SYSTEM_CLOCK).send(hop).catch((reason) => reason);
  await pair.there.write(TAKEN);
  let received = 0;
  const reading = (async () => {
    const buffer = new Uint8Array(MAX_DATA);
    for (let read = await pair.there.read(buffer); read !== null; read = await pair.there.read(buffer)) {
      received += read;
    }
  })();
  const settled = async (least: number) => {
    let seen = -1, same = 0;
    await until("nothing more comes", () => {
      same = received === seen ? same + 1 : 0;
      seen = received;
      return received >= least && same >= 8;
    });
    return received / MAX_DATA;
  };
  const first = await settled(4 * MAX_DATA);
  ok(first < 4.1, String(first));
  await pair.there.write(new Uint8Array([...frameOf(FRAME.more), ...frameOf(FRAME.more)]));
  const second = await settled(6 * MAX_DATA);
  ok(second < 6.1, String(second));
  leaving.abort("enough");
  equal(await sending, "enough");
  await reading;
  // Before any of it was sent on nothing more can be wanted.
  const early = outcome(Array.from({ length: 5 }, () => frameOf(FRAME.more)), {
    hop: hopTo(80, { method: "POST", body: new ReadableStream() }),
  });
  await rejects(early, CUT_SHORT);
});

/** A clock by which nothing happens but what a test makes happen. */
function heldClock() {
  const waits: { readonly ms: number; readonly run: () => void }[] = [];
  const clock = {
    ...SYSTEM_CLOCK,
    after(ms: number, run: () => void) {
      const wait = { ms, run };
      waits.push(wait);
      return () => void waits.splice(waits.indexOf(wait), 1);
    },
  };
  return { waits, clock };
}

Deno.test("a process that does not begin is left, and another one may be asked", async () => {
  const { waits, clock } = heldClock();
  await using pair = await Pair.open();
  const exchange = new Exchange(pair.here, NEVER, clock);
  const sending = exchange.send(hopTo(80)).catch((error) => error);
  await until("it waits", () => waits.length === 1);
  equal(waits[0]!.ms, 5_000);
  waits[0]!.run();
  const failure = await sending;
  ok(failure instanceof NotTaken, String(failure));
  equal(failure.late, true);
  await using other = await Pair.open();
  const probing = new Exchange(other.here, NEVER, clock).probe(PROBED).catch((error) => error);
  await until("it waits", () => waits.length === 1);
  // Whoever looks at a proxy waits 3 s, and must learn that it was not the proxy.
  equal(waits[0]!.ms, 2_000);
  waits[0]!.run();
  ok(await probing instanceof NotTaken);
});

Deno.test("a look at a proxy that the process does not end is no fault of the proxy", async () => {
  for (const said of [new Uint8Array(), frameOf(FRAME.end), json(FRAME.probed, { latency: "x" })]) {
    await using pair = await Pair.open();
    const probing = new Exchange(pair.here, NEVER, SYSTEM_CLOCK).probe(PROBED);
    probing.catch(() => {});
    await pair.there.write(TAKEN);
    if (said.length > 0) await pair.there.write(said);
    await pair.there.closeWrite();
    await rejects(probing, UNAVAILABLE);
  }
});

Deno.test("a process that sends a body on has as long as what lies in buffers may take", async () => {
  const { waits, clock } = heldClock();
  await using pair = await Pair.open();
  const leaving = new AbortController();
  const hop = hopTo(80, {
    method: "POST",
    body: new Uint8Array(20 * MAX_DATA),
    bounds: { connect: 1, head: 2, idle: 4 },
  });
  const sending = new Exchange(pair.here, leaving.signal, clock).send(hop).catch((reason) => reason);
  await pair.there.write(TAKEN);
  // At 16 KiB a second each piece takes 4 s: four that may come at once, and a second for how long this test takes itself.
  await until("it waits for what follows", () => waits.length === 1 && waits[0]!.ms >= 5_007 + 15_000);
  ok(waits[0]!.ms <= 5_007 + 2 * 16_000, String(waits[0]!.ms));
  const buffer = new Uint8Array(MAX_DATA);
  for (let passed = 0, received = 0; passed < 8; passed++) {
    while (received < (passed + 1) * MAX_DATA) {
      const read = await pair.there.read(buffer);
      ok(read !== null, "it goes on");
      received += read;
    }
    await pair.there.write(frameOf(FRAME.more));
  }
  await until("it waits for longer", () => waits.length === 1 && waits[0]!.ms >= 5_007 + 40_000);
  leaving.abort("enough");
  equal(await sending, "enough");
});

Deno.test("a process that says nothing is left, a while after its own clocks should have ended it", async () => {
  const { waits, clock } = heldClock();
  await using pair = await Pair.open();
  const sending = new Exchange(pair.here, NEVER, clock).send(hopTo(80, { bounds: { connect: 1, head: 2, idle: 4 } }));
  await until("it waits", () => waits.length === 1);
  equal(waits[0]!.ms, 5_000);
  await pair.there.write(TAKEN);
  await until("it waits for the head", () => waits[0]?.ms === 5_007);
  await pair.there.write(HEAD);
  const { body } = await sending;
  equal(waits.length, 0, "nobody waits for a body that nobody reads");
  const reading = body.getReader().read().catch((error) => error);
  await until("it waits", () => waits.length === 1);
  equal(waits[0]!.ms, 5_004);
  waits[0]!.run();
  const failure = await reading;
  ok(failure instanceof HopFailure);
  equal(failure.code, "EGRESS_TIMEOUT");
  await until("nothing is waited for", () => waits.length === 0);
});
