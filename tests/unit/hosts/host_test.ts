import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { Host, HostEnded } from "../../../src/hosts/host.ts";
import { ReaderTooSlow } from "../../../src/hosts/stream.ts";
import { until } from "../../engines/support/wait.ts";
import { awaitedLater } from "../../support/awaited_later.ts";
import { ask, isThere, LONG, PROGRAM, withHost } from "./support/hosts.ts";

const ended = (reason: string, running: boolean) => (error: unknown) => {
  ok(error instanceof HostEnded, String(error));
  deepEqual([error.reason, error.running], [reason, running]);
  return true;
};

const bounds = { timeout: LONG, patience: LONG };

Deno.test("many requests in flight are answered in order, with bytes and bigint", () =>
  withHost(async (host) => {
    const values = Array.from({ length: 500 }, (_, i) => [i, BigInt(i), new Uint8Array([i & 255]), "x".repeat(i)]);
    deepEqual(await Promise.all(values.map((value) => ask(host, { do: "echo", value }))), values);
    const large = "é".repeat(3_000_000);
    equal(await ask(host, { do: "echo", value: large }), large);
  }));

Deno.test("a request that takes too long is killed, and only it is to blame", () =>
  withHost(async (host) => {
    const begun = performance.now();
    const [first, second, third] = [
      ask(host, { do: "spin", ms: 50 }),
      ask(host, { do: "spin", ms: LONG }, 150),
      ask(host, { do: "echo" }, 10),
    ];
    await Promise.all([
      first,
      rejects(second!, ended("deadline", true)),
      rejects(third!, ended("deadline", false)),
    ]);
    ok(performance.now() - begun < 5_000);
    await rejects(ask(host, { do: "echo" }), ended("deadline", false));
    equal(await host.ended, "deadline");
  }));

Deno.test("time in which others run does not count", () =>
  withHost(async (host) => {
    const each = Array.from({ length: 6 }, () => ask(host, { do: "spin", ms: 300 }, 1_500));
    await Promise.all(each);
  }));

Deno.test("a host that ends by itself is noticed at once, and everybody is told", async () => {
  const lines: string[] = [];
  for (const order of [{ do: "exit" }, { do: "throw" }, { do: "babble" }] as const) {
    await withHost(async (host) => {
      const begun = performance.now();
      const waiting = [ask(host, order), ask(host, { do: "spin", ms: LONG })];
      // What babbles has answered before anybody knew.
      const settled = await Promise.allSettled(waiting);
      ok(settled[1]?.status === "rejected" && settled[1].reason instanceof HostEnded);
      equal(await host.ended, "crashed");
      ok(performance.now() - begun < 5_000, order.do);
    }, { onLine: (line) => lines.push(line) });
  }
  ok(lines.some((line) => line.includes("thrown on purpose")), "standard error goes to the log");
  ok(lines.some((line) => line.includes("MalformedFrame")), lines.join("\n"));
});

Deno.test("what a host writes to standard error is capped", async () => {
  const lines: string[] = [];
  await withHost(async (host) => {
    await ask(host, { do: "complain", lines: 10_000 });
    await until("the cap was said", () => lines.at(-1)?.includes("dropped") === true);
  }, { onLine: (line) => lines.push(line) });
  ok(lines.length < 300, String(lines.length));
});

Deno.test("a host has no right and no environment, whatever it was started with", () =>
  withHost(
    async (host) => {
      deepEqual(await ask(host, { do: "rights" }), []);
      equal(await ask(host, { do: "environment" }), null);
    },
    {},
    { ...PROGRAM, rights: { read: ["/etc"], write: ["/etc"] } },
  ));

Deno.test("end() lets requests finish, and the process goes by itself", () =>
  withHost(async (host) => {
    const running = awaitedLater(ask(host, { do: "spin", ms: 100 }));
    const ending = awaitedLater(host.end("idle"));
    await rejects(ask(host, { do: "echo" }), ended("idle", false));
    equal(await running, null);
    await ending;
    equal(await host.ended, "idle");
    ok(!isThere(host.pid));
  }));

Deno.test("end() kills what does not go", () =>
  withHost(async (host) => {
    const running = ask(host, { do: "spin", ms: LONG });
    await Promise.all([host.end("closed", 100), rejects(running, ended("closed", true))]);
  }));

