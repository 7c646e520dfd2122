import { sql } from "kysely";
import type { FunctionVersion } from "../../../src/contracts/functions.ts";
import type { ControlDatabase, ControlQuery } from "../../control_plane/control_database.ts";

/** A version that is to be. */
export interface NewVersion extends FunctionVersion {
  readonly storedCid: string;
  readonly deployment: string;
}

/**
 * The query that records a version.
 * @param reused whether another version of the namespace has its content: where none has it any more, this fails on a constraint of
 *   `function_versions.stored_cid`, because that content is let go
 */
export function insertion(
  { db }: ControlDatabase,
  version: Omit<NewVersion, "serving" | "updatedAt">,
  reused: boolean,
): ControlQuery {
  const { namespace, storedCid } = version;
  const content = reused
    ? sql<string>`CASE WHEN EXISTS (
        SELECT 1 FROM function_versions o WHERE o.namespace = ${namespace} AND o.stored_cid = ${storedCid}
      ) THEN ${storedCid} END`
    : sql<string>`${storedCid}`;
  return db.insertInto("function_versions").values({
    namespace,
    name: version.name,
    version: version.version,
    deployment: version.deployment,
    wasm_cid: version.wasmCid,
    stored_cid: content,
    size: version.size,
    abi: version.abi,
    entry: version.entry,
    memory_limit: version.memoryLimit,
    timeout: version.timeout,
    is_public: version.isPublic ? 1 : 0,
    retry_count: version.retryCount,
    retry_delay: version.retryDelay,
    dlq_topic: version.dlqTopic ?? null,
    concurrency: version.concurrency ?? null,
    env: JSON.stringify(version.env),
    created_at: version.createdAt,
    created_by: version.createdBy,
  });
}

/** The query that removes versions of a function. @param numbers default: all */
export function removal(
  { db }: ControlDatabase,
  { namespace, name }: { readonly namespace: string; readonly name: string },
  numbers?: readonly number[],
): ControlQuery {
  const all = db.deleteFrom("function_versions").where("namespace", "=", namespace).where("name", "=", name);
  if (numbers === undefined) return all;
  return all.where(sql<boolean>`version IN (SELECT value FROM json_each(${JSON.stringify(numbers)}))`);
}

/** What the storage calls a module of a namespace that is kept already. */
export async function storedAs(
  control: ControlDatabase,
  namespace: string,
  wasmCid: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { rows: [row] } = await control.run<{ stored_cid: string }>(
    control.db.selectFrom("function_versions").select("stored_cid").where("namespace", "=", namespace)
      .where("wasm_cid", "=", wasmCid).orderBy("created_at", "desc").limit(1),
    signal,
  );
  return row?.stored_cid;
}

/** Where the module of a version is. @returns `undefined` where that version is not kept any more */
export async function moduleAt(
  control: ControlDatabase,
  { id, namespace, name, version }: Pick<FunctionVersion, "id" | "namespace" | "name" | "version">,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { rows: [row] } = await control.run<{ stored_cid: string }>(
    control.db.selectFrom("function_versions as v")
      .innerJoin(
        "functions as f",
        (join) => join.onRef("f.namespace", "=", "v.namespace").onRef("f.name", "=", "v.name"),
      )
      .select("v.stored_cid").where("v.namespace", "=", namespace).where("v.name", "=", name)
      .where("v.version", "=", version).where("f.id", "=", id),
    signal,
  );
  return row?.stored_cid;
}

/** Which of these contents no version of any namespace names. */
export async function unreferenced(
  control: ControlDatabase,
  storedCids: readonly string[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  if (storedCids.length === 0) return [];
  const { rows } = await control.run<{ cid: string }>(
    sql`SELECT DISTINCT c.value AS cid FROM json_each(${JSON.stringify(storedCids)}) AS c
      WHERE NOT EXISTS (SELECT 1 FROM function_versions v WHERE v.stored_cid = c.value)`.compile(control.db),
    signal,
  );
  return rows.map(({ cid }) => cid);
}
