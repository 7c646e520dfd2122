import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { Host, HostEnded, type RequestListener } from "../../../src/hosts/host.ts";
import { until } from "../../engines/support/wait.ts";
import { awaitedLater } from "../../support/awaited_later.ts";
import type { TestOrder } from "./support/guest.ts";
import { ask, isThere, LONG, PROGRAM, withHost } from "./support/hosts.ts";

const listener = (
  call: (body: unknown) => Promise<unknown> = (body) => Promise.resolve(body),
  note: (body: unknown) => void = () => {},
): RequestListener => ({ call, note });

const request = (host: Host, order: TestOrder, heard: RequestListener | undefined, timeout = LONG) =>
  host.request(order, timeout, heard);

const ended = (reason: string, running: boolean) => (error: unknown) => {
  ok(error instanceof HostEnded, String(error));
  deepEqual([error.reason, error.running], [reason, running]);
  return true;
};

Deno.test("a request calls its parent, one call after the other, and gets what the parent gives", () =>
  withHost(async (host) => {
    const values = [1, "é".repeat(300_000), new Uint8Array(200_000), 12345678901234567890n, null, { a: [1n] }];
    const heard: unknown[] = [];
    const replies = await request(
      host,
      { do: "call", values },
      listener((body) => (heard.push(body), Promise.resolve(body))),
    );
    deepEqual(heard, values);
    deepEqual(replies, values);
  }));

Deno.test("requests that wait while one calls keep their order and their clocks", () =>
  withHost(async (host) => {
    const slow = listener((body) => new Promise((resolve) => setTimeout(resolve, 10, body)));
    const order: string[] = [];
    const asked = Array.from({ length: 40 }, async (_, i) => {
      const answer = i % 2 === 0
        ? await request(host, { do: "call", values: [i, i, i] }, slow, 5_000)
        : await ask(host, { do: "echo", value: "x".repeat(5_000) + i }, 5_000);
      order.push(String(i));
      deepEqual(answer, i % 2 === 0 ? [i, i, i] : "x".repeat(5_000) + i);
    });
    await Promise.all(asked);
    deepEqual(order, Array.from({ length: 40 }, (_, i) => String(i)));
  }));

Deno.test("the time of a call is the request's", () =>
  withHost(async (host) => {
    const never = listener(() => new Promise(() => {}));
    const begun = performance.now();
    await rejects(request(host, { do: "call", values: [1] }, never, 150), ended("deadline", true));
    ok(performance.now() - begun < 5_000);
  }));

Deno.test("a reply that comes after the end of the host is dropped", async () => {
  const { promise, resolve } = Promise.withResolvers<unknown>();
  await withHost(async (host) => {
    await rejects(request(host, { do: "call", values: [1] }, listener(() => promise), 100), ended("deadline", true));
    equal(await host.ended, "deadline");
  });
  resolve("late");
  await promise;
});

Deno.test("notes come in order, all before the answer, and the first ones at once", () =>
  withHost(async (host) => {
    const heard: unknown[] = [];
    const values = Array.from({ length: 5_000 }, (_, i) => `${i} ${"x".repeat(i % 50)}`);
    await request(host, { do: "note", values }, listener(undefined, (body) => heard.push(body)));
    deepEqual(heard, values);
    const early: unknown[] = [];
    const running = awaitedLater(
      request(host, { do: "note", values: ["first", "second"], spin: LONG }, listener(undefined, (b) => early.push(b))),
    );
    await until("they are here while it runs", () => early.length === 2);
    host.kill("closed");
    await rejects(running, ended("closed", true));
  }));

/** What no sound host sends while the second of two requests waits. */
const GARBAGE: readonly (readonly unknown[])[] = [
  [["call", 99, null]],
  [["note", 99, null]],
  [["call", "1", null]],
  [["call", true, 1], ["call", true, 2]],
  [["call", true, 1], ["note", true, 2]],
  [["call", true, 1], ["done", true, 2]],
  [["reply", true, 1]],
  [["ask", true, 1]],
  [["busy", true]],
  [["item", true, 1]],
  [["end", true]],
  [["done", 99, null]],
  [["done"]],
  [[]],
  [null],
  [7],
  ["done"],
  [{ length: 3 }],
  [[["call"], true, 1]],
  [["__proto__", true, 1]],
  [["constructor", true, {}]],
];

Deno.test("whatever a host sends that it may not ends it, and both requests are told", async () => {
  for (const reports of GARBAGE) {
    await withHost(async (host) => {
      const heard = listener(() => new Promise(() => {}));
      const first = request(host, { do: "report", reports }, heard);
      const second = ask(host, { do: "spin", ms: LONG });
      const settled = await Promise.allSettled([first, second]);
      equal(await host.ended, "crashed", JSON.stringify(reports));
      ok(settled[1]?.status === "rejected" && settled[1].reason instanceof HostEnded, JSON.stringify(reports));
      ok(!isThere(host.pid));
    });
  }
});

