import { deepEqual, equal, match, notEqual, ok } from "node:assert/strict";
import { until } from "../engines/support/wait.ts";
import { newOwner } from "../support/accounts.ts";
import { awaitedLater } from "../support/awaited_later.ts";
import type { Answer } from "../support/client.ts";
import { type Credential, deploy, type DeployFields, invoke } from "../support/functions.ts";
import { TestGateway } from "../support/gateway.ts";
import { CAN_SEE_PROCESSES, hostsOf, isThere, processorSeconds } from "../support/host_processes.ts";
import { figure } from "../support/live_metrics.ts";
import { gatewaySuite } from "../support/suite.ts";
import { assembled } from "../support/wat.ts";

/** MiB that any memory of a guest may have. */
const MEMORY = 64;
/** Milliseconds that a gateway takes to stop at most, when it first lets calls end that run. */
const LONGEST_STOP = 60_000;
/** No spares: every process is a namespace's. */
const HOSTS = { max: 8, per_namespace: 4, spares: 0, idle: "1m", memory: `${MEMORY}MiB` };
const LIMITS = { functions: { memory: `${MEMORY}MiB` } };
const suite = gatewaySuite({ config: { functions: { hosts: HOSTS, wait: "4s" }, limits: LIMITS } });

/** Those of the test that runs. */
const owners: AsyncDisposable[] = [];

function test(name: string, run: () => Promise<void>): void {
  const whole = async () => {
    try {
      await run();
    } finally {
      for (const owner of owners.splice(0)) await owner[Symbol.asyncDispose]();
    }
  };
  if (CAN_SEE_PROCESSES) suite.test(name, whole, { namespaces: 2 });
}

/** Waits until nothing of an earlier test runs. */
const quiet = () =>
  until("nothing runs", async () => await figure(suite.gateway, "function_invocations_running") === 0);

/** Never ends when its input begins with an s; answers with it otherwise. */
const SPIN_OR_ECHO = `(module
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (i32.store (i32.const 0) (i32.const 1024))
    (i32.store (i32.const 4) (i32.const 1024))
    (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
    (if (i32.eq (i32.load8_u (i32.const 1024)) (i32.const 115)) (then (loop $spin (br $spin))))
    (i32.store (i32.const 4) (i32.load (i32.const 8)))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))`;

/** A namespace of its own, for the time of the test. */
async function tenant(gateway: TestGateway = suite.gateway) {
  const owner = await newOwner(gateway);
  owners.push(owner);
  const { apiKey: key, namespace } = owner;
  return { credential: { key } satisfies Credential, namespace };
}

/** Deploys {@link SPIN_OR_ECHO}. */
async function deployOwn(credential: Credential, name: string, fields: DeployFields, gateway = suite.gateway) {
  await deploy(gateway, credential, name, await assembled(name, SPIN_OR_ECHO), fields);
}

/**
 * Makes a call that does not end, and waits until it computes.
 * @param others processes that compute already
 */
async function spinning(credential: Credential, others: readonly number[] = []) {
  const { gateway } = suite;
  // The call finds a process whose start is over, so that what computes then is the call.
  (await invoke(gateway, credential, "spin", "[0]")).expect(200);
  const there = () => hostsOf(gateway.pid, "function").filter((pid) => !others.includes(pid));
  const times = new Map(there().map((pid) => [pid, processorSeconds(pid)]));
  const call = awaitedLater(invoke(gateway, credential, "spin", "s"));
  const computes = (pid: number) => processorSeconds(pid) - (times.get(pid) ?? Infinity) > 0.2;
  await until("it spins", () => there().some(computes));
  return { call, pid: there().find(computes)! };
}

const codeOf = (answer: Answer): unknown => answer.status === 200 ? undefined : answer.get("code");

/** Process ids of those who are in the group that a process led. */
function groupOf(leader: number): number[] {
  return [...Deno.readDirSync("/proc")].map(({ name }) => Number(name)).filter((pid) => {
    if (Number.isNaN(pid)) return false;
    try {
      return Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ").at(-1)!.split(" ")[2] === String(leader);
    } catch {
      return false;
    }
  });
}

for (
  const file of [
    "spin.wat",
    "spin_in_start.wat",
    "long_fill.wat",
    "sleep_an_hour.wat",
    "asking_storm.wat",
    "logs_for_ever.wat",
    "extism_spin.wat",
  ]
) {
  test(`the process of ${file} is gone when its caller is told of the deadline, and nothing of it computes`, async () => {
    const { credential } = await tenant();
    await deploy(suite.gateway, credential, "endless", file, { timeout_seconds: "1" });
    const before = hostsOf(suite.gateway.pid, "function");
    let answer: Answer | undefined;
    const calling = awaitedLater(invoke(suite.gateway, credential, "endless").then((got) => answer = got));
    const seen = new Set<number>();
    await until("it is answered", () => {
      for (const pid of hostsOf(suite.gateway.pid, "function")) if (!before.includes(pid)) seen.add(pid);
      return answer !== undefined;
    });
    await calling;
    equal(answer!.expect(422).get("code"), "FUNCTION_TIMEOUT");
    equal(seen.size, 1);
    for (const pid of seen) {
      deepEqual([isThere(pid), groupOf(pid)], [false, []]);
      equal(processorSeconds(pid), 0);
    }
  });
}

