import type { ReadLevel, ReadOptions, RowStream, SqlOutput } from "../../src/contracts/database.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import type { RequestContext } from "../../src/contracts/request.ts";
import type { SqlRules } from "../../src/contracts/settings.ts";
import type { DriverReply, DriverRequest, GatedStatement, SqlDriver } from "./driver.ts";
import { InFlight } from "./in_flight.ts";

/** What holds where nobody has said anything. */
export const DEFAULT_RULES: SqlRules = {
  level: undefined,
  freshness: undefined,
  timeout: 10_000,
  maxTimeout: 30_000,
  maxDatabaseBytes: 0,
  maxRows: 100_000,
  maxAnswerBytes: 16 * 2 ** 20,
  maxInFlight: 256,
  maxBulkRows: 1_000_000,
  retainedChanges: 100_000,
  changeRetention: 24 * 60 * 60 * 1_000,
};

/** What the runner is told beside its driver. */
export interface RunnerOptions {
  /** What holds in a namespace. Default {@link DEFAULT_RULES}. */
  readonly rulesOf?: (namespace: string, request: Pick<RequestContext, "signal">) => SqlRules | Promise<SqlRules>;
  /** What reads see where neither the request nor the namespace says anything. Default `weak`. */
  readonly level?: ReadLevel;
}

/** What is to be run; the namespace's rules say the rest. */
export type Asked = Pick<DriverRequest, "namespace" | "mode" | "statements">;

/** What came of it, and the level at which it read. */
export interface Ran {
  readonly reply: DriverReply;
  readonly level: ReadLevel;
}

/** Runs gated statements on a driver within the bounds of their namespace, one of which is how much runs at once. */
export class Runner {
  readonly #driver: SqlDriver;
  readonly #rulesOf: NonNullable<RunnerOptions["rulesOf"]>;
  readonly #level: ReadLevel;
  readonly #inFlight = new InFlight("statements");

  constructor(driver: SqlDriver, { rulesOf = () => DEFAULT_RULES, level = "weak" }: RunnerOptions) {
    this.#driver = driver;
    this.#rulesOf = rulesOf;
    this.#level = level;
  }

  /** @throws GatewayError `INVALID_REQUEST` for a timeout beyond the ceiling, `TOO_MANY_STATEMENTS`, and as the driver */
  async run(asked: Asked, request: RequestContext, options: ReadOptions): Promise<Ran> {
    const { namespace } = asked;
    const ruling = this.#rulesOf(namespace, request);
    const rules = ruling instanceof Promise ? await ruling : ruling;
    const bounds = boundsOf(rules, options, this.#level);
    this.#inFlight.begin(namespace, rules.maxInFlight);
    try {
      const ceiling = { rows: rules.maxRows, bytes: rules.maxAnswerBytes };
      const { maxDatabaseBytes } = rules;
      const reply = await this.#driver.run({ ...asked, ...bounds, ceiling, maxDatabaseBytes }, request);
      return { reply, level: bounds.level };
    } finally {
      this.#inFlight.end(namespace);
    }
  }

  /** The rows of one statement that reads, as they come; it runs until their iteration ends. @throws GatewayError as {@link run} */
  async stream(
    namespace: string,
    statement: GatedStatement,
    request: RequestContext,
    options: ReadOptions,
  ): Promise<RowStream> {
    const rules = await this.#rulesOf(namespace, request);
    const bounds = boundsOf(rules, options, this.#level);
    this.#inFlight.begin(namespace, rules.maxInFlight);
    const over = () => this.#inFlight.end(namespace);
    try {
      const rows = await this.#driver.stream({ namespace, statement, ...bounds }, request);
      return { ...rows, batches: new Counted(rows.batches[Symbol.asyncIterator](), over) };
    } catch (error) {
      over();
      throw error;
    }
  }
}

type Batch = readonly (readonly SqlOutput[])[];

/** Batches of rows, and who hears that there are no more: once, whether they were begun or not. */
class Counted implements AsyncIterableIterator<Batch> {
  #isOver = false;

  constructor(private readonly batches: AsyncIterator<Batch>, private readonly over: () => void) {}

  async next(): Promise<IteratorResult<Batch>> {
    try {
      const next = await this.batches.next();
      if (next.done) this.#end();
      return next;
    } catch (error) {
      this.#end();
      throw error;
    }
  }

  async return(): Promise<IteratorResult<Batch>> {
    try {
      await this.batches.return?.();
      return { done: true, value: undefined };
    } finally {
      this.#end();
    }
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #end(): void {
    if (!this.#isOver) this.over();
    this.#isOver = true;
  }
}

function boundsOf(rules: SqlRules, options: ReadOptions, fallback: ReadLevel) {
  const { timeout = rules.timeout } = options;
  if (timeout > rules.maxTimeout) {
    const problem = `must be at most ${rules.maxTimeout} milliseconds, the ceiling of this namespace`;
    throw new GatewayError("INVALID_REQUEST", `timeout: ${problem}`, { details: [{ field: "timeout", problem }] });
  }
  const level = options.level ?? rules.level ?? fallback;
  // The namespace's own freshness belongs to the namespace's own level: who asks for `none` says how old it may be.
  const freshness = options.freshness ?? (options.level === undefined ? rules.freshness : undefined);
  return { timeout, level, freshness };
}
