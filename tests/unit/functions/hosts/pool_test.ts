import { deepEqual, equal, notEqual, ok, rejects } from "node:assert/strict";
import { CallRefused, type HostWork, type RefusalReason } from "../../../../services/functions/hosts/contract.ts";
import { until } from "../../../engines/support/wait.ts";
import { awaitedLater } from "../../../support/awaited_later.ts";
import { withinPromised } from "../../../support/alone.ts";
import { isThere } from "../../hosts/support/hosts.ts";
import { LONG, PROGRAM, STAYS, ticks, told, withPool, workOf } from "./support/pool.ts";

const refused = (reason: RefusalReason) => (error: unknown) => {
  ok(error instanceof CallRefused, String(error));
  equal(error.reason, reason);
  ok(Number.isInteger(error.retryAfter) && error.retryAfter >= 1, String(error.retryAfter));
  return true;
};

const linux = { ignore: Deno.build.os !== "linux" };

Deno.test("a call runs in a host of its namespace, which the next one finds warm and no other namespace gets", () =>
  withPool(async (pool, call) => {
    const first = await call("a", { do: "tell" });
    equal(first.coldStart, true);
    const again = await call("a", { do: "tell" });
    equal(again.coldStart, false);
    const [one, two, other] = [
      await told(Promise.resolve(first)),
      await told(call("a", { do: "tell" })),
      await told(call("b", { do: "tell" })),
    ];
    equal(one.pid, two.pid);
    notEqual(one.pid, other.pid);
    equal(two.loads, 1, "a module is sent once");
    deepEqual(pool.figures().hosts, { busy: 0, idle: 2, spare: 0 });
  }));

Deno.test("a module is fetched when a host needs it, and forgotten when it knows too many", () =>
  withPool(async (_, call) => {
    let fetched = 0;
    const module: HostWork["module"] = () => {
      fetched++;
      return { bytes: new Uint8Array(40), abi: "wasi", entry: "_start" };
    };
    for (const moduleKey of ["m1", "m2", "m1", "m3", "m1"]) await call("a", { do: "tell" }, { module, moduleKey });
    equal(fetched, 3);
    deepEqual((await told(call("a", { do: "tell" }, { module, moduleKey: "m1" }))).modules.toSorted(), ["m1", "m3"]);
    await call("a", { do: "tell" }, { module, moduleKey: "m2" });
    equal(fetched, 4);
  }, { modules: { count: 2, bytes: 1_000 } }));

Deno.test("another module of a namespace runs in the same host, and drops no call", () =>
  withPool(async (_, call) => {
    const runs = Array.from({ length: 200 }, (_, i) => told(call("a", { do: "tell" }, { moduleKey: `v${i >> 5}` })));
    ok(new Set((await Promise.all(runs)).map(({ pid }) => pid)).size <= 4);
  }));

Deno.test("what the engine says is wrong with a module is the call's outcome", () =>
  withPool(async (_, call) => {
    const module = () => ({ bytes: new TextEncoder().encode("wrong"), abi: "wasi", entry: "_start" } as const);
    const run = await call("a", { do: "tell" }, { module });
    ok(run.ended === "outcome");
    deepEqual([run.outcome.end, run.outcome.message], ["link", "it is wrong"]);
    equal((await call("a", { do: "tell" })).ended, "outcome", "the host goes on");
  }));

