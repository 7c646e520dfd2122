import { sql } from "kysely";
import { hasCode } from "../../../src/contracts/errors.ts";
import type { FunctionAbi, FunctionAlias, FunctionVersion } from "../../../src/contracts/functions.ts";
import type { ControlDatabase } from "../../control_plane/control_database.ts";
import type { FunctionTable, FunctionVersionTable } from "../../control_plane/function_tables.ts";
import { notFound } from "./failures.ts";
import { referenceOf } from "./names.ts";

/** A version with what nobody outside needs to know. */
export interface KeptVersion {
  readonly shown: FunctionVersion;
  /** What the storage calls its module. */
  readonly storedCid: string;
  /** Which deployment made it. */
  readonly deployment: string;
}

/** A function as it was at one moment. */
export interface FunctionState {
  readonly id: string;
  readonly lastVersion: number;
  readonly serving: number;
  readonly revision: number;
  /** Newest first. */
  readonly versions: readonly KeptVersion[];
  /** By name. */
  readonly aliases: readonly FunctionAlias[];
  /** References that triggers have. */
  readonly triggered: readonly string[];
}

/** What is at a name of a namespace. */
export interface Seen {
  /** When the namespace was made; tells it from another one of its name. `undefined`: there is none that is active. */
  readonly namespaceMade: number | undefined;
  /** Functions that the namespace has. */
  readonly live: number;
  /** Names that they have, or functions that were deleted had. */
  readonly names: number;
  /** `undefined` where there is none. */
  readonly function: FunctionState | undefined;
  /** Of a function that was deleted: what goes on where another takes its name. */
  readonly former: Pick<FunctionState, "revision" | "lastVersion"> | undefined;
}

type Row =
  & Partial<Nullable<Omit<FunctionVersionTable, "namespace" | "name">>>
  & Partial<Nullable<Pick<FunctionTable, "id" | "last_version" | "serving" | "revision" | "updated_at">>>
  & {
    readonly state: string;
    readonly made: number;
    readonly live: number;
    readonly names: number;
    /** On the first row alone, as `triggered`. */
    readonly aliases: string | null;
    readonly triggered: string | null;
  };
type Nullable<T> = { readonly [Key in keyof T]: T[Key] | null };

const NOTHING: Seen = { namespaceMade: undefined, live: 0, names: 0, function: undefined, former: undefined };

/** Reads what is at a name, at one moment. @throws GatewayError `UNAVAILABLE` */
export async function readState(
  control: ControlDatabase,
  namespace: string,
  name: string,
  signal: AbortSignal,
): Promise<Seen> {
  const at = sql`namespace = ${namespace} AND name = ${name}`;
  // One statement, because nothing may change between the function, its versions and its aliases. What is the same for all rows names
  // none of them, so that it is found out once, and stands on the first one alone.
  const isFirst = sql`v.version IS (SELECT max(version) FROM function_versions WHERE ${at})`;
  const { rows } = await control.run<Row>(
    sql`SELECT n.state, n.created_at AS made, f.id, f.last_version, f.serving, f.revision, f.updated_at,
        v.version, v.deployment, v.wasm_cid, v.stored_cid, v.size, v.abi, v.entry, v.memory_limit, v.timeout, v.is_public,
        v.retry_count, v.retry_delay, v.dlq_topic, v.concurrency, v.env, v.created_at, v.created_by,
        (SELECT count(serving) FROM functions WHERE namespace = ${namespace}) AS live,
        (SELECT count(*) FROM functions WHERE namespace = ${namespace}) AS names,
        CASE WHEN ${isFirst} THEN (
          SELECT json_group_array(json_object('name', alias, 'targets', json(targets), 'updatedAt', updated_at))
          FROM function_aliases WHERE ${at}) END AS aliases,
        CASE WHEN ${isFirst} THEN (
          SELECT json_group_array(reference) FROM function_triggers
          WHERE function_id = (SELECT id FROM functions WHERE ${at}) AND reference IS NOT NULL) END AS triggered
      FROM namespaces n
        LEFT JOIN functions f ON f.namespace = n.name AND f.name = ${name}
        LEFT JOIN function_versions v ON v.namespace = f.namespace AND v.name = f.name
      WHERE n.name = ${namespace} ORDER BY v.version DESC`.compile(control.db),
    signal,
  );
  const [first] = rows;
  if (first?.state !== "active") return NOTHING;
  const { made: namespaceMade, live, names } = first;
  const seen = { namespaceMade, live, names, function: undefined, former: undefined };
  if (typeof first.id !== "string") return seen;
  const { id, last_version, serving, revision } = first as unknown as FunctionTable;
  if (serving === null) return { ...seen, former: { revision, lastVersion: last_version } };
  return {
    ...seen,
    function: {
      id,
      lastVersion: last_version,
      serving,
      revision,
      versions: rows.map((row) => keptOf({ ...(row as unknown as VersionRow), namespace, name })),
      aliases: (JSON.parse(first.aliases!) as FunctionAlias[]).toSorted((a, b) => a.name < b.name ? -1 : 1),
      triggered: JSON.parse(first.triggered!) as string[],
    },
  };
}

