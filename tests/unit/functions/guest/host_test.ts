import { deepEqual, equal, ok, rejects, throws } from "node:assert/strict";
import { FunctionHost } from "../../../../services/functions/guest/host.ts";
import { Runtime } from "../../../../services/functions/guest/runtime.ts";
import { realSurroundings } from "../../../../services/functions/guest/surroundings.ts";
import type { GuestLoaded, GuestOrder, GuestOutcome } from "../../../../services/functions/parts.ts";
import { Host, HostEnded, type RequestListener } from "../../../../src/hosts/host.ts";
import type { FunctionAbi } from "../../../../src/contracts/functions.ts";
import { CAN_SEE_PROCESSES } from "../../../support/host_processes.ts";
import { wasmOf } from "../../../support/wat.ts";
import { command, module, type RunOptions, taskOf } from "./support/runs.ts";

const LONG = 30_000;
const load = (bytes: Uint8Array, name = "m", abi: FunctionAbi = "wasi"): GuestOrder => ({
  kind: "load",
  load: { module: name, bytes, abi, entry: abi === "wasi" ? "_start" : "handle" },
});
const runOf = (options: RunOptions = {}, name = "m"): GuestOrder => ({ kind: "run", task: taskOf(name, options) });

/** With a process that serves functions. */
async function withHost(use: (host: Host) => Promise<void>): Promise<void> {
  const lines: string[] = [];
  const host = Host.start({ kind: "function" }, { onLine: (line) => lines.push(line) });
  try {
    await use(host);
  } finally {
    host.kill("closed");
    await host.ended;
  }
  deepEqual(lines, []);
}

const outcome = (host: Host, options?: RunOptions, listener?: RequestListener, timeout = LONG) =>
  host.request(runOf(options), timeout, listener) as Promise<GuestOutcome>;

Deno.test("orders are answered one by one; what waits is sent before each", async () => {
  const told: unknown[] = [];
  const host = new FunctionHost(new Runtime(realSurroundings()));
  const bytes = await module(
    command(
      "(call $env.log_info (i32.const 0) (i32.const 1)) (drop (call $env.cache_get (i32.const 0) (i32.const 1)))",
    ),
  );
  const orders: GuestOrder[] = [
    load(bytes),
    runOf(),
    { ...load(bytes), kind: "check" } as GuestOrder,
    { kind: "forget", module: "m" },
    runOf(),
  ];
  host.work(orders.map((body, at) => ({ id: at + 1, body })), {
    answer: (id, body) => told.push(["answer", id, (body as GuestOutcome | null)?.end ?? body]),
    call: (id, body) => (told.push(["call", id, body]), { value: null }),
    note: (id, body) => told.push(["note", id, body]),
    flush: () => told.push("flush"),
  });
  deepEqual(told, [
    "flush",
    ["answer", 1, {}],
    "flush",
    ["note", 2, { level: "info", message: "\0" }],
    ["call", 2, ["cache_get", "\0"]],
    ["answer", 2, "done"],
    "flush",
    ["answer", 3, {}],
    "flush",
    ["answer", 4, null],
    "flush",
    ["answer", 5, "link"],
  ]);
});

Deno.test("a pipe that breaks ends the process, not the call, whatever the module makes of it", async () => {
  const swallowing = "(try (do (drop (call $env.cache_get (i32.const 0) (i32.const 1)))) (catch_all))";
  const begun = `
    (i32.store (i32.const 4) (i32.const 3))
    (drop (call $wasi.fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))`;
  const logging = "(try (do (call $env.log_info (i32.const 0) (i32.const 1))) (catch_all))";
  for (const body of [swallowing, logging, begun, begun + swallowing]) {
    const host = new FunctionHost(new Runtime(realSurroundings()));
    const broken = () => {
      throw new Deno.errors.BrokenPipe("broken");
    };
    const answered: unknown[] = [];
    const answers = { answer: (id: number) => answered.push(id), call: broken, note: broken, flush: () => {} };
    const asked = [load(await module(command(body))), runOf()].map((body, id) => ({ id, body }));
    throws(() => host.work(asked, answers), Deno.errors.BrokenPipe);
    deepEqual(answered, [0]);
  }
});

Deno.test("a process runs modules, one call after the other", () =>
  withHost(async (host) => {
    deepEqual(await host.request(load(await wasmOf("echo.wat")), LONG), {});
    const inputs = Array.from({ length: 50 }, (_, i) => "x".repeat(i * 997));
    const ran = await Promise.all(inputs.map((input) => outcome(host, { input })));
    deepEqual(
      ran.map(({ end, output }) => [end, new TextDecoder().decode(output)]),
      inputs.map((text) => ["done", text]),
    );
    const { problem } = await host.request(load(new Uint8Array(3), "bad"), LONG) as GuestLoaded;
    ok(problem);
    deepEqual(
      await host.request({
        kind: "check",
        load: (load(await wasmOf("extism_echo.wat"), "c", "extism") as { load: unknown }).load,
      }, LONG),
      {},
    );
  }));

