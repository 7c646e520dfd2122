import type { SqlOutput, Statement } from "../../../src/contracts/database.ts";
import type { ReadLevel, RqliteCluster } from "../../rqlite/client.ts";
import type { Judge } from "./judge.ts";
import { Mirror } from "./mirror.ts";
import type { Schema } from "./mirror_source.ts";
import { SizeWatch } from "./size.ts";
import { sharedText } from "./statements.ts";

const VERSION = { sql: "SELECT schema_version FROM pragma_schema_version", args: [] };
const SCHEMA = { sql: "SELECT type, name, sql FROM sqlite_schema ORDER BY rowid", args: [] };
const SIZE = {
  sql: `SELECT (page_count - freelist_count) * page_size
FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size()`,
  args: [],
};

/** Where a namespace's statements run, and what is known there. */
export interface Place {
  readonly cluster: RqliteCluster;
  readonly size: SizeWatch;
  /** `undefined` where nobody judges. */
  readonly mirror: Mirror | undefined;
}

/** The place of a namespace on the cluster that it has claimed. */
export function placeOf(namespace: string, cluster: RqliteCluster, judge: Judge | undefined): Place {
  const mirror = judge && new Mirror(`${namespace} ${cluster.name}`, judge, {
    schema: () => schemaOf(cluster),
    version: () => oneNumber(cluster, VERSION),
    shared: sharedText,
  });
  if (mirror) cluster.watchSchema({ due: () => mirror.wantsVersion, seen: (version) => mirror.sawVersion(version) });
  return { cluster, size: new SizeWatch(() => oneNumber(cluster, SIZE)), mirror };
}

/** The version is asked first: a change in between is then found by the next look. */
async function schemaOf(cluster: RqliteCluster): Promise<Schema> {
  const [version, objects] = await rowsOf(cluster, [VERSION, SCHEMA], "weak");
  return {
    version: Number(version![0]?.[0]),
    objects: objects!.map(([type, name, sql]) => ({
      type: String(type),
      name: String(name),
      sql: sql === null ? null : String(sql),
    })),
  };
}

async function oneNumber(cluster: RqliteCluster, statement: Statement): Promise<number> {
  return Number((await rowsOf(cluster, [statement], "weak"))[0]![0]?.[0]);
}

/** The rows of queries of the driver's own. @throws Error when one of them has none to give */
export async function rowsOf(
  cluster: RqliteCluster,
  statements: readonly Statement[],
  level: ReadLevel,
  signal?: AbortSignal,
): Promise<(readonly (readonly (SqlOutput | undefined)[])[])[]> {
  const results = await cluster.query(statements, { level, signal });
  return results.map((result, at) => {
    if (result.kind === "rows") return result.rows;
    throw new Error(`rqlite gave for "${statements[at]!.sql}": ${result.kind === "error" ? result.error : "no rows"}`);
  });
}
