import { deepEqual, equal, ok } from "node:assert/strict";
import { wasmOf } from "../../../support/wat.ts";
import { command, i32s, i64s, run, runBytes, start } from "./support/runs.ts";

const BADF = 8, FAULT = 21, INVAL = 28, NOTDIR = 54, NOTSOCK = 57, NOTSUP = 58, SPIPE = 70;

Deno.test("input is read to its end, whole and in small parts, and output is what was written", async () => {
  const echo = await wasmOf("echo.wat");
  for (const length of [0, 1, 65_535, 65_536, 65_537, 500_000]) {
    const input = crypto.getRandomValues(new Uint8Array(Math.min(length, 65_536)));
    const whole = new Uint8Array(length).map((_, at) => input[at % input.length]!);
    const ran = runBytes(echo, { input: whole });
    deepEqual([ran.end, ran.output.length], ["done", length]);
    deepEqual(ran.output, whole);
  }
});

/** Reads into the given parts, and writes how many bytes that were, and the first 16. */
const reading = (...parts: (readonly [at: number, length: number])[]) => `
  ${
  parts.map(([at, length], i) => `
    (i32.store (i32.const ${1000 + 8 * i}) (i32.const ${at}))
    (i32.store (i32.const ${1004 + 8 * i}) (i32.const ${length}))`).join("")
}
  (call $i32 (call $wasi.fd_read (i32.const 0) (i32.const 1000) (i32.const ${parts.length}) (i32.const 2000)))
  (call $i32 (i32.load (i32.const 2000)))
  (call $write (i32.const 0) (i32.const 16))`;

Deno.test("a read fills part after part, also none, one over another and one over the list of parts", async () => {
  const ran = await start(reading([0, 2], [0, 0], [4, 3], [8, 100]), { input: "abcdefgh" });
  equal(ran.text, "\0\0\0\0\x08\0\0\0ab\0\0cde\0fgh\0\0\0\0\0");
  const over = await start(reading([0, 4], [2, 4]), { input: "abcdefgh" });
  equal(over.text.slice(8, 14), "abefgh");
  const list = await start(reading([1000, 16], [0, 4]), { input: "0123456789abcdefWXYZ" });
  equal(list.text.slice(8, 12), "WXYZ");
  const wrong = await start(reading([0, 4], [65_536, 1]), { input: "abcd" });
  equal(wrong.text.charCodeAt(0), FAULT);
  equal(wrong.text.slice(8, 12), "\0\0\0\0");
});

Deno.test("a read at the end gives nothing, again and again", async () => {
  const ran = await start(reading([0, 4]) + reading([0, 4]) + reading([0, 4]), { input: "abcd" });
  deepEqual([4, 28, 52].map((at) => ran.text.charCodeAt(at)), [4, 0, 0]);
});

Deno.test("input that is never read is no harm", async () => {
  equal((await start("", { input: new Uint8Array(1_000_000) })).end, "done");
});

/** The errno of a call. */
const errno = async (call: string, options = {}) => i32s(await start(`(call $i32 ${call})`, options))[0];
const numbers = (...values: number[]) => values.map((value) => `(i32.const ${value})`).join(" ");

Deno.test("there are three file descriptors, of which each can what it can", async () => {
  for (const [descriptor, expected] of [[0, BADF], [1, 0], [2, 0], [3, BADF], [-1, BADF], [2 ** 31 - 1, BADF]]) {
    equal(await errno(`(call $wasi.fd_write ${numbers(descriptor!, 0, 1, 2000)})`), expected);
  }
  for (const [descriptor, expected] of [[0, 0], [1, BADF], [2, BADF], [3, BADF], [-1, BADF]]) {
    equal(await errno(`(call $wasi.fd_read ${numbers(descriptor!, 0, 1, 2000)})`), expected);
  }
});