Deno.test("a process makes its host calls through the pipe, with whatever bytes, and goes on with what came meanwhile", () =>
  withHost(async (host) => {
    await host.request(load(await wasmOf("calls.wat")), LONG);
    const value = new Uint8Array(700_000).map((_, at) => 32 + at % 90);
    const bodies: unknown[] = [], notes: unknown[] = [];
    const listener: RequestListener = {
      call: (body) => {
        bodies.push(body);
        return Promise.resolve({ value });
      },
      note: (body) => void notes.push(body),
    };
    const input = "log_info\tbefore\ncache_get\tkey\ncache_set\tkey\tvalue\t5\nlog_warn\tafter";
    const [first, second] = await Promise.all([
      outcome(host, { input }, listener),
      outcome(host, { input: "get_request_id" }, listener),
    ]);
    deepEqual([first!.end, first!.calls, first!.output.length], ["done", 2, 5 + 700_001 + 5 + 5]);
    equal(second!.end, "done");
    deepEqual(bodies, [["cache_get", "key"], ["cache_set", "key", new TextEncoder().encode("value"), 5]]);
    deepEqual(notes, [{ level: "info", message: "before" }, { level: "warn", message: "after" }]);
  }));

const ENDLESS: Readonly<Record<string, string>> = {
  "a loop": command("(loop (br 0))"),
  "a loop in a start section": "(func $s (loop (br 0))) (start $s)",
  "a sleep of a year": command(`
    (i64.store (i32.const 24) (i64.const 31536000000000000))
    (i32.store (i32.const 16) (i32.const 1))
    (drop (call $wasi.poll_oneoff (i32.const 0) (i32.const 100) (i32.const 1) (i32.const 200)))`),
  "a loop in an allocator": `
    (memory (export "memory") 1 1)
    (func (export "orama_alloc") (param i32) (result i32) (loop (br 0)) (i32.const 0))
    (func (export "_start") (drop (call $env.get_request_id)))`,
};

for (const [name, text] of Object.entries(ENDLESS)) {
  Deno.test(`what has no end is ended by the deadline: ${name}`, () =>
    withHost(async (host) => {
      await host.request(load(await module(text)), LONG);
      const begun = performance.now();
      await rejects(outcome(host, {}, undefined, 200), (error) =>
        error instanceof HostEnded && error.reason === "deadline");
      ok(performance.now() - begun < 5_000);
      equal(await host.ended, "deadline");
    }));
}

Deno.test("lines that were logged before a sleep arrive before its end", () =>
  withHost(async (host) => {
    const bytes = await module(`(data (i32.const 500) "x") ${
      command(`
      (call $env.log_info (i32.const 500) (i32.const 1))
      (i64.store (i32.const 24) (i64.const 31536000000000000))
      (i32.store (i32.const 16) (i32.const 1))
      (drop (call $wasi.poll_oneoff (i32.const 0) (i32.const 100) (i32.const 1) (i32.const 200)))`)
    }`);
    await host.request(load(bytes), LONG);
    const notes: unknown[] = [];
    const listener: RequestListener = { call: () => Promise.resolve(null), note: (body) => void notes.push(body) };
    await rejects(outcome(host, {}, listener, 300), HostEnded);
    deepEqual(notes, [{ level: "info", message: "x" }]);
  }));

Deno.test("a process outlives every ending that a call can have, and runs the next one", () =>
  withHost(async (host) => {
    const deep = "(func $deep (param i32) (result i32) (i32.add (call $deep (local.get 0)) (i32.const 1)))";
    const bodies: readonly (readonly [end: string, text: string])[] = [
      ["trap", command("unreachable")],
      ["stack", command("(drop (call $deep (i32.const 0)))", deep)],
      ["exit", command("(call $wasi.proc_exit (i32.const 255))")],
      ["output", command("(loop (call $write (i32.const 0) (i32.const 65536)) (br 0))")],
      ["calls", command("(loop (drop (call $env.cache_get (i32.const 0) (i32.const 1))) (br 0))")],
      [
        "memory",
        command("(block (loop (br_if 1 (i32.eq (memory.grow (i32.const 1)) (i32.const -1))) (br 0))) unreachable"),
      ],
      ["link", `(import "env" "nothing" (func))`],
    ];
    const listener: RequestListener = { call: () => Promise.resolve({ value: null }), note: () => {} };
    for (const [end, text] of bodies) {
      await host.request(load(await module(text)), LONG);
      equal((await outcome(host, {}, listener)).end, end);
    }
    await host.request(load(await wasmOf("hello.wat")), LONG);
    equal((await outcome(host)).end, "done");
  }));

Deno.test({
  name: "thousands of calls with memories of their own leave a process as large as it was",
  ignore: !CAN_SEE_PROCESSES,
  fn: () =>
    withHost(async (host) => {
      const text = command("(call $write (i32.const 0) (i32.const 1))").replace("1 8", "16 1024");
      await host.request(load(await module(text)), LONG);
      const size = () => Number(/^VmRSS:\s+(\d+)/m.exec(Deno.readTextFileSync(`/proc/${host.pid}/status`))![1]);
      const many = async (count: number) => {
        for (let i = 0; i < count; i += 50) await Promise.all(Array.from({ length: 50 }, () => outcome(host)));
      };
      await many(1_000);
      const before = size();
      await many(4_000);
      ok(size() < before + 100_000, `${before} kB, then ${size()} kB`);
    }),
});
