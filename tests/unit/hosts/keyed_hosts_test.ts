import { deepEqual, equal, notEqual, ok, rejects } from "node:assert/strict";
import { HostEnded } from "../../../src/hosts/host.ts";
import { KeyedHosts, type KeyedHostsOptions, NoHost } from "../../../src/hosts/keyed_hosts.ts";
import { until } from "../../engines/support/wait.ts";
import { awaitedLater } from "../../support/awaited_later.ts";
import { ask, isThere, LONG, PROGRAM } from "./support/hosts.ts";

/** Hosts whose opening gives the process id. */
async function withHosts(
  options: Partial<KeyedHostsOptions<number>>,
  run: (hosts: KeyedHosts<number>, pids: Set<number>) => Promise<void>,
): Promise<void> {
  const pids = new Set<number>();
  const hosts = new KeyedHosts<number>({
    program: PROGRAM,
    max: 2,
    spares: 0,
    idle: LONG,
    async open(host) {
      pids.add(host.pid);
      await ask(host, { do: "echo" });
      return host.pid;
    },
    ...options,
  });
  try {
    await run(hosts, pids);
  } finally {
    await hosts.close();
    deepEqual([...pids].filter(isThere), [], "nothing is left after close()");
  }
}

Deno.test("a key keeps its host, and shares it with nobody", () =>
  withHosts({}, async (hosts) => {
    equal(hosts.peek("a"), undefined);
    const [first, again, other] = await Promise.all([hosts.take("a"), hosts.take("a"), hosts.take("b")]);
    equal(first, again);
    equal(hosts.peek("a"), first);
    notEqual(first.opened, other.opened);
    deepEqual(hosts.figures(), { running: 2, spare: 0, killed: 0 });
  }));

Deno.test("the host idle for longest makes room", () =>
  withHosts({}, async (hosts) => {
    const a = await hosts.take("a");
    await hosts.take("b");
    hosts.peek("a");
    await hosts.take("c");
    equal(hosts.peek("a"), a);
    equal(hosts.peek("b"), undefined);
    equal(hosts.figures().running, 2);
  }));

Deno.test("ten keys take turns on two hosts, also when all are busy all the time", () =>
  withHosts({ patience: LONG }, async (hosts) => {
    const served = new Map<string, number>();
    const client = async (key: string) => {
      while ((served.get(key) ?? 0) < 5) {
        const { host } = await hosts.take(key);
        try {
          await ask(host, { do: "spin", ms: 1 });
          served.set(key, (served.get(key) ?? 0) + 1);
        } catch (error) {
          if (!(error instanceof HostEnded)) throw error;
        }
      }
    };
    await Promise.all(Array.from({ length: 10 }, (_, i) => client(`k${i}`)));
    ok(hosts.figures().running <= 2);
  }));

Deno.test("who waits for a host too long is told so", () =>
  withHosts({ max: 1, patience: 100 }, async (hosts) => {
    const { host } = await hosts.take("a");
    const busy = awaitedLater(ask(host, { do: "spin", ms: LONG }));
    await rejects(hosts.take("b"), NoHost);
    host.kill("closed");
    await rejects(busy, HostEnded);
    await hosts.take("b");
  }));

Deno.test("a spare is there at once, and is replaced", () =>
  withHosts({ spares: 1 }, async (hosts) => {
    hosts.warm();
    await until("there is one", () => hosts.figures().spare === 1);
    await hosts.take("a");
    await until("there is another one", () => hosts.figures().spare === 1);
    await hosts.take("b");
    await until("and another one", () => hosts.figures().spare === 1);
    equal(hosts.figures().running, 2);
  }));

Deno.test("an unused host ends", () =>
  withHosts({ idle: 60 }, async (hosts) => {
    const { host } = await hosts.take("a");
    equal(await host.ended, "idle");
    await until("its place is free", () => hosts.figures().running === 0);
    notEqual((await hosts.take("a")).host, host);
  }));

Deno.test("a killed host is replaced, once it is gone", () =>
  withHosts({}, async (hosts) => {
    const { host } = await hosts.take("a");
    const spinning = awaitedLater(rejects(ask(host, { do: "spin", ms: LONG }, 50), HostEnded));
    await host.ended;
    const next = await hosts.take("a");
    await spinning;
    ok(!isThere(host.pid));
    notEqual(next.opened, host.pid);
    equal(hosts.figures().killed, 1);
  }));

Deno.test("a key whose hosts crash waits longer each time, and nobody else does", () =>
  withHosts({}, async (hosts) => {
    const crash = async () => {
      const { host } = await hosts.take("a");
      await rejects(ask(host, { do: "exit" }), HostEnded);
      await host.ended;
    };
    // The first waits are borne: 0, 100, 200, 400 and 800 milliseconds.
    for (let crashes = 0; crashes < 6; crashes++) await crash();
    await rejects(hosts.take("a"), (error) => error instanceof NoHost && error.wait! > 1_000);
    await hosts.take("b");
    await until("the key may have another one", () => hosts.take("a").then(() => true, () => false));
  }));

Deno.test("what cannot be opened is told to whoever asked, and leaves no process", () => {
  let broken = true;
  return withHosts({
    async open(host) {
      await ask(host, { do: "echo" });
      if (broken) throw new Error("broken file");
      return host.pid;
    },
  }, async (hosts) => {
    await Promise.all([
      rejects(hosts.take("a"), /broken file/),
      rejects(hosts.take("a"), /broken file/),
    ]);
    await until("its place is free", () => hosts.figures().running === 0);
    broken = false;
    await hosts.take("a");
  });
});

Deno.test("without() waits for what runs, runs alone, and lets go again", () =>
  withHosts({}, async (hosts) => {
    const { host } = await hosts.take("a");
    const running = ask(host, { do: "spin", ms: 100 });
    const order: string[] = [];
    const alone = awaitedLater(hosts.without("a", async () => {
      order.push("alone");
      ok(!isThere(host.pid));
      await new Promise((resolve) => setTimeout(resolve, 50));
      order.push("done");
      return 7;
    }));
    const next = awaitedLater(hosts.take("a").then(() => order.push("next")));
    await running;
    equal(await alone, 7);
    await next;
    deepEqual(order, ["alone", "done", "next"]);
    await rejects(hosts.without("a", () => Promise.reject(new Error("no"))), /no/);
    await hosts.take("a");
  }));

Deno.test("close() lets requests finish and refuses what comes later", () =>
  withHosts({ max: 1 }, async (hosts) => {
    const { host } = await hosts.take("a");
    const running = ask(host, { do: "spin", ms: 100 });
    const waiting = hosts.take("b");
    await Promise.all([hosts.close(), running, rejects(waiting, NoHost)]);
    await rejects(hosts.take("a"), NoHost);
  }));
