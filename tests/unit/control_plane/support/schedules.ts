import { setImmediate } from "node:timers/promises";
import type { ControlDatabase } from "../../../../services/control_plane/control_database.ts";
import { WatchedControl } from "./doubles.ts";

/** Milliseconds in which a task that need not wait for another one comes to its next query, on any machine. */
const PATIENCE = 10_000;

/** Decides whose query is next, in one run of a scenario. */
export class Schedule {
  readonly #waiting: { readonly client: number; readonly go: () => void }[] = [];
  #clients = 0;

  constructor(private readonly choose: (n: number) => number) {}

  /** A client whose queries wait for their turn. Each task has one of its own. */
  client(inner: ControlDatabase): WatchedControl {
    const client = this.#clients++;
    const watched = new WatchedControl(inner);
    watched.before = () => new Promise((go) => void this.#waiting.push({ client, go }));
    return watched;
  }

  /** Runs tasks at once, query by query, and says how each ended. No task may wait for another one. */
  async run<T>(tasks: readonly (() => Promise<T>)[]): Promise<PromiseSettledResult<T>[]> {
    let running = tasks.length;
    const all = Promise.allSettled(tasks.map((task) => task().finally(() => running--)));
    for (let since = performance.now(); running > 0;) {
      await setImmediate();
      // Only when every task that still runs waits for its turn: else the choices would depend on how fast one of them is.
      if (this.#waiting.length < running || running === 0) {
        if (performance.now() > since + PATIENCE) throw new Error("a task waits for something else than its turn");
        continue;
      }
      since = performance.now();
      this.#waiting.sort((a, b) => a.client - b.client);
      this.#waiting.splice(this.choose(this.#waiting.length), 1)[0]!.go();
    }
    return await all;
  }
}

/**
 * Runs a scenario in every order that its queries can take.
 * @returns how many there are
 */
export async function everySchedule(scenario: (schedule: Schedule) => Promise<void>, limit = 2_000): Promise<number> {
  const path: { choice: number; readonly of: number }[] = [];
  for (let runs = 1;; runs++) {
    if (runs > limit) throw new Error(`more than ${limit} orders`);
    let depth = 0;
    await scenario(
      new Schedule((of) => {
        const step = path[depth] ??= { choice: 0, of };
        if (step.of !== of) throw new Error("the scenario is not the same in each run");
        depth++;
        return step.choice;
      }),
    );
    while (path.length > 0 && path.at(-1)!.choice + 1 === path.at(-1)!.of) path.pop();
    if (path.length === 0) return runs;
    path.at(-1)!.choice++;
  }
}
