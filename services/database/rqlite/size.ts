import type { GatedStatement, SqlFault } from "../driver.ts";

/** Milliseconds between two looks while there are writes, and while they are refused. */
const LOOK_EVERY = 5_000, LOOK_AGAIN = 1_000;

const FULL: SqlFault = {
  kind: "quota",
  message: "the database is as large as it may be: delete rows or drop tables, or ask the operator for more",
};

/**
 * Keeps a database within its bound. How large it is is asked every few seconds, so it can grow beyond by what is written
 * meanwhile; rqlite has no bound of its own that could be set without touching every namespace's writes.
 */
export class SizeWatch {
  #bytes: number | undefined;
  #askedAt = -Infinity;
  #asking: Promise<void> | undefined;

  /** @param ask bytes that are in use */
  constructor(
    private readonly ask: () => Promise<number>,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Why these may not run, if they may not: the first that makes the database larger. */
  async refuses(
    statements: readonly GatedStatement[],
    most: number,
  ): Promise<{ readonly step: number; readonly fault: SqlFault } | undefined> {
    const step = statements.findIndex((statement) => statement.own !== true && grows(statement));
    if (step < 0) return undefined;
    const over = this.#bytes !== undefined && this.#bytes >= most;
    const due = this.now() - this.#askedAt > (over ? LOOK_AGAIN : LOOK_EVERY);
    if (due) this.#asking ??= this.#look().finally(() => this.#asking = undefined);
    // Nobody waits for a look that is only due: what was seen last holds meanwhile.
    if (this.#asking && (this.#bytes === undefined || over)) await this.#asking;
    return this.#bytes !== undefined && this.#bytes >= most ? { step, fault: FULL } : undefined;
  }

  async #look(): Promise<void> {
    try {
      this.#bytes = await this.ask();
    } catch {
      // A database that cannot be asked cannot be written either.
    }
    this.#askedAt = this.now();
  }
}

/** UPDATE may, and that it does not nobody can tell from its text. */
const grows = ({ facts: { access, verb } }: GatedStatement) =>
  access !== "read" && verb !== "DELETE" && verb !== "DROP" && verb !== "ANALYZE" && verb !== "REINDEX";