Deno.test("no folder is there, and so no file", async () => {
  for (const descriptor of [3, 4, -1]) {
    equal(await errno(`(call $wasi.fd_prestat_get ${numbers(descriptor, 0)})`), BADF);
    equal(await errno(`(call $wasi.fd_prestat_dir_name ${numbers(descriptor, 0, 9)})`), BADF);
    equal(await errno(`(call $wasi.fd_readdir ${numbers(descriptor, 0, 9)} (i64.const 0) (i32.const 100))`), BADF);
  }
  equal(await errno(`(call $wasi.fd_prestat_get ${numbers(0, 0)})`), BADF);
  equal(await errno(`(call $wasi.fd_readdir ${numbers(0, 0, 9)} (i64.const 0) (i32.const 100))`), NOTDIR);
  const open = (descriptor: number) =>
    errno(`(call $wasi.path_open ${numbers(descriptor, 0, 0, 4, 0)} (i64.const -1) (i64.const -1) ${numbers(0, 100)})`);
  deepEqual([await open(3), await open(1), await open(-1)], [BADF, NOTDIR, BADF]);
  equal(await errno(`(call $wasi.path_symlink ${numbers(0, 1, 3, 0, 1)})`), BADF);
  equal(await errno(`(call $wasi.path_symlink ${numbers(0, 1, 1, 0, 1)})`), NOTDIR);
  equal(await errno(`(call $wasi.path_unlink_file ${numbers(3, 0, 1)})`), BADF);
});

Deno.test("streams cannot be sought, nor sockets be used, nor signals be sent", async () => {
  equal(await errno(`(call $wasi.fd_seek (i32.const 0) (i64.const 0) ${numbers(1, 100)})`), SPIPE);
  equal(await errno(`(call $wasi.fd_seek (i32.const 9) (i64.const 0) ${numbers(1, 100)})`), BADF);
  equal(await errno(`(call $wasi.fd_tell ${numbers(0, 100)})`), SPIPE);
  equal(await errno(`(call $wasi.fd_pread ${numbers(0, 0, 1)} (i64.const 0) (i32.const 100))`), SPIPE);
  equal(await errno(`(call $wasi.fd_pwrite ${numbers(1, 0, 1)} (i64.const 0) (i32.const 100))`), SPIPE);
  equal(await errno(`(call $wasi.sock_accept ${numbers(0, 0, 100)})`), NOTSOCK);
  equal(await errno(`(call $wasi.sock_shutdown ${numbers(5, 0)})`), BADF);
  equal(await errno(`(call $wasi.proc_raise ${numbers(9)})`), NOTSUP);
  equal(await errno(`(call $wasi.sched_yield)`), 0);
  equal(await errno(`(call $wasi.fd_sync ${numbers(1)})`), 0);
});

Deno.test("a descriptor that is closed is gone, and one can take another's place", async () => {
  const closed = "(drop (call $wasi.fd_close (i32.const 2)))";
  const after = async (call: string) => i32s(await start(`${closed} (call $i32 ${call})`))[0];
  equal(await after("(call $wasi.fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8))"), BADF);
  equal(await after("(call $wasi.fd_close (i32.const 2))"), BADF);
  equal(await after("(call $wasi.fd_renumber (i32.const 1) (i32.const 2))"), BADF);
  equal(await after("(call $wasi.fd_renumber (i32.const 2) (i32.const 1))"), BADF);
  equal(await after("(call $wasi.fd_renumber (i32.const 0) (i32.const 9))"), BADF);
  const moved = await start(`
    (i32.store (i32.const 0) (i32.const 100))
    (i32.store (i32.const 4) (i32.const 1))
    (i32.store (i32.const 100) (i32.const 65))
    (if (call $wasi.fd_renumber (i32.const 1) (i32.const 2)) (then unreachable))
    (if (i32.ne (call $wasi.fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)) (i32.const 8))
      (then unreachable))
    (if (call $wasi.fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable))`);
  deepEqual([moved.end, moved.text, moved.notes], ["done", "A", []]);
});

