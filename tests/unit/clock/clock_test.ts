import { equal } from "node:assert/strict";
import { SYSTEM_CLOCK } from "../../../services/clock/clock.ts";

Deno.test("a timer calls back once, unless it was taken back", async () => {
  const called: string[] = [];
  SYSTEM_CLOCK.after(1, () => called.push("taken back"))();
  await new Promise<void>((resolve) =>
    SYSTEM_CLOCK.after(1, () => {
      called.push("called");
      resolve();
    })
  );
  await new Promise<void>((resolve) => SYSTEM_CLOCK.after(5, resolve));
  equal(called.join(), "called");
  // The system's own timers end at once where they cannot wait for so long.
  let early = false;
  const stop = SYSTEM_CLOCK.after(2 ** 40, () => early = true);
  await new Promise<void>((resolve) => SYSTEM_CLOCK.after(5, resolve));
  stop();
  equal(early, false);
});

Deno.test("a timer in the background does not keep the process", async () => {
  const clock = new URL("../../../services/clock/clock.ts", import.meta.url).href;
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      "--no-check",
      `import { SYSTEM_CLOCK } from "${clock}"; SYSTEM_CLOCK.after(600_000, () => {}, true);`,
    ],
    signal: AbortSignal.timeout(60_000),
    stdout: "null",
    stderr: "null",
  }).output();
  equal(success, true, "it waited for the timer, and was killed");
});
