import { type Answers, type Asked, dropRights, type Guest, serve, watchParent } from "../../../src/hosts/guest.ts";
import type { GuestLoaded, GuestOrder, GuestOutcome } from "../parts.ts";
import { Runtime } from "./runtime.ts";
import { realSurroundings } from "./surroundings.ts";

/** Serves as a function host: gives back every right, and runs what it is told of one namespace, call by call. */
export async function run(): Promise<void> {
  watchParent();
  dropRights();
  await serve(new FunctionHost(new Runtime(realSurroundings())));
}

/** What runs within a function host. */
export class FunctionHost implements Guest {
  readonly #runtime: Runtime;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  work(asked: readonly Asked[], answers: Answers): void {
    for (const { id, body } of asked) {
      // Each may take long, a module that is compiled as well.
      answers.flush();
      answers.answer(id, this.#answer(id, body as GuestOrder, answers));
    }
  }

  #answer(id: number, order: GuestOrder, answers: Answers): GuestLoaded | GuestOutcome | null {
    switch (order.kind) {
      case "load":
        return this.#runtime.load(order.load);
      case "check":
        return this.#runtime.check(order.load);
      case "forget":
        this.#runtime.forget(order.module);
        return null;
      case "run":
        return this.#runtime.run(order.task, {
          call: (call) => answers.call(id, call),
          note: (note) => answers.note(id, note),
          flush: () => answers.flush(),
        });
    }
  }
}