Deno.test("what is told of a descriptor is a stream's, of no length but the input that is left", async () => {
  const stat = await start(
    `(memory.fill (i32.const 100) (i32.const -1) (i32.const 64))
     (drop (call $wasi.fd_fdstat_get (i32.const 0) (i32.const 100)))
     (drop (call $wasi.fd_filestat_get (i32.const 0) (i32.const 124)))
     (call $write (i32.const 100) (i32.const 88))`,
    { input: "12345" },
  );
  const numbers = i64s(stat);
  deepEqual(numbers.slice(0, 3), [0n, (1n << 27n) | (1n << 21n) | 2n, 0n]);
  deepEqual(numbers.slice(3), [0n, 0n, 0n, 1n, 5n, 0n, 0n, 0n]);
  equal(await errno("(call $wasi.fd_fdstat_get (i32.const 3) (i32.const 0))"), BADF);
  equal(await errno("(call $wasi.fd_fdstat_get (i32.const 1) (i32.const 65520))"), FAULT);
  equal(await errno("(call $wasi.fd_filestat_get (i32.const 1) (i32.const 65480))"), FAULT);
});

Deno.test("the only argument is the function's name, and there is no environment", async () => {
  const ran = await start(
    `
    (drop (call $wasi.args_sizes_get (i32.const 100) (i32.const 104)))
    (drop (call $wasi.environ_sizes_get (i32.const 108) (i32.const 112)))
    (drop (call $wasi.args_get (i32.const 116) (i32.const 120)))
    (drop (call $wasi.environ_get (i32.const 0) (i32.const 0)))
    (call $write (i32.const 100) (i32.const 26))`,
    { env: { SECRET: "x" } },
  );
  deepEqual([...new Int32Array(ran.output.slice(0, 20).buffer)], [1, 6, 0, 0, 120]);
  equal(ran.text.slice(20), "greet\0");
  equal(await errno("(call $wasi.args_get (i32.const 0) (i32.const 65531))"), FAULT);
  equal(await errno("(call $wasi.args_get (i32.const 65533) (i32.const 0))"), FAULT);
  equal(await errno("(call $wasi.args_sizes_get (i32.const -1) (i32.const 0))"), FAULT);
});

Deno.test("clocks tell the time of day, and for how long the call runs", async () => {
  const body = [0, 1, 2, 3].map((clock) => `
    (if (call $wasi.clock_time_get (i32.const ${clock}) (i64.const 0) (i32.const 100)) (then unreachable))
    (call $i64 (i64.load (i32.const 100)))`).join("");
  let now = 5_000;
  const ran = await start(body, { here: { now: () => 1_700_000_000_123, monotonic: () => now++ } });
  deepEqual(i64s(ran), [1_700_000_000_123_000_000n, 1_001_000_000n, 1_002_000_000n, 1_003_000_000n]);
  equal(await errno("(call $wasi.clock_time_get (i32.const 4) (i64.const 0) (i32.const 100))"), INVAL);
  equal(await errno("(call $wasi.clock_res_get (i32.const 9) (i32.const 100))"), INVAL);
  equal(await errno("(call $wasi.clock_time_get (i32.const 0) (i64.const 0) (i32.const 65529))"), FAULT);
  const real = i64s(await start(body));
  ok(Math.abs(Number(real[0]! / 1_000_000n) - Date.now()) < 60_000);
});

Deno.test("random bytes fill what they should, however long, and nothing more", async () => {
  const text = command(`
    (if (call $wasi.random_get (i32.const 1) (i32.const 299998)) (then unreachable))
    (call $write (i32.const 0) (i32.const 300000))`).replace("1 8", "5 8").replace(
    "(i32.const 32760) (local.get $at)",
    "(i32.const 300008) (local.get $at)",
  )
    .replace("(i32.const 32764) (local.get $length)", "(i32.const 300012) (local.get $length)")
    .replace(
      "(i32.const 1) (i32.const 32760) (i32.const 1) (i32.const 32756)",
      "(i32.const 1) (i32.const 300008) (i32.const 1) (i32.const 300000)",
    );
  const first = await run(text), second = await run(text);
  equal(first.end, "done", first.message);
  deepEqual([first.output[0], first.output[299_999]], [0, 0]);
  const zeros = first.output.filter((byte) => byte === 0).length;
  ok(zeros > 300 && zeros < 3_000, `${zeros} zeros of 300,000`);
  ok(first.output.some((byte, at) => byte !== second.output[at]));
  equal(await errno("(call $wasi.random_get (i32.const 65535) (i32.const 2))"), FAULT);
});

