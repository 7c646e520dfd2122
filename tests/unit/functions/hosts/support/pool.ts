import { deepEqual, equal, ok } from "node:assert/strict";
import type { HostRun, HostWork, HostWorkListener } from "../../../../../services/functions/hosts/contract.ts";
import { FunctionHosts, type FunctionHostsOptions } from "../../../../../services/functions/hosts/pool.ts";
import { isThere } from "../../../hosts/support/hosts.ts";
import type { TestTask, Told } from "./guest.ts";

/** Milliseconds that no test reaches. */
export const LONG = 30_000;

/** Nobody leaves. */
export const STAYS = new AbortController().signal;

/** The program of the tests. */
export const PROGRAM = {
  kind: "function",
  script: new URL("./guest.ts", import.meta.url).href,
  maxFrame: 2_000_000,
  maxStructure: 10_000,
} as const;

/** A call of the function `f` of a namespace. */
export const workOf = (namespace: string, task: TestTask, more: Partial<HostWork> = {}): HostWork => ({
  namespace,
  functionId: `${namespace}/f`,
  moduleKey: "m1",
  module: () => ({ bytes: new TextEncoder().encode("right"), abi: "wasi", entry: "_start" }),
  task: {
    name: "f",
    requestId: "r",
    caller: "",
    env: {},
    input: new TextEncoder().encode(JSON.stringify(task)),
    limits: { pages: 16, output: 100_000, log: 10_000, calls: 10 },
  },
  timeout: LONG,
  depth: 0,
  concurrency: { namespace: 4, function: undefined, waiting: 2_000 },
  listener: { call: () => Promise.resolve({ value: null }), note: () => {} },
  ...more,
});

/** A listener that knows how many calls have said something. */
export function saying(): { readonly said: () => number; readonly listener: HostWorkListener } {
  let said = 0;
  return { said: () => said, listener: { call: () => Promise.resolve({ value: null }), note: () => void said++ } };
}

/** Runs something with a pool, and sees that no process is left. */
export async function withPool(
  run: (
    pool: FunctionHosts,
    call: (namespace: string, task: TestTask, more?: Partial<HostWork>) => Promise<HostRun>,
  ) => Promise<void>,
  options: Partial<FunctionHostsOptions> = {},
): Promise<void> {
  const pool = new FunctionHosts({ program: PROGRAM, max: 4, spares: 0, idle: LONG, ...options });
  const before = children();
  try {
    await run(pool, (namespace, task, more) => pool.run(workOf(namespace, task, more), STAYS));
  } finally {
    await pool.close();
    deepEqual(children().filter((pid) => !before.includes(pid)), [], "nothing is left after close()");
    const { running, waiting, hosts } = pool.figures();
    deepEqual([running, waiting, hosts.busy, hosts.idle], [0, 0, 0, 0]);
  }
}

/** What a host says of itself. */
export async function told(run: Promise<HostRun>): Promise<Told> {
  const result = await run;
  ok(result.ended === "outcome", result.ended);
  equal(result.outcome.end, "done");
  return JSON.parse(new TextDecoder().decode(result.outcome.output)) as Told;
}

/**
 * Processes that this thread started and that are there (Linux): tests of other files run beside this one, in threads of their own.
 */
export function children(): number[] {
  if (Deno.build.os !== "linux") return [];
  return Deno.readTextFileSync("/proc/thread-self/children").split(" ").filter(Boolean).map(Number).filter(isThere);
}

/** Seconds of a processor that a process has used, in ticks of 10 ms; 0 for one that is gone (Linux). */
export function ticks(pid: number): number {
  try {
    const fields = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1]!.split(" ");
    return Number(fields[11]) + Number(fields[12]);
  } catch {
    return 0;
  }
}
