import { deepEqual, equal, ok } from "node:assert/strict";
import { StuckWatch } from "../../../services/rqlite/stuck.ts";
import { until } from "../../engines/support/wait.ts";

/** A watch over a cluster that answers so, one after the other, the last one for ever. */
function watched(...answers: (boolean | undefined)[]) {
  const changes: boolean[] = [];
  let asked = 0;
  const watch = new StuckWatch({
    comesBack: () => Promise.resolve(answers[Math.min(asked++, answers.length - 1)]),
    onChange: (stuck) => changes.push(stuck),
    now: () => performance.now(),
  });
  return { watch, changes, asked: () => asked };
}

Deno.test("a write that is late makes no cluster stuck while trivial requests come back", async () => {
  for (const answer of [true, undefined]) {
    const { watch, changes, asked } = watched(answer);
    watch.suspect();
    await until("it was asked", () => asked() === 1);
    await Promise.resolve();
    deepEqual([watch.stuck, changes], [false, []]);
    watch.close();
  }
});

Deno.test("a cluster is stuck until a trivial request comes back, also through times in which nobody can be asked", async () => {
  const { watch, changes, asked } = watched(false, undefined, false, true);
  watch.suspect();
  watch.suspect();
  await until("it is stuck", () => watch.stuck);
  await until("it is no longer stuck", () => !watch.stuck);
  deepEqual([changes, asked()], [[true, false], 4]);
  watch.suspect();
  await until("it was asked again", () => asked() === 5);
  equal(watch.stuck, false);
  watch.close();
});

Deno.test("a watch that is closed asks no more", async () => {
  const { watch, asked } = watched(false);
  watch.suspect();
  await until("it is stuck", () => watch.stuck);
  watch.close();
  watch.suspect();
  ok(asked() <= 2);
});