/** A subscription of `poll_oneoff` at an address. */
const clock = (at: number, userdata: number, ms: number, flags = 0, id = 1) => `
  (i64.store (i32.const ${at}) (i64.const ${userdata}))
  (i32.store (i32.const ${at + 8}) (i32.const 0))
  (i32.store (i32.const ${at + 16}) (i32.const ${id}))
  (i64.store (i32.const ${at + 24}) (i64.const ${BigInt(ms) * 1_000_000n}))
  (i32.store16 (i32.const ${at + 40}) (i32.const ${flags}))`;
const stream = (at: number, userdata: number, kind: number, descriptor: number) => `
  (i64.store (i32.const ${at}) (i64.const ${userdata}))
  (i32.store (i32.const ${at + 8}) (i32.const ${kind}))
  (i32.store (i32.const ${at + 16}) (i32.const ${descriptor}))`;
const polled = (count: number) => `
  (call $i32 (call $wasi.poll_oneoff (i32.const 0) (i32.const 2000) (i32.const ${count}) (i32.const 4000)))
  (call $i32 (i32.load (i32.const 4000)))
  (call $write (i32.const 2000) (i32.mul (i32.const 32) (i32.load (i32.const 4000))))`;

/** A clock that only sleep moves. */
function asleep() {
  const slept: number[] = [];
  let now = 1_000;
  const here = {
    monotonic: () => now,
    now: () => 1_700_000_000_000 + now,
    sleep(ms: number) {
      slept.push(ms);
      // As the real one may, it wakes too early once.
      now += slept.length === 1 ? ms / 2 : ms;
    },
  };
  return { slept, here };
}

const events = (output: Uint8Array) => {
  const view = new DataView(output.slice().buffer);
  equal(view.getInt32(0, true), 0);
  return Array.from({ length: view.getInt32(4, true) }, (_, i) => ({
    userdata: Number(view.getBigUint64(8 + 32 * i, true)),
    error: view.getUint16(16 + 32 * i, true),
    kind: view.getUint8(18 + 32 * i),
    length: Number(view.getBigUint64(24 + 32 * i, true)),
  }));
};

Deno.test("a sleep takes as long as it should, and what was logged before is sent before", async () => {
  const { slept, here } = asleep();
  const ran = await start(clock(0, 7, 300) + clock(48, 8, 200) + clock(96, 9, 200) + polled(3), { here });
  deepEqual(events(ran.output), [8, 9].map((userdata) => ({ userdata, error: 0, kind: 0, length: 0 })));
  deepEqual([slept, ran.flushes], [[200, 100], 1]);
  const real = performance.now();
  equal((await start(clock(0, 7, 30) + polled(1))).end, "done");
  ok(performance.now() - real >= 30);
});

Deno.test("a sleep until a time is one of what is left, by either clock; a time that is over is none", async () => {
  for (const [id, now] of [[0, 1_700_000_001_000], [1, 1_000]] as const) {
    const { slept, here } = asleep();
    await start(clock(0, 1, now + 50, 1, id) + polled(1), { here });
    deepEqual(slept, [50, 25]);
    const past = asleep();
    await start(clock(0, 1, now - 50, 1, id) + polled(1), { here: past.here });
    deepEqual(past.slept, []);
  }
});