Deno.test("a request without a listener may neither call nor note", async () => {
  for (const order of [{ do: "call", values: [1] }, { do: "note", values: [1] }] as const) {
    await withHost((host) => rejects(ask(host, order), ended("crashed", true)));
  }
});

Deno.test("a listener that throws or rejects ends the host, whose guest would wait for ever", async () => {
  const fail = () => {
    throw new Error("no");
  };
  const orders: readonly (readonly [TestOrder, RequestListener])[] = [
    [{ do: "call", values: [1] }, listener(fail)],
    [{ do: "call", values: [1] }, listener(() => Promise.reject(new Error("no")))],
    [{ do: "note", values: [1] }, listener(undefined, fail)],
  ];
  for (const [order, heard] of orders) {
    await withHost((host) => rejects(request(host, order, heard), ended("crashed", true)));
  }
});

Deno.test("a report that is longer than it may be ends the host, before it is here", async () => {
  const program = { ...PROGRAM, maxFrame: 10_000 };
  await withHost(
    async (host) => {
      equal(await ask(host, { do: "echo", value: "x".repeat(9_000) }), "x".repeat(9_000));
      await rejects(ask(host, { do: "echo", value: "x".repeat(10_000) }), ended("crashed", true));
    },
    {},
    program,
  );
});

Deno.test("a report of many small parts ends the host, however short it is", async () => {
  const program = { ...PROGRAM, maxStructure: 1_000 };
  await withHost(
    async (host) => {
      const text = `"\\"[[,,"${"[,".repeat(100_000)}`;
      equal(await ask(host, { do: "echo", value: text }), text);
      await rejects(ask(host, { do: "echo", value: Array(1_000).fill(0) }), ended("crashed", true));
    },
    {},
    program,
  );
});

/** A command that becomes the host's, and leaves a process behind that has all its pipes open. */
const leavingBehind = (
  command: string,
  pidFile: string,
) => ["/bin/sh", "-c", `${command} & echo $! > ${pidFile}; exec "$@"`, "sh"];

Deno.test("what a host forked ends with it", { ignore: Deno.build.os !== "linux" }, async () => {
  const file = await Deno.makeTempFile();
  const forked = async () => Number(await Deno.readTextFile(file));
  try {
    for (const end of ["kill", "exit", "end"] as const) {
      await withHost(
        async (host) => {
          const pid = await forked();
          ok(isThere(pid));
          if (end === "kill") host.kill("closed");
          if (end === "end") await host.end("idle");
          if (end === "exit") await rejects(ask(host, { do: "exit" }), HostEnded);
          await host.ended;
          await until("it is gone", () => !isThere(pid));
        },
        {},
        { ...PROGRAM, wrap: leavingBehind("/bin/sleep 60", file) },
      );
    }
  } finally {
    await Deno.remove(file);
  }
});

Deno.test(
  "what left the group of a host keeps nobody waiting for its pipes",
  { ignore: Deno.build.os !== "linux" },
  async () => {
    const file = await Deno.makeTempFile();
    try {
      await withHost(
        async (host) => {
          await until("it is in a session of its own", async () => {
            const [, rest = ""] = (await Deno.readTextFile(`/proc/${await escaped()}/stat`)).split(") ");
            return rest.split(" ")[3] === String(await escaped());
          });
          const spinning = awaitedLater(ask(host, { do: "spin", ms: LONG }));
          const begun = performance.now();
          host.kill("closed");
          await rejects(spinning, ended("closed", true));
          equal(await host.ended, "closed");
          ok(performance.now() - begun < 3_000);
          ok(isThere(await escaped()), "it had the pipes open all the time");
        },
        {},
        { ...PROGRAM, wrap: leavingBehind("exec /usr/bin/setsid /bin/sleep 60", file) },
      );
    } finally {
      Deno.kill(await escaped(), "SIGKILL");
      await Deno.remove(file);
    }
    async function escaped() {
      return Number(await Deno.readTextFile(file));
    }
  },
);

Deno.test("a request whose bytes never came to the host had not begun", () =>
  withHost(async (host) => {
    Deno.kill(host.pid, "SIGSTOP");
    const large = awaitedLater(ask(host, { do: "echo", value: "x".repeat(1_000_000) }));
    host.kill("crashed");
    await rejects(large, ended("crashed", false));
  }));

Deno.test("memories of WebAssembly end at the flag's bound", () =>
  withHost(
    async (host) => {
      equal(await ask(host, { do: "memory", pages: 8 }), true);
      equal(await ask(host, { do: "memory", pages: 9 }), false);
    },
    {},
    { ...PROGRAM, wasmPages: 8 },
  ));