Deno.test(
  "a stopped process is killed by the deadline all the same",
  { ignore: Deno.build.os !== "linux" },
  () =>
    withHost(async (host) => {
      Deno.kill(host.pid, "SIGSTOP");
      await rejects(ask(host, { do: "echo" }, 100), ended("deadline", true));
      ok(!isThere(host.pid));
    }),
);

Deno.test("a stream gives its items in order, beside requests", () =>
  withHost(async (host) => {
    const items: unknown[] = [];
    for await (const item of host.stream({ items: 1_000 }, bounds)) {
      items.push(item);
      if (items.length % 100 === 0) equal(await ask(host, { do: "echo", value: 1 }), 1);
    }
    deepEqual(items, Array.from({ length: 1_000 }, (_, i) => i));
    equal(host.pending, 0);
  }));

Deno.test("a stream goes at the reader's pace, and its end is told to the host", () =>
  withHost(async (host) => {
    const stream = host.stream({ items: 1_000_000 }, bounds);
    await stream.next();
    const made = Number(await ask(host, { do: "made" }));
    ok(made <= 6, String(made));
    await stream.return();
    deepEqual(await stream.next(), { done: true, value: undefined });
    await until("the stream is over", () => host.pending === 0);
    ok(Number(await ask(host, { do: "made" })) <= 6);
  }));

Deno.test("eight streams share a host", () =>
  withHost(async (host) => {
    const count = async () => {
      let n = 0;
      for await (const _ of host.stream({ items: 500 }, bounds)) n++;
      return n;
    };
    deepEqual(await Promise.all(Array.from({ length: 8 }, count)), Array(8).fill(500));
  }));

Deno.test("a stream that makes nothing for too long is to blame; what waits behind it is not", () =>
  withHost(async (host) => {
    const stream = host.stream({ items: 10, spinAt: 2, ms: LONG }, { timeout: 200, patience: LONG });
    equal((await stream.next()).value, 0);
    equal((await stream.next()).value, 1);
    const behind = async () => {
      for (;;) await ask(host, { do: "echo" }, 50);
    };
    await Promise.all([rejects(stream.next(), ended("deadline", true)), rejects(behind, ended("deadline", false))]);
  }));

Deno.test("a slow reader's time is not the stream's, until patience ends", () =>
  withHost(async (host) => {
    const timeout = 300;
    const slow = host.stream({ items: 20 }, { timeout, patience: LONG });
    let n = 0;
    for await (const _ of slow) {
      n++;
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
    equal(n, 20);
    const forgotten = host.stream({ items: 1_000 }, { timeout, patience: 50 });
    await forgotten.next();
    await until("the host is free of it", () => host.pending === 0);
    await rejects(forgotten.next(), ReaderTooSlow);
    equal(await ask(host, { do: "echo", value: 2 }), 2);
  }));

Deno.test("a stream's host that is killed ends it with an error", () =>
  withHost(async (host) => {
    const stream = host.stream({ items: 1_000 }, bounds);
    await stream.next();
    host.kill("closed");
    await rejects(async () => {
      for await (const _ of stream);
    }, { name: "HostEnded", reason: "closed" });
  }));

Deno.test("a program that cannot start is told as one that ended", async () => {
  const lines: string[] = [];
  const host = Host.start({ ...PROGRAM, script: "file:///nonexistent/guest.ts" }, {
    onLine: (line) => lines.push(line),
  });
  await rejects(ask(host, { do: "echo" }), ended("crashed", true));
  ok(lines.some((line) => line.includes("nonexistent")), lines.join("\n"));
});

Deno.test(
  "a host whose parent died before the host's program began does nothing of what it was asked, and goes",
  { ignore: Deno.build.os !== "linux" },
  async () => {
    const parent = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", new URL("./support/parent.ts", import.meta.url).href],
      stdout: "piped",
    }).spawn();
    let said = "";
    for await (const text of parent.stdout.pipeThrough(new TextDecoderStream())) {
      if ((said += text).endsWith("\n")) break;
    }
    const host = Number(said);
    ok(isThere(host), said);
    parent.kill("SIGKILL");
    await parent.status;
    Deno.kill(host, "SIGCONT");
    try {
      await until("the host has ended", () => !isThere(host));
    } finally {
      if (isThere(host)) Deno.kill(host, "SIGKILL");
    }
  },
);
