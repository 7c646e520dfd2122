import { deepEqual, equal, ok } from "node:assert/strict";
import { command, i32s, run, start } from "./support/runs.ts";

const storm = (body: string) => `(loop ${body} (br 0))`;

Deno.test("so many host calls are made and not one more; what looks and logs is none", async () => {
  const get = "(drop (call $env.cache_get (i32.const 0) (i32.const 1)))";
  const looks = `
    (drop (call $env.get_request_id)) (drop (call $env.get_env (i32.const 0) (i32.const 1)))
    (call $env.log_info (i32.const 0) (i32.const 0)) (drop (call $env.last_error))`;
  const just = await start(get.repeat(3) + looks, { limits: { calls: 3 } });
  deepEqual([just.end, just.calls, just.asked.length], ["done", 3, 3]);
  const over = await start(storm(get), { limits: { calls: 3 } });
  deepEqual([over.end, over.calls, over.asked.length, over.output.length], ["calls", 3, 3, 0]);
  const none = await start(get, { limits: { calls: 0 } });
  deepEqual([none.end, none.asked], ["calls", []]);
});

Deno.test("calls that are wrong count as well", async () => {
  const ran = await start(storm("(drop (call $env.cache_get (i32.const 0) (i32.const 1)))"), {
    limits: { calls: 4 },
    answer: () => ({ error: { code: "X", message: "" } }),
  });
  deepEqual([ran.end, ran.asked.length], ["calls", 4]);
});

for (
  const [end, body, limits] of [
    ["calls", "(drop (call $env.cache_get (i32.const 0) (i32.const 1)))", { calls: 2 }],
    ["output", "(call $write (i32.const 0) (i32.const 9))", { output: 20 }],
  ] as const
) {
  Deno.test(`a limit cannot be caught: ${end}`, async () => {
    // Were it caught, this would never end.
    const swallowing = await start(storm(`(try (do ${body}) (catch_all))`), { limits });
    equal(swallowing.end, end);
    const leaving = await start(`(block (loop (try (do ${body}) (catch_all (br 2))) (br 0)))`, { limits });
    equal(leaving.end, end);
  });
}

Deno.test("an answer has so many bytes and not one more", async () => {
  const ran = (length: number) =>
    start(`(call $write (i32.const 0) (i32.const ${length}))`, { limits: { output: 100 } });
  deepEqual([(await ran(100)).end, (await ran(100)).output.length], ["done", 100]);
  deepEqual([(await ran(101)).end, (await ran(101)).output.length], ["output", 0]);
});

Deno.test("an answer of 1 GiB ends at its limit, in one write or in many", async () => {
  const parts = `
    (local $i i32)
    (loop
      (i32.store (i32.mul (local.get $i) (i32.const 8)) (i32.const 0))
      (i32.store (i32.add (i32.mul (local.get $i) (i32.const 8)) (i32.const 4)) (i32.const 65536))
      (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1024))))
    (drop (call $wasi.fd_write (i32.const 1) (i32.const 0) (i32.const 1024) (i32.const 60000)))`;
  const before = Deno.memoryUsage().rss;
  deepEqual((await start(parts)).end, "output");
  deepEqual((await start(storm("(call $write (i32.const 0) (i32.const 65536))"))).end, "output");
  ok(Deno.memoryUsage().rss - before < 200e6);
});

Deno.test("a million writes of a byte take time by the byte", async () => {
  const loop = (count: number) => `
    (local $i i32)
    (loop
      (call $write (local.get $i) (i32.const 1))
      (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const ${count}))))`;
  const text = (count: number) => command(loop(count)).replace("1 8", "32 32");
  const begun = performance.now();
  const ran = await run(text(1_000_000));
  deepEqual([ran.end, ran.output.length], ["done", 1_000_000]);
  ok(performance.now() - begun < 10_000, "a copy of all before for each would take minutes");
});

Deno.test("more parts than a write takes, and parts that are not the module's, are errors, and nothing is written", async () => {
  for (
    const [parts, count, errno] of [[0, 1_025, 28], [0, -1, 28], [65_529, 1, 21], [-8, 1, 21], [2 ** 31, 1_024, 21]]
  ) {
    const ran = await start(
      `(call $i32 (call $wasi.fd_write (i32.const 1) (i32.const ${parts}) (i32.const ${count}) (i32.const 60000)))`,
    );
    deepEqual([ran.end, i32s(ran)], ["done", [errno]]);
  }
  const half = await start(`
    (i32.store (i32.const 4) (i32.const 5))
    (i32.store (i32.const 8) (i32.const 65535))
    (i32.store (i32.const 12) (i32.const 2))
    (call $i32 (call $wasi.fd_write (i32.const 1) (i32.const 0) (i32.const 2) (i32.const 60000)))`);
  deepEqual(i32s(half), [21]);
});

/** Does something so many times. */
const times = (count: number, body: string) => `
  (local $i i32)
  (loop
    ${body}
    (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const ${count}))))`;

Deno.test("lines are kept up to the limit, each with 32 bytes of its own, and the last one says that there were more", async () => {
  const ran = await start(times(1_000, "(call $env.log_info (i32.const 0) (i32.const 18))"), { limits: { log: 150 } });
  equal(ran.end, "done", "too many lines are no failure");
  deepEqual(ran.notes, [
    ...Array.from({ length: 3 }, () => ({ level: "info", message: "\0".repeat(18) })),
    { level: "warn", message: "(further lines are dropped)" },
  ]);
});

Deno.test("empty lines are not free, whichever way they come", async () => {
  for (const line of ["(call $env.log_debug (i32.const 0) (i32.const 0))", NEWLINE]) {
    const ran = await start(times(100_000, line), { limits: { log: 3_200 } });
    deepEqual([ran.end, ran.notes.length], ["done", 101]);
  }
});

/** Writes a newline to standard error. */
const NEWLINE = `
  (i32.store (i32.const 16) (i32.const 10))
  (i32.store (i32.const 0) (i32.const 16))
  (i32.store (i32.const 4) (i32.const 1))
  (drop (call $wasi.fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))`;

Deno.test("a line of 64 KiB is cut", async () => {
  const ran = await start("(call $env.log_error (i32.const 0) (i32.const 65536))");
  deepEqual(ran.notes.map(({ message }) => message.length), [16 * 1024 + 2]);
  ok(ran.notes[0]!.message.endsWith("\0 …"));
});

Deno.test("standard error without an end of a line comes in pieces, and ends at the limit", async () => {
  const body = `
    (i32.store (i32.const 0) (i32.const 1000))
    (i32.store (i32.const 4) (i32.const 60000))
    (drop (call $wasi.fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))`;
  const ran = await start(body);
  deepEqual(ran.notes.map(({ message }) => message.length), [16_384, 16_384, 16_384, 60_000 - 3 * 16_384]);
  const endless = await start(times(100_000, body), { limits: { log: 100_000 } });
  equal(endless.notes.length, 7);
  equal(endless.notes.at(-1)!.message, "(further lines are dropped)");
});
