import type { Call, Deadlines, Reason, Waiting } from "./deadlines.ts";
import { unreachable } from "./replies.ts";

interface Turn extends Waiting {
  begin(): void;
}

/** Work on one name is done one after the other, in the order in which it came. Names do not wait for each other. */
export class KeyedQueue {
  /** Who waits for whoever is at work. */
  readonly #lines = new Map<string, Turn[]>();

  constructor(private readonly deadlines: Deadlines) {}

  /** @throws what the work throws; GatewayError `UNAVAILABLE` when its turn does not come in time, and it is not begun */
  async run<T>(name: string, call: Call, work: () => Promise<T>): Promise<T> {
    const line = this.#lines.get(name);
    if (line === undefined) this.#lines.set(name, []);
    else await this.#turn(line, call);
    try {
      return await work();
    } finally {
      this.#next(name);
    }
  }

  #turn(line: Turn[], call: Call): Promise<void> {
    return new Promise((resolve, reject) => {
      const turn: Turn = {
        call,
        begin: () => {
          this.deadlines.delete(turn);
          resolve();
        },
        giveUp(reason: Reason) {
          line.splice(line.indexOf(turn), 1);
          reject(reason === "aborted" ? call.waiter.signal.reason : unreachable(new Error("its turn did not come")));
        },
      };
      line.push(turn);
      this.deadlines.add(turn);
    });
  }

  #next(name: string): void {
    const turn = this.#lines.get(name)!.shift();
    if (turn === undefined) this.#lines.delete(name);
    else turn.begin();
  }
}
