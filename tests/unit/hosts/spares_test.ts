import { equal, ok } from "node:assert/strict";
import type { Host } from "../../../src/hosts/host.ts";
import { Spares } from "../../../src/hosts/spares.ts";
import { until } from "../../engines/support/wait.ts";

/** A host that is there until it is told that it ends. */
function standIn(): { readonly host: Host; readonly end: () => void } {
  const { promise, resolve } = Promise.withResolvers<"crashed" | "closed">();
  const host: Pick<Host, "open" | "ended" | "end"> = {
    open: true,
    ended: promise,
    end: () => (resolve("closed"), Promise.resolve()),
  };
  return { host: host as Host, end: () => resolve("crashed") };
}

Deno.test("once a spare was taken that lives, earlier failures to start one delay none any more", async () => {
  let started = 0;
  let last = standIn();
  const spares = new Spares(1, () => {
    if (++started <= 4) throw new Error("no descriptor");
    return (last = standIn()).host;
  });
  try {
    spares.warm();
    await until("there is one after all", () => spares.count === 1);
    ok(spares.take());
    await until("it is replaced", () => spares.count === 1);
    const began = performance.now();
    last.end();
    await until("it is gone", () => spares.count === 0);
    await until("there is another one", () => spares.count === 1);
    // The fifth failure in a row would be a pause of 1,600 ms.
    ok(performance.now() - began < 1_400);
    equal(started, 7);
  } finally {
    await spares.close();
  }
});