/** A version, with what its function says of it. */
export type VersionRow = FunctionVersionTable & Pick<FunctionTable, "id" | "serving" | "updated_at">;

const keptOf = (row: VersionRow): KeptVersion => ({
  shown: versionOf(row),
  storedCid: row.stored_cid,
  deployment: row.deployment,
});

/** A version as it is shown. */
export const versionOf = (row: VersionRow): FunctionVersion => ({
  id: row.id,
  namespace: row.namespace,
  name: row.name,
  version: row.version,
  wasmCid: row.wasm_cid,
  size: row.size,
  abi: row.abi as FunctionAbi,
  entry: row.entry,
  memoryLimit: row.memory_limit,
  timeout: row.timeout,
  isPublic: row.is_public === 1,
  retryCount: row.retry_count,
  retryDelay: row.retry_delay,
  dlqTopic: row.dlq_topic ?? undefined,
  concurrency: row.concurrency ?? undefined,
  env: JSON.parse(row.env),
  createdAt: row.created_at,
  createdBy: row.created_by,
  updatedAt: row.updated_at,
  serving: row.version === row.serving,
});

/**
 * The version that a reference means.
 * @param pick from 0 up to 1; by default an alias is the version with the greatest weight, of several such the newest
 * @throws GatewayError `NOT_FOUND`
 */
export function versionAt(
  state: FunctionState | undefined,
  reference: string | undefined,
  pick?: () => number,
): KeptVersion {
  if (state === undefined) throw notFound("function");
  const wanted = referenceOf(reference);
  if (wanted.kind !== "alias") {
    return versionNumbered(state, wanted.kind === "serving" ? state.serving : wanted.version);
  }
  const alias = state.aliases.find(({ name }) => name === wanted.alias);
  if (alias === undefined) throw notFound("function version");
  return versionNumbered(state, pick === undefined ? heaviest(alias) : drawn(alias, pick()));
}

/** A version by its number. @throws GatewayError `NOT_FOUND` */
export function versionNumbered(state: FunctionState, version: number): KeptVersion {
  const found = state.versions.find(({ shown }) => shown.version === version);
  if (found === undefined) throw notFound("function version");
  return found;
}

const heaviest = ({ targets }: FunctionAlias): number =>
  targets.toSorted((a, b) => b.weight - a.weight || b.version - a.version)[0]!.version;

function drawn({ targets }: FunctionAlias, at: number): number {
  let left = at * 100;
  for (const { version, weight } of targets) {
    left -= weight;
    if (left < 0) return version;
  }
  return targets.at(-1)!.version;
}

/** Whether a failure says that the thing is not there. */
export const isNotFound = (error: unknown): boolean => hasCode(error, "NOT_FOUND");
