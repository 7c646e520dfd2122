import { deepEqual, equal, ok } from "node:assert/strict";
import { findConfinement } from "../../../../services/functions/hosts/confinement.ts";
import type { HostRun, HostWork } from "../../../../services/functions/hosts/contract.ts";
import type { FunctionHosts } from "../../../../services/functions/hosts/pool.ts";
import { prepareModule } from "../../../../services/functions/modules/index.ts";
import { awaitedLater } from "../../../support/awaited_later.ts";
import { wasmOf } from "../../../support/wat.ts";
import { LONG, STAYS, withPool, workOf } from "./support/pool.ts";

const PAGES = 16;
const options = {
  program: { kind: "function", wasmPages: PAGES, heap: 128 },
  confinement: await findConfinement(),
} as const;

const moduleOf = async (name: string) => ({
  bytes: prepareModule(await wasmOf(`${name}.wat`), PAGES),
  abi: "wasi" as const,
  entry: "_start",
});

/** Calls a function of a namespace of its own. */
async function call(pool: FunctionHosts, name: string, input: string, more: Partial<HostWork> = {}): Promise<HostRun> {
  const work = workOf(name, { do: "tell" }, { moduleKey: name, module: () => moduleOf(name), ...more });
  return await pool.run({ ...work, task: { ...work.task, input: new TextEncoder().encode(input) } }, STAYS);
}

Deno.test("a real function answers, in a host that is confined as far as it can be", () =>
  withPool(async (pool) => {
    for (const input of ["", "Grüße", "x".repeat(90_000)]) {
      const run = await call(pool, "echo", input);
      ok(run.ended === "outcome");
      deepEqual([run.outcome.end, new TextDecoder().decode(run.outcome.output)], ["done", input]);
    }
  }, options));

Deno.test("real endless loops end at their deadline, wherever they are, and their neighbours answer meanwhile", () =>
  withPool(async (pool) => {
    const names = ["spin", "spin_in_start", "spin_floats", "spin_indirect"];
    const spinning = names.map((name) => awaitedLater(call(pool, name, "", { timeout: 500 })));
    equal((await call(pool, "echo", "a")).ended, "outcome");
    deepEqual((await Promise.all(spinning)).map(({ ended }) => ended), names.map(() => "deadline"));
  }, { ...options, max: 8 }));

Deno.test("a real module is checked, and one that is none is told what is wrong with it", () =>
  withPool(async (pool) => {
    equal(await pool.check(await moduleOf("echo"), LONG, STAYS), undefined);
    const wrong = { ...await moduleOf("echo"), bytes: new TextEncoder().encode("no module") };
    ok((await pool.check(wrong, LONG, STAYS))!.length > 5);
  }, options));
