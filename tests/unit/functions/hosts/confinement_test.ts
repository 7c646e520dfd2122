import { deepEqual, equal, ok } from "node:assert/strict";
import { findConfinement, UNCONFINED } from "../../../../services/functions/hosts/confinement.ts";
import { told, withPool } from "./support/pool.ts";

const linux = { ignore: Deno.build.os !== "linux" };
const confinement = await findConfinement();

/** What the system says of a process. */
const statusOf = (pid: number, field: string) =>
  new RegExp(`^${field}:\\s+(.*)$`, "m").exec(Deno.readTextFileSync(`/proc/${pid}/status`))?.[1];

Deno.test("what is said to be in force is, in a host that runs calls", linux, () =>
  withPool(async (pool, call) => {
    const { pid } = await told(call("a", { do: "tell" }));
    const { inForce } = confinement;
    deepEqual(pool.figures().confinement, inForce);
    if (inForce.no_new_privileges) equal(statusOf(pid, "NoNewPrivs"), "1");
    if (inForce.no_capabilities) {
      for (const set of ["CapEff", "CapPrm", "CapInh", "CapAmb"]) equal(Number(`0x${statusOf(pid, set)}`), 0, set);
    }
    if (inForce.limits) {
      const limits = Deno.readTextFileSync(`/proc/${pid}/limits`);
      ok(/Max core file size\s+0\s+0\s/.test(limits) && /Max open files\s+64\s+64\s/.test(limits), limits);
    }
    if (inForce.no_network) {
      const devices = Deno.readTextFileSync(`/proc/${pid}/net/dev`).trim().split("\n").slice(2);
      deepEqual(devices.map((line) => line.trim().split(":")[0]), ["lo"]);
      equal(Deno.readTextFileSync(`/proc/${pid}/net/fib_trie`), "", "not even to itself");
    }
    equal(Deno.readTextFileSync(`/proc/${pid}/oom_score_adj`).trim(), "500");
  }, { confinement }));

Deno.test("what does not work together with the program is left out, and nothing else", {
  ignore: Deno.build.os !== "linux" || !exists("/usr/bin/setpriv"),
}, async () => {
  // Everything works by itself, but the program without a network does not.
  const works = (command: readonly string[]) =>
    Promise.resolve(!(command.includes("--net") && command.includes(Deno.execPath())));
  const { wrap, inForce } = await findConfinement(works);
  deepEqual(inForce, { limits: true, no_network: false, no_capabilities: true, no_new_privileges: true });
  ok(wrap.includes("--no-new-privs") && wrap.includes("--core=0") && !wrap.includes("--net"), wrap.join(" "));
  deepEqual(await findConfinement(() => Promise.resolve(false)), UNCONFINED);
});

Deno.test("on Linux with util-linux something is in force", {
  ignore: Deno.build.os !== "linux" || !exists("/usr/bin/setpriv"),
}, () => {
  ok(confinement.inForce.no_new_privileges);
});

Deno.test("without any of it hosts run all the same", () =>
  withPool(async (pool, call) => {
    equal((await call("a", { do: "tell" })).ended, "outcome");
    deepEqual(new Set(Object.values(pool.figures().confinement)), new Set([false]));
  }, { confinement: UNCONFINED }));

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