test("a process that is killed in mid call is told of once, as unknown, whatever the signal, and hurts nobody else", async () => {
  const { credential } = await tenant(), neighbour = (await tenant()).credential;
  const { gateway } = suite;
  await quiet();
  await deployOwn(credential, "spin", { timeout_seconds: "60", retry_count: "3", retry_delay_seconds: "1" });
  await deployOwn(neighbour, "spin", { timeout_seconds: "20" });
  const other = await spinning(neighbour);
  const signals = ["SIGKILL", "SIGTERM", "SIGABRT"] as const;
  for (const [i, signal] of signals.entries()) {
    const { call, pid } = await spinning(credential, [other.pid]);
    Deno.kill(pid, signal);
    const lost = await call;
    deepEqual([lost.status, lost.get("code"), lost.get("status")], [409, "OUTCOME_UNKNOWN", "error"], signal);
    equal(lost.headers.get("retry-after"), null);
    equal((await invoke(gateway, neighbour, "spin", "[1]")).expect(200).text, "[1]");
    equal((await invoke(gateway, credential, "spin", "[2]")).expect(200).text, "[2]");
    const logged = async () => (await gateway.call("GET", "/v1/functions/spin/invocations", credential)).expect(200);
    await until("the calls are written", async () => Number((await logged()).get("count")) >= 3 * (i + 1));
    const [answered, killed] = (await logged()).list("invocations");
    equal((await logged()).get("count"), 3 * (i + 1), "it was tried once");
    deepEqual([answered!.status, killed!.status, killed!.attempt], ["success", "error", 1]);
    match(String(killed!.error), /^OUTCOME_UNKNOWN/);
  }
  equal(codeOf(await other.call), "FUNCTION_TIMEOUT");
});

test("of calls of one function that run side by side, the one whose process is killed is lost, and no other", async () => {
  const { credential } = await tenant();
  await quiet();
  await deployOwn(credential, "spin", { timeout_seconds: "10" });
  const first = await spinning(credential), second = await spinning(credential, [first.pid]);
  Deno.kill(first.pid, "SIGKILL");
  deepEqual([codeOf(await first.call), codeOf(await second.call)], ["OUTCOME_UNKNOWN", "FUNCTION_TIMEOUT"]);
});

test("a process that is stopped, in mid call or before one, ends at the deadline of its call", async () => {
  const { credential } = await tenant();
  const { gateway } = suite;
  await quiet();
  await deployOwn(credential, "spin", { timeout_seconds: "5" });
  const { call, pid } = await spinning(credential);
  Deno.kill(pid, "SIGSTOP");
  equal((await call).expect(422).get("code"), "FUNCTION_TIMEOUT");
  equal(isThere(pid), false);

  const before = hostsOf(gateway.pid, "function");
  equal((await invoke(gateway, credential, "spin", "[1]")).expect(200).text, "[1]");
  const [idle, ...more] = hostsOf(gateway.pid, "function").filter((pid) => !before.includes(pid));
  deepEqual(more, []);
  Deno.kill(idle!, "SIGSTOP");
  equal((await invoke(gateway, credential, "spin", "[2]")).expect(422).get("code"), "FUNCTION_TIMEOUT");
  equal(isThere(idle!), false);
  equal((await invoke(gateway, credential, "spin", "[3]")).expect(200).text, "[3]");
});

