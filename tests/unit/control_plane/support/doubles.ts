import type { ServiceHealth } from "../../../../src/contracts/health.ts";
import type {
  ControlDatabase,
  ControlQuery,
  ControlResult,
} from "../../../../services/control_plane/control_database.ts";

/** Called before a query runs: may wait, and may refuse by throwing. `sql` holds the statements, one a line. */
export type BeforeQuery = (sql: string) => void | Promise<void>;

/** Another client of a control database, whose way there a test watches and disturbs. */
export class WatchedControl implements ControlDatabase {
  /** The statements of each call that arrived. */
  readonly calls: string[] = [];
  before: BeforeQuery = () => {};
  /** Called after a query ran: by throwing it makes an answer get lost. */
  after: BeforeQuery = () => {};

  constructor(private readonly inner: ControlDatabase) {}

  get db(): ControlDatabase["db"] {
    return this.inner.db;
  }

  async run<Row = Record<string, unknown>>(query: ControlQuery, signal?: AbortSignal): Promise<ControlResult<Row>> {
    return await this.#through([query], () => this.inner.run<Row>(query, signal));
  }

  async atomically(queries: readonly ControlQuery[], signal?: AbortSignal): Promise<ControlResult[]> {
    return await this.#through(queries, () => this.inner.atomically(queries, signal));
  }

  health(signal: AbortSignal): Promise<ServiceHealth> {
    return this.inner.health(signal);
  }

  close(): Promise<void> {
    return this.inner.close();
  }

  async #through<T>(queries: readonly ControlQuery[], work: () => Promise<T>): Promise<T> {
    const sql = queries.map((query) => ("compile" in query ? query.compile() : query).sql).join("\n");
    await this.before(sql);
    this.calls.push(sql);
    const result = await work();
    await this.after(sql);
    return result;
  }
}
