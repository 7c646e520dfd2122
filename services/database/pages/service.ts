import type {
  ClientStatement,
  PageResult,
  ReadOptions,
  ReadResult,
  SelectSpec,
  SqlOutput,
} from "../../../src/contracts/database.ts";
import type { RequestContext } from "../../../src/contracts/request.ts";
import { own } from "../own.ts";
import { resultOf } from "../results.ts";
import type { Runner } from "../runner.ts";
import { buildSelect } from "../select_builder.ts";
import { conditionsBehind, keyColumns, keyValues } from "./conditions.ts";
import { orderName, readCursor, writeCursor } from "./cursor.ts";
import { identity, keyOrder, noIdentity, orderKeys, type PagedTable, pagedTables, uniqueKeys } from "./keys.ts";

/** Runs one statement that reads, behind the gate. */
type Query = (statement: ClientStatement) => Promise<ReadResult>;

/** What asks for a page. */
export interface PageCall {
  readonly namespace: string;
  readonly request: RequestContext;
  readonly options: ReadOptions;
}

/** Pages by the values of the last row (keyset paging), in an order that is made unique. */
export class Pages {
  readonly #runner: Pick<Runner, "run">;

  constructor(runner: Pick<Runner, "run">) {
    this.#runner = runner;
  }

  /**
   * The rows behind `after`.
   * @param after empty for the first page
   * @throws GatewayError `INVALID_REQUEST` for what cannot be paged, and for a cursor that is none; and as `query`
   */
  async read(spec: SelectSpec, after: string, call: PageCall, query: Query): Promise<PageResult> {
    const order = orderKeys(spec);
    const keys = uniqueKeys(order, await this.#identities(spec, call, query));
    const name = orderName([spec.table, spec.alias, spec.joins, keys]);
    const conditions = after === "" ? [undefined] : conditionsBehind(keys, readCursor(after, name, keys.length));
    const columns = keyColumns(keys), orders = keys.map(keyOrder);
    const limit = spec.limit ?? 0;
    const rows: (readonly SqlOutput[])[] = [];
    let first: ReadResult | undefined;
    for (const condition of conditions) {
      const result = await query(
        buildSelect({ ...spec, limit: limit - rows.length }, { columns, condition, orders }),
      );
      // Types of expressions are told by the first row there is.
      if (first === undefined || rows.length === 0) first = result;
      rows.push(...result.rows);
      if (rows.length >= limit) break;
    }
    const last = rows.at(-1), { length } = columns;
    return {
      columns: first?.columns.slice(0, -length) ?? [],
      types: first?.types.slice(0, -length) ?? [],
      rows: rows.map((row) => row.slice(0, -length)),
      level: first?.level ?? "weak",
      next: last === undefined || rows.length < limit ? null : writeCursor(name, keyValues(last.slice(-length))),
    };
  }

  /** What tells the rows of all tables apart, read from the schema. */
  async #identities(spec: SelectSpec, { namespace, request, options }: PageCall, query: Query): Promise<string[]> {
    const tables = pagedTables(spec);
    const statements = tables.flatMap(({ name }) => questions(name));
    const { reply } = await this.#runner.run({ namespace, mode: "read", statements }, request, options);
    const answers = reply.kind === "done" ? reply.outcomes.map((outcome) => resultOf(outcome).rows?.rows ?? []) : [];
    const found = tables.map((table, at) => identityOf(table, answers[2 * at] ?? [], answers[2 * at + 1] ?? []));
    if (found.every((one) => one !== undefined)) return found.flat();
    // What is no table at all, or may not be read, is told as for any other statement.
    await query(buildSelect({ ...spec, limit: 1 }));
    throw noIdentity(tables[found.indexOf(undefined)]!.field);
  }
}

type Rows = readonly (readonly SqlOutput[])[];

const questions = (table: string) => [
  own("SELECT type, wr FROM pragma_table_list WHERE schema = 'main' AND name = ? COLLATE NOCASE", table),
  own("SELECT name, pk FROM pragma_table_xinfo(?)", table),
];

function identityOf(table: PagedTable, [listed]: Rows, columns: Rows): string[] | undefined {
  if (listed === undefined || listed[0] === "view") return undefined;
  const named = columns.map(([name, pk]) => ({ name: String(name), pk: Number(pk) }));
  return identity(table, named, listed[1] !== 1);
}
