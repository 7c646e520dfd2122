import { TestGateway } from "../../support/gateway.ts";
import { SqlCaller } from "../../support/sql.ts";
import type { TestDatabase } from "../../support/test_database.ts";

/** A gateway on RQLite whose statements have so many milliseconds, whoever asks for more. */
export const timedGateway = (database: TestDatabase, milliseconds: number): Promise<TestGateway> =>
  TestGateway.start({
    driver: "rqlite",
    database,
    config: {
      database: { statement_timeout: `${milliseconds}ms` },
      limits: { sql: { statement_timeout: `${milliseconds}ms` } },
    },
  });

/** Calls SQL in a namespace that is made for it. */
export async function sqlIn(gateway: TestGateway, namespace: string): Promise<SqlCaller> {
  const { key } = await gateway.makeKey("--namespace", namespace, "--create-namespace");
  return new SqlCaller(gateway, { key });
}