Deno.test(
  "an endless loop is gone 50 ms after its deadline, seen in its processor time",
  linux,
  () =>
    withPool(async (pool, call) => {
      const { pid } = await told(call("a", { do: "tell" }));
      const timeout = 400;
      const begun = performance.now();
      const running = awaitedLater(call("a", { do: "spin", ms: LONG }, { timeout }));
      let used = 0, last = 0;
      while (isThere(pid)) {
        used = Math.max(used, ticks(pid));
        last = performance.now() - begun;
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      equal((await running).ended, "deadline");
      ok(last < timeout + withinPromised(50), String(last));
      ok(used > 5 && used * 10 < timeout + withinPromised(50) + 200, `${used} ticks`);
      deepEqual(pool.figures().ended, { deadline: 1 });
      equal((await call("a", { do: "tell" })).ended, "outcome");
    }),
);

Deno.test("a stopped host is killed at the deadline all the same", linux, () =>
  withPool(async (_, call) => {
    const { pid } = await told(call("a", { do: "tell" }));
    Deno.kill(pid, "SIGSTOP");
    equal((await call("a", { do: "tell" }, { timeout: 100 })).ended, "deadline");
    ok(!isThere(pid));
  }));

Deno.test(
  "a host that is killed from outside in mid call is a crash, and neighbours are unhurt",
  linux,
  () =>
    withPool(async (pool, call) => {
      const { pid } = await told(call("a", { do: "tell" }));
      const neighbour = await told(call("b", { do: "tell" }));
      const running = awaitedLater(call("a", { do: "spin", ms: LONG }));
      await until("it runs", () => pool.figures().running === 1 && ticks(pid) > 3);
      Deno.kill(pid, "SIGKILL");
      const run = await running;
      deepEqual([run.ended, run.ended === "crashed" && run.outOfMemory], ["crashed", false]);
      equal((await told(call("b", { do: "tell" }))).pid, neighbour.pid);
    }),
);

Deno.test("a call whose host was killed before it began runs on another one", linux, () =>
  withPool(async (_, call) => {
    let first = 0;
    const begun = awaitedLater(call("a", { do: "tell" }, {
      // The host is there and waits for its module.
      module: async () => {
        if (first === 0) {
          const { children } = await import("./support/pool.ts");
          Deno.kill(first = children().at(-1)!, "SIGKILL");
        }
        return { bytes: new Uint8Array(1), abi: "wasi", entry: "_start" };
      },
    }));
    notEqual((await told(begun)).pid, first);
  }));

Deno.test("an engine that ends for want of memory is told apart from a kill", () =>
  withPool(async (_, call) => {
    const run = await call("a", { do: "complain", line: "# Fatal JavaScript out of memory: Reached heap limit" });
    ok(run.ended === "crashed" && run.outOfMemory);
    const exit = await call("a", { do: "exit" });
    ok(exit.ended === "crashed" && !exit.outOfMemory);
  }));

Deno.test("a call makes as many host calls as it may, and its host ends with one more", () =>
  withPool(async (pool, call) => {
    let heard = 0;
    const listener = {
      call: () => {
        heard++;
        return Promise.resolve({ value: null });
      },
      note: () => {},
    };
    equal((await call("a", { do: "call", times: 10 }, { listener })).calls, 10);
    const run = await call("a", { do: "call", times: 11 }, { listener });
    ok(run.ended === "outcome");
    deepEqual([run.outcome.end, run.calls, heard], ["calls", 10, 20]);
    deepEqual(pool.figures().ended, { calls: 1 });
  }));

Deno.test("the time of a host call is the call's", () =>
  withPool(async (_, call) => {
    const listener = { call: () => new Promise<never>(() => {}), note: () => {} };
    equal((await call("a", { do: "call", times: 1 }, { listener, timeout: 200 })).ended, "deadline");
  }));

Deno.test("lines come as they are, and a host that sends more than it may ends", () =>
  withPool(async (_, call) => {
    const heard: unknown[] = [];
    const listener = { call: () => Promise.reject(new Error()), note: (note: unknown) => void heard.push(note) };
    const note = { level: "info", message: "é" };
    equal(
      (await call("a", { do: "note", notes: [note, { level: "warn", message: "" }] }, { listener })).ended,
      "outcome",
    );
    deepEqual(heard, [note, { level: "warn", message: "" }]);
    const long = { level: "info", message: "x".repeat(1_000) };
    equal((await call("a", { do: "note", notes: [long], times: 15 }, { listener })).ended, "crashed");
    equal(
      (await call("b", { do: "note", notes: [{ ...note, message: "" }], times: 1_000 }, { listener })).ended,
      "crashed",
    );
    ok(heard.length < 1_000);
  }));

const sound = { end: "done", output: new Uint8Array(), message: "", pages: 1, calls: 0 };

/** What a sound host never answers. */
const UNSOUND: readonly unknown[] = [
  null,
  7,
  "done",
  [],
  {},
  { ...sound, end: "undone" },
  { ...sound, end: "__proto__" },
  { ...sound, end: ["done"] },
  { ...sound, output: "text" },
  { ...sound, output: { length: 3 } },
  { ...sound, output: null },
  { ...sound, message: 7 },
  { ...sound, message: null },
  { ...sound, pages: -1 },
  { ...sound, pages: 1.5 },
  { ...sound, pages: "1" },
  { ...sound, calls: 2 ** 60 },
  { ...sound, calls: null },
  { ...sound, end: "exit", exitCode: "0" },
  { ...sound, end: "exit", exitCode: {} },
];

Deno.test("an outcome that is none ends the host", () =>
  withPool(async (pool, call) => {
    for (const [i, outcome] of UNSOUND.entries()) {
      const input = JSON.stringify({ do: "outcome", outcome }, (_, v) => v instanceof Uint8Array ? {} : v);
      const work = workOf(`n${i}`, { do: "outcome", outcome });
      const run = await pool.run({ ...work, task: { ...work.task, input: new TextEncoder().encode(input) } }, STAYS);
      equal(run.ended, "crashed", input);
    }
    equal((await call("a", { do: "output", bytes: 100_000 })).ended, "outcome");
    equal((await call("a", { do: "output", bytes: 100_001 })).ended, "crashed");
    equal(pool.figures().hosts.idle, 0);
  }));

Deno.test("garbage on the pipe ends the host, in every form", () =>
  withPool(async (_, call) => {
    const frames = [
      "00000000",
      "ffffffff",
      "7fffffff",
      "001e8481",
      "00000002",
      "000000027b7d",
      "000000036e6f6e",
      "80000001",
    ];
    // What only begins, and never ends, is ended by the deadline.
    const partial = new Set(["00000002", "80000001"]);
    for (const [i, hex] of frames.entries()) {
      const run = await call(`b${i}`, { do: "bytes", hex }, partial.has(hex) ? { timeout: 200 } : {});
      equal(run.ended, partial.has(hex) ? "deadline" : "crashed", hex);
    }
    const reports = [
      ["call", 99, 1],
      ["note", 2, null],
      ["note", 2, { level: "loud", message: "" }],
      ["note", 2, { level: "info", message: ["x"] }],
      ["reply", 2, 1],
      ["done", 1, null],
      ["item", 2, 1],
      [],
      null,
    ];
    for (const [i, report] of reports.entries()) {
      equal((await call(`r${i}`, { do: "report", report })).ended, "crashed", JSON.stringify(report));
    }
  }));

Deno.test("a module whose hosts crash one after the other is refused for a while; others of its namespace are not", () =>
  withPool(async (_, call) => {
    const crash = async () => {
      for (;;) equal((await call("a", { do: "exit" }, { moduleKey: "bad" })).ended, "crashed");
    };
    await rejects(crash, refused("busy"));
    const begun = performance.now();
    equal((await call("a", { do: "tell" }, { moduleKey: "good" })).ended, "outcome");
    equal((await call("b", { do: "tell" }, { moduleKey: "bad" })).ended, "outcome");
    ok(performance.now() - begun < 5_000);
  }));

Deno.test("a module that is ended while it is compiled does not take its callers for ever", () =>
  withPool(async (_, call) => {
    const text =
      (bytes: string) => () => ({ bytes: new TextEncoder().encode(bytes), abi: "wasi", entry: "_start" } as const);
    await rejects(call("a", { do: "tell" }, { module: text("exit") }), refused("not_ready"));
    await rejects(call("b", { do: "tell" }, { module: text("spin") }), refused("not_ready"));
    equal((await call("b", { do: "tell" }, { moduleKey: "m2" })).ended, "outcome");
  }, { loadTimeout: 2_000 }));

Deno.test("a module that never comes, and an admission that never ends, give the place back", () =>
  withPool(async (pool, call) => {
    const never = () => new Promise<never>(() => {});
    await rejects(call("a", { do: "tell" }, { module: never }), refused("not_ready"));
    await rejects(call("a", { do: "tell" }, { admit: never, moduleKey: "m2" }), refused("not_ready"));
    await rejects(
      call("a", { do: "tell" }, { moduleKey: "m3", module: () => Promise.reject(new Error("lost")) }),
      /lost/,
    );
    await rejects(
      call("a", { do: "tell" }, { moduleKey: "m3", admit: () => Promise.reject(new Error("gone")) }),
      /gone/,
    );
    equal(pool.figures().running, 0);
    equal((await call("a", { do: "tell" }, { moduleKey: "m4" })).ended, "outcome");
  }, { loadTimeout: 1_500 }));

Deno.test("an unused host ends", () =>
  withPool(async (pool, call) => {
    await call("a", { do: "tell" });
    await until("it is gone", () => pool.figures().ended.idle === 1);
    deepEqual(pool.figures().hosts, { busy: 0, idle: 0, spare: 0 });
    equal((await call("a", { do: "tell" })).coldStart, true);
  }, { idle: 60 }));

Deno.test("a call takes a spare, which is replaced", () =>
  withPool(async (pool, call) => {
    pool.warm();
    await until("there is one", () => pool.figures().hosts.spare === 1);
    await call("a", { do: "tell" });
    await until("there is another one", () => pool.figures().hosts.spare === 1);
  }, { spares: 1 }));

Deno.test("a call that yields to others is as fast as ever the next time", linux, () =>
  withPool(async (_, call) => {
    const { pid } = await told(call("a", { do: "tell" }));
    const nice = () => Number(Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1]!.split(" ")[16]);
    const usual = nice();
    const running = awaitedLater(call("a", { do: "spin", ms: 1_000 }));
    await until("it yields", () => nice() > usual);
    await running;
    const after = await told(call("a", { do: "tell" }));
    ok(after.pid !== pid || nice() === usual);
  }));