Deno.test("streams are ready at once, whatever else is waited for; wrong ones are told so", async () => {
  const { slept, here } = asleep();
  const ran = await start(
    stream(0, 1, 1, 0) + stream(48, 2, 2, 1) + stream(96, 3, 1, 1) + stream(144, 4, 2, 7) + clock(192, 5, 9_999) +
      clock(240, 6, 1, 0, 77) + polled(6),
    { here, input: "12345" },
  );
  deepEqual(events(ran.output), [
    { userdata: 1, error: 0, kind: 1, length: 5 },
    { userdata: 2, error: 0, kind: 2, length: 0 },
    { userdata: 3, error: BADF, kind: 1, length: 0 },
    { userdata: 4, error: BADF, kind: 2, length: 0 },
    { userdata: 6, error: INVAL, kind: 0, length: 0 },
  ]);
  deepEqual(slept, []);
});

Deno.test("nothing to wait for, too much, another kind, and what is not the module's are errors", async () => {
  const poll = (...values: number[]) => errno(`(call $wasi.poll_oneoff ${numbers(...values)})`);
  deepEqual(
    [await poll(0, 0, 0, 0), await poll(0, 0, -1, 0), await poll(0, 0, 1_025, 0)],
    [INVAL, INVAL, INVAL],
  );
  deepEqual(
    [await poll(65_500, 0, 1, 0), await poll(0, 65_505, 1, 0), await poll(0, 0, 1, 65_533)],
    [FAULT, FAULT, FAULT],
  );
  equal(i32s(await start(stream(0, 1, 3, 0) + polled(1)))[0], INVAL);
});

Deno.test("the longest sleep that can be asked for is asked for", async () => {
  let asked = 0, now = 0;
  const here = { monotonic: () => now, sleep: (ms: number) => (asked += ms, now = Infinity) && undefined };
  const ran = await start(clock(0, 1, 1).replace(/i64.const 1000000/, "i64.const -1") + polled(1), { here });
  equal(ran.end, "done", ran.message);
  ok(asked > 1.8e13);
});

Deno.test("standard error becomes lines, the last one also without its end", async () => {
  const body = (text: string) => `
    (i32.store (i32.const 0) (i32.const 500))
    (i32.store (i32.const 4) (i32.const ${new TextEncoder().encode(text).length}))
    (drop (call $wasi.fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))`;
  const data = (text: string) =>
    `(data (i32.const 500) "${
      [...new TextEncoder().encode(text)].map((b) => `\\${b.toString(16).padStart(2, "0")}`).join("")
    }")`;
  const text = "first\n\nthird é\nrest";
  const ran = await run(command(body(text) + body("fi"), data(text)));
  deepEqual(ran.notes, ["first", "", "third é", "restfi"].map((message) => ({ level: "warn", message })));
  equal(ran.output.length, 0);
  const trapped = await run(command(`${body("panic")} unreachable`, data("panic: it broke")));
  deepEqual([trapped.end, trapped.notes[0]!.message], ["trap", "panic"]);
});

Deno.test("a line that is cut is cut between characters", async () => {
  const ran = await run(command(
    `
    (local $i i32)
    (loop
      (i32.store16 (i32.add (i32.const 1) (i32.mul (i32.const 2) (local.get $i))) (i32.const 0xa9c3))
      (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 10000))))
    (i32.store8 (i32.const 0) (i32.const 65))
    (i32.store (i32.const 30000) (i32.const 0))
    (i32.store (i32.const 30004) (i32.const 20001))
    (drop (call $wasi.fd_write (i32.const 2) (i32.const 30000) (i32.const 1) (i32.const 8)))
    (call $env.log_info (i32.const 0) (i32.const 20001))`,
  ));
  const [first, second] = ran.notes;
  // The number of written bytes has overwritten eight of them.
  ok(ran.notes.every(({ message }) => !message.slice(12).includes("\ufffd")), ran.notes.at(-1)!.message.slice(0, 30));
  equal(first!.message.length + second!.message.length > 10_000 - 8, true);
});
