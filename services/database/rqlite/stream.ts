import type { RowStream, SqlOutput } from "../../../src/contracts/database.ts";
import type { RequestContext } from "../../../src/contracts/request.ts";
import { type AnswerRows, type RqliteCluster, StatementFailed } from "../../rqlite/client.ts";
import type { SqlFault, StreamRequest } from "../driver.ts";
import { errorOf } from "../faults.ts";
import { faultIn } from "./outcomes.ts";
import { NOTICE_SCHEMA, rqliteStatement } from "./statements.ts";

/**
 * The rows of a statement as they come off the socket.
 * @param fault why it must not run
 * @throws GatewayError also for the statement's own faults, and while rows come
 */
export async function rowStream(
  cluster: RqliteCluster,
  { statement, timeout: dbTimeout, level, freshness }: StreamRequest,
  fault: SqlFault | undefined,
  { signal }: Pick<RequestContext, "signal">,
): Promise<RowStream> {
  if (fault) throw errorOf(fault);
  const before = statement.facts.wildcard ? [NOTICE_SCHEMA] : [];
  try {
    const answer = await cluster.stream(rqliteStatement(statement), before, { signal, dbTimeout, level, freshness });
    return { columns: answer.columns, types: answer.types, level, batches: batchesOf(answer) };
  } catch (error) {
    throw inWordsOfTheClient(error);
  }
}

async function* batchesOf({ batches }: AnswerRows): AsyncGenerator<readonly (readonly SqlOutput[])[]> {
  try {
    yield* batches;
  } catch (error) {
    throw inWordsOfTheClient(error);
  }
}

const inWordsOfTheClient = (error: unknown) =>
  error instanceof StatementFailed ? errorOf(faultIn(error.message)) : error;