Deno.test("a module is checked in a host of its own, whatever it does there", () =>
  withPool(async (pool) => {
    const check = (text: string, timeout = LONG) =>
      pool.check({ bytes: new TextEncoder().encode(text), abi: "wasi", entry: "_start" }, timeout, STAYS);
    equal(await check("right"), undefined);
    equal(await check("wrong"), "it is wrong");
    ok((await check("exit"))?.includes("ends"));
    ok((await check("spin", 200))?.includes("200 ms"));
    const leaver = new AbortController();
    const leaving = awaitedLater(rejects(
      pool.check({ bytes: new TextEncoder().encode("spin"), abi: "wasi", entry: "_start" }, LONG, leaver.signal),
      /left/,
    ));
    leaver.abort(new Error("left"));
    await leaving;
    const ending = awaitedLater(rejects(check("spin"), refused("closed")));
    await pool.close();
    await ending;
  }));

Deno.test("hosts that never live are the pool's fault, not the module's", () =>
  withPool(async (pool, call) => {
    await rejects(
      pool.check({ bytes: new Uint8Array(1), abi: "wasi", entry: "_start" }, LONG, STAYS),
      refused("unavailable"),
    );
    await rejects(call("a", { do: "tell" }), refused("unavailable"));
  }, { program: { kind: "function", script: "file:///nonexistent/guest.ts" } }));

Deno.test("a process that sends more at once than the longest answer takes is ended", () =>
  withPool(async (_, call) => {
    const { task } = workOf("a", { do: "tell" });
    const output = (bytes: number) => {
      const input = new TextEncoder().encode(JSON.stringify({ do: "output", bytes }));
      return call("a", { do: "tell" }, { task: { ...task, input, limits: { ...task.limits, output: 2 ** 20 } } });
    };
    equal((await output(100_000)).ended, "outcome");
    equal((await output(160_000)).ended, "crashed");
  }, { program: { kind: "function", script: PROGRAM.script }, maxOutput: 100_000 }));
