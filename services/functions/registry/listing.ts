import { sql } from "kysely";
import type { FunctionPage } from "../../../src/contracts/functions.ts";
import type { ControlDatabase } from "../../control_plane/control_database.ts";
import { keyOf, pageOf } from "../../control_plane/pages.ts";
import { versionOf, type VersionRow } from "./state.ts";

/** As `Functions.list`. */
export async function listFunctions(
  control: ControlDatabase,
  namespace: string,
  { cursor, limit }: { readonly cursor?: string | undefined; readonly limit: number },
  signal: AbortSignal,
): Promise<FunctionPage> {
  const [after] = cursor === undefined ? [""] : keyOf<[string]>(cursor, ["string"]);
  const active = sql`EXISTS (SELECT 1 FROM namespaces n WHERE n.name = ${namespace} AND n.state = 'active')`;
  const { rows } = await control.run<VersionRow>(
    sql`SELECT v.*, f.id, f.serving, f.updated_at
      FROM functions f JOIN function_versions v
        ON v.namespace = f.namespace AND v.name = f.name AND v.version = f.serving
      WHERE f.namespace = ${namespace} AND f.serving IS NOT NULL AND f.name > ${after} AND ${active}
      ORDER BY f.name LIMIT ${limit + 1}`.compile(control.db),
    signal,
  );
  const { rows: [count] } = await control.run<{ total: number }>(
    sql`SELECT count(*) AS total FROM functions WHERE namespace = ${namespace} AND serving IS NOT NULL AND ${active}`
      .compile(control.db),
    signal,
  );
  const { items, next } = pageOf(rows, limit, versionOf, ({ name }) => [name]);
  return { functions: items, total: count!.total, cursor: next };
}