test("a process has no right, no variable but its engine's, no file, and its memory flag; what confines it is logged", async () => {
  const { credential } = await tenant();
  const { gateway } = suite;
  await deployOwn(credential, "spin", { timeout_seconds: "30" });
  equal((await invoke(gateway, credential, "spin", "[1]")).expect(200).text, "[1]");
  const pids = hostsOf(gateway.pid, "function");
  ok(pids.length > 0);
  const line = gateway.log().split("\n").find((one) => one.includes("processes of functions are confined"));
  const { inForce } = JSON.parse(line!) as { inForce: readonly string[] };
  for (const measure of ["limits", "no_network", "no_capabilities", "no_new_privileges"]) {
    const is = await figure(gateway, `function_confinement{measure="${measure}"}`);
    equal(is, inForce.includes(measure) ? 1 : 0, measure);
  }
  for (const pid of pids) {
    const of = (file: string) => Deno.readTextFileSync(`/proc/${pid}/${file}`);
    const args = of("cmdline").split("\0");
    deepEqual(args.filter((arg) => /^(-A|--allow|-[RWNESI]$|--unstable)/.test(arg)), []);
    ok(args.includes("--no-prompt") && args.includes("--cached-only"), args.join(" "));
    ok(args.some((arg) => arg.includes(`--wasm-max-mem-pages=${MEMORY * 16}`)), args.join(" "));
    const variables = of("environ").split("\0").filter(Boolean).map((one) => one.split("=")[0]!);
    deepEqual(variables.filter((name) => !/^(DENO_DIR|HOME|XDG_CACHE_HOME|DENO_V8_FLAGS)$/.test(name)), []);
    const open = [...Deno.readDirSync(`/proc/${pid}/fd`)].map(({ name }) =>
      Deno.readLinkSync(`/proc/${pid}/fd/${name}`)
    );
    // The engine has its own caches open from before it gives its rights back.
    const known = /^(pipe|socket|anon_inode):|^\/dev\/(null|u?random)$|_cache_v\d+(-wal|-shm)?$/;
    deepEqual(open.filter((one) => !known.test(one)), []);
    const status = of("status");
    const field = (name: string) => new RegExp(`^${name}:\\s+(.*)$`, "m").exec(status)?.[1];
    if (inForce.includes("no_new_privileges")) equal(field("NoNewPrivs"), "1");
    if (inForce.includes("no_capabilities")) equal(Number(`0x${field("CapEff")}`), 0);
    if (inForce.includes("limits")) match(of("limits"), /Max open files\s+64\s+64\s/);
    const network = (of: number) => Deno.readLinkSync(`/proc/${of}/ns/net`);
    if (inForce.includes("no_network")) notEqual(network(pid), network(gateway.pid));
  }
});

test("runaways of one namespace leave another its calls, and when they are over nothing computes", async () => {
  const { credential } = await tenant(), neighbour = (await tenant()).credential;
  const { gateway } = suite;
  await deployOwn(credential, "spin", { timeout_seconds: "1" });
  await deployOwn(neighbour, "echo", { timeout_seconds: "10" });
  const count = 100;
  let answered = 0, calls = 0;
  const runaways = awaitedLater(
    Array.from({ length: count }, () => invoke(gateway, credential, "spin", "s").finally(() => answered++)),
  );
  while (answered < count) {
    equal((await invoke(gateway, neighbour, "echo", `[${calls}]`)).expect(200).text, `[${calls}]`);
    calls++;
  }
  ok(calls > 10, `${calls} calls of the neighbour`);
  const ends = Map.groupBy(await Promise.all(runaways), codeOf);
  deepEqual(new Set(ends.keys()), new Set(["FUNCTION_TIMEOUT", "TOO_MANY_INVOCATIONS"]));
  for (const refused of ends.get("TOO_MANY_INVOCATIONS")!) ok(Number(refused.headers.get("retry-after")) >= 1);
  await quiet();
  const spent = () => hostsOf(gateway.pid, "function").map((pid) => [pid, processorSeconds(pid)] as const);
  const before = new Map(spent());
  await new Promise((resolve) => setTimeout(resolve, 500));
  for (const [pid, seconds] of spent()) ok(seconds - (before.get(pid) ?? 0) < 0.2, `${pid} computes`);
});

test("chains of calls get as deep as they may where processes are fewer than that, also side by side", async () => {
  const hosts = { ...HOSTS, max: 2, per_namespace: 2 };
  await using gateway = await TestGateway.start({ config: { functions: { hosts, wait: "1m" }, limits: LIMITS } });
  const { credential } = await tenant(gateway);
  await deploy(gateway, credential, "itself", "invoke_itself.wat", { timeout_seconds: "30" });
  const chains = Array.from({ length: 3 }, () => invoke(gateway, credential, "itself", "itself"));
  for (const answer of await Promise.all(chains)) {
    match(answer.expect(200).string("output"), /INVOCATION_TOO_DEEP/);
    ok(!answer.text.includes("TOO_MANY_INVOCATIONS"), answer.text);
  }
});

for (const signal of ["SIGKILL", "SIGTERM"] as const) {
  test(`a gateway that is ended by ${signal} leaves no process behind, also while calls run without end`, async () => {
    await using gateway = await TestGateway.start({
      config: {
        functions: { hosts: { ...HOSTS, spares: 2 } },
        limits: LIMITS,
        http: { shutdown: { grace: "100ms" } },
      },
    });
    const { credential } = await tenant(gateway);
    await deployOwn(credential, "spin", { timeout_seconds: "60" }, gateway);
    await until("the spares are there", () => hostsOf(gateway.pid, "function").length >= 2);
    const calls = awaitedLater([invoke(gateway, credential, "spin", "s"), invoke(gateway, credential, "spin", "s")]);
    await until("both run", async () => await figure(gateway, "function_invocations_running") === 2);
    const hosts = hostsOf(gateway.pid, "function");
    ok(hosts.length >= 2);
    gateway.signal(signal);
    await gateway.exitCode(LONGEST_STOP);
    await until("all have ended", () => !hosts.some(isThere));
    await Promise.allSettled(calls);
  });
}
