import type { Epoch, EpochRegistry } from "../../../../services/pubsub/cluster/epochs.ts";
import type { Chance } from "./random.ts";
import type { Time } from "./time.ts";

type Row = { -readonly [Name in keyof Epoch]: Epoch[Name] } & { renewals: number };

/** Lives of gateways in one place, which now and then cannot be asked. */
export class Registry {
  readonly rows: Row[] = [];
  /** Whether nobody can ask it. */
  down = false;
  /** How often a question or an answer does not arrive. */
  loss = 0;

  constructor(private readonly time: Time, private readonly chance: Chance) {}

  /** As one gateway sees it. @param unreachable whether it cannot ask just now */
  from(unreachable: () => boolean): EpochRegistry {
    const call = <Answer>(signal: AbortSignal, run: () => Answer): Promise<Answer> =>
      new Promise((resolve, reject) => {
        const over = () => reject(new Error("the time is over"));
        if (signal.aborted) return over();
        signal.addEventListener("abort", over, { once: true });
        const lost = () => this.down || unreachable() || this.chance.happens(this.loss);
        // It fails at once, or nobody answers.
        if (lost()) {
          return void (this.chance.happens(0.5) && this.time.after(5, () => reject(new Error("no connection"))));
        }
        this.time.after(this.chance.between(0.5, 20), () => {
          // What is done is done, though its answer may never come.
          const answer = run();
          this.time.after(this.chance.between(0.5, 20), () => lost() || resolve(answer));
        });
      });
    return {
      begin: (node, addresses, signal, silent) => call(signal, () => this.#begin(node, addresses, silent)),
      list: (after, signal) =>
        call(signal, () => this.rows.filter(({ state, number }) => state === "open" || number > after).map(epochOf)),
      renew: (epoch, signal) =>
        call(signal, () => {
          const row = this.#open(epoch);
          if (row !== undefined) row.renewals++;
          return row !== undefined;
        }),
      end: (epoch, signal) =>
        call(signal, () => {
          const row = this.#open(epoch);
          if (row !== undefined) row.state = "clean";
        }),
      bury: (seen, signal) =>
        call(signal, () => {
          for (const [number, renewals] of seen) {
            const row = this.#open(number);
            if (row?.renewals === renewals) row.state = "lost";
          }
        }),
      renewals: (signal) =>
        call(
          signal,
          () =>
            new Map(
              this.rows.filter(({ state }) => state === "open").map(({ number, renewals }) => [number, renewals]),
            ),
        ),
    };
  }

  #open(epoch: number): Row | undefined {
    return this.rows.find(({ number, state }) => number === epoch && state === "open");
  }

  #begin(node: string, addresses: readonly string[], silent: number | undefined): Epoch {
    const last = this.rows.findLast((row) => row.node === node);
    const former = last?.state === "lost" && last.number !== silent ? last.number : undefined;
    for (const row of this.rows) if (row.node === node && row.state === "open") row.state = "lost";
    const row: Row = { number: this.rows.length + 1, node, state: "open", addresses, renewals: 0 };
    if (former !== undefined) row.former = former;
    this.rows.push(row);
    return epochOf(row);
  }
}

const epochOf = ({ renewals: _, ...epoch }: Row): Epoch => ({ ...epoch });
