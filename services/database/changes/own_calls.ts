import type { SqlOutput } from "../../../src/contracts/database.ts";
import type { RequestContext } from "../../../src/contracts/request.ts";
import type { DriverRequest, GatedStatement, SqlDriver, SqlFault } from "../driver.ts";
import { errorOf } from "../faults.ts";

/** Whoever waits for an answer. */
export type Waiter = Pick<RequestContext, "signal">;
/** Rows of one statement. */
export type Rows = readonly (readonly SqlOutput[])[];

const BOUNDS: Omit<DriverRequest, "namespace" | "mode" | "statements"> = {
  timeout: 10_000,
  level: "weak",
  ceiling: { rows: 100_000, bytes: 64 * 2 ** 20 },
  // A full database must still be able to forget.
  maxDatabaseBytes: 0,
};

/** Runs statements of the gateway's own on the namespaces' databases. */
export class OwnCalls {
  constructor(private readonly driver: Pick<SqlDriver, "run">) {}

  /**
   * @returns the rows of each statement; `undefined` where the namespace has never had a feed
   * @throws GatewayError as a driver, and for other faults
   */
  async read(namespace: string, statements: readonly GatedStatement[], waiter: Waiter): Promise<Rows[] | undefined> {
    const reply = await this.driver.run({ namespace, mode: "read", statements, ...BOUNDS }, waiter);
    if (reply.kind === "rolled_back") throw errorOf(reply.fault);
    const rows: Rows[] = [];
    for (const outcome of reply.outcomes) {
      if (outcome.ok) rows.push(outcome.result.rows?.rows ?? []);
      else if (outcome.fault.message.startsWith("no such table: _orama_")) return undefined;
      else throw errorOf(outcome.fault);
    }
    return rows;
  }

  /** All of them or none. @returns why it was none @throws GatewayError as a driver */
  async write(namespace: string, statements: readonly GatedStatement[], waiter: Waiter): Promise<SqlFault | undefined> {
    const reply = await this.driver.run({ namespace, mode: "atomic", statements, ...BOUNDS }, waiter);
    return reply.kind === "rolled_back" ? reply.fault : undefined;
  }
}
