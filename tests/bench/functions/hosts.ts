import { FunctionHosts } from "../../../services/functions/hosts/pool.ts";
import type { HostWork } from "../../../services/functions/hosts/contract.ts";
import { prepareModule } from "../../../services/functions/modules/index.ts";
import { wasmOf } from "../../support/wat.ts";
import { quantile } from "../pace.ts";

/** Milliseconds of so many tries. */
export interface Times {
  readonly p50: number;
  readonly p99: number;
  readonly count: number;
}

const PAGES = 64;
const NONE = new AbortController().signal;
const never = () => Promise.reject(new Error("no host call is expected"));

/** Sequential calls of an echo in one warm host, without a gateway. */
export async function pipe(input: string): Promise<Times> {
  const hosts = poolOf(1);
  const work = await workOf("echo", "pipe", new TextEncoder().encode(input));
  try {
    for (let i = 0; i < 1_000; i++) await hosts.run(work, NONE);
    return await timesOf(5_000, async () => {
      const run = await hosts.run(work, NONE);
      if (run.ended !== "outcome" || run.outcome.end !== "done") throw new Error(JSON.stringify(run));
    });
  } finally {
    await hosts.close();
  }
}

/** First calls of namespaces: a host each, which must get its module. */
export async function cold(spares: number): Promise<Times> {
  const hosts = poolOf(spares);
  let namespaces = 0;
  const work = await workOf("echo", "", new Uint8Array());
  try {
    return await timesOf(40, async () => {
      const namespace = `cold-${namespaces++}`;
      const run = await hosts.run({ ...work, namespace }, NONE);
      if (run.ended !== "outcome" || !run.coldStart) throw new Error(JSON.stringify(run));
    }, async () => {
      // The next spare is up, and the machine quiet.
      await new Promise((resolve) => setTimeout(resolve, 300));
    });
  } finally {
    await hosts.close();
  }
}

/** From a call's deadline to the end of its process, which then uses no more time of the processor. */
export async function stopped(): Promise<Times> {
  const hosts = poolOf(2);
  const timeout = 500;
  const times: number[] = [];
  try {
    for (let i = 0; i < 20; i++) {
      const work = { ...await workOf("spin", `spin-${i}`, new Uint8Array()), timeout };
      const run = await hosts.run(work, NONE);
      if (run.ended !== "deadline") throw new Error(JSON.stringify(run));
      times.push(run.ran - timeout);
    }
  } finally {
    await hosts.close();
  }
  times.sort((a, b) => a - b);
  return { p50: quantile(times, 0.5), p99: times.at(-1)!, count: times.length };
}

const poolOf = (spares: number): FunctionHosts => {
  const hosts = new FunctionHosts({
    program: { kind: "function", heap: 64, wasmPages: 4_096 },
    max: 64,
    spares,
    idle: 600_000,
  });
  hosts.warm();
  return hosts;
};

async function workOf(name: string, namespace: string, input: Uint8Array): Promise<HostWork> {
  const bytes = prepareModule(await wasmOf(`${name}.wat`), PAGES);
  return {
    namespace,
    functionId: name,
    moduleKey: name,
    module: () => ({ bytes, abi: "wasi", entry: "_start" }),
    task: {
      name,
      requestId: "bench",
      caller: "",
      env: {},
      input,
      limits: { pages: PAGES, output: 1 << 20, log: 1 << 16, calls: 100 },
    },
    timeout: 10_000,
    depth: 0,
    concurrency: { namespace: 64, function: undefined, waiting: 100 },
    listener: { call: never, note: () => {} },
  };
}

async function timesOf(count: number, run: () => Promise<void>, before?: () => Promise<void>): Promise<Times> {
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    await before?.();
    const begun = performance.now();
    await run();
    times.push(performance.now() - begun);
  }
  times.sort((a, b) => a - b);
  return { p50: quantile(times, 0.5), p99: quantile(times, 0.99), count };
}
