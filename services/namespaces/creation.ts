import { type RawBuilder, sql } from "kysely";
import { GatewayError } from "../../src/contracts/errors.ts";
import type { Role } from "../../src/contracts/identity.ts";
import type { AuditContext, ControlAuditLog } from "../control_plane/audit.ts";
import { ConstraintViolation, type ControlDatabase } from "../control_plane/control_database.ts";
import type { NamespaceTable } from "../control_plane/schema.ts";

/** What making a namespace needs of the rest. */
export interface CreationParts {
  readonly control: ControlDatabase;
  readonly audit: ControlAuditLog;
  readonly now: () => number;
  readonly rules: {
    /** Namespaces that one wallet may own. */
    readonly maxPerWallet: number;
    /**
     * Names of the databases that namespaces are given, one each; `undefined` where a database needs no more than a name
     * (a file of its own).
     */
    readonly databases: readonly string[] | undefined;
  };
}

/** Whose a new namespace is. */
export interface Ownership {
  readonly owner: string;
  /** Who makes it in the owner's place, and is not bound by how many the owner may make; absent: the owner itself. */
  readonly by?: string;
}

/** A namespace and the part that one wallet plays in it. */
export async function findNamespace(
  control: ControlDatabase,
  namespace: string,
  wallet: string,
  signal: AbortSignal | undefined,
): Promise<{ readonly row: NamespaceTable | undefined; readonly role: Role | undefined }> {
  const { rows: [row] } = await control.run<NamespaceTable & { role: Role | null }>(
    control.db.selectFrom("namespaces as n")
      .leftJoin("members as m", (join) => join.onRef("m.namespace", "=", "n.name").on("m.wallet", "=", wallet))
      .selectAll("n").select("m.role").where("n.name", "=", namespace),
    signal,
  );
  return { row, role: row?.role ?? undefined };
}

/**
 * Makes a namespace with its owner.
 * @returns whether it was made; false when somebody was faster
 * @throws GatewayError `CONFLICT`, `FORBIDDEN` for one too many, `NO_CAPACITY`
 */
export async function makeNamespace(
  { control, audit, now, rules }: CreationParts,
  namespace: string,
  ownership: Ownership,
  context: AuditContext,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const { owner, by = owner } = ownership;
  const at = now();
  const exists = async () => (await findNamespace(control, namespace, owner, signal)).row !== undefined;
  const details = by === owner ? {} : { owner };
  try {
    await control.atomically([
      insertion(namespace, ownership, at, rules).compile(control.db),
      control.db.insertInto("members").values({ namespace, wallet: owner, role: "owner", added_at: at, added_by: by }),
      audit.entry({ namespace, actor: by, action: "namespace.created", resource: namespace, details }, context),
    ], signal);
    return true;
  } catch (error) {
    if (!(error instanceof ConstraintViolation)) throw error;
    const ofDatabase = error.subject.includes("database_name");
    if (error.kind === "not_null") {
      // SQLite looks for what is missing before it looks for doubles: a name that exists is no lack of room.
      if (await exists()) return false;
      throw ofDatabase ? noCapacity(error) : tooMany(rules.maxPerWallet);
    }
    // Another name in other letters, the same name made meanwhile, or a database that was just taken.
    if (ofDatabase && rules.databases) return false;
    if (await exists()) return false;
    throw taken();
  }
}

/** Fails on a constraint where no database is free or the owner has enough: then nothing of the transaction happens. */
function insertion(
  namespace: string,
  { owner, by }: Ownership,
  at: number,
  { databases, maxPerWallet }: CreationParts["rules"],
): RawBuilder<unknown> {
  // A namespace's file is named in lower case, because some file systems cannot tell `A` from `a`.
  const database: RawBuilder<string> = databases === undefined
    ? sql`${namespace.toLowerCase()}`
    : sql`(SELECT value FROM json_each(${JSON.stringify(databases)})
           WHERE value NOT IN (SELECT database_name FROM namespaces) ORDER BY key LIMIT 1)`;
  const creator: RawBuilder<string | null> = by === undefined
    ? sql`CASE WHEN (
        SELECT count(*) FROM members WHERE wallet = ${owner} AND role = 'owner'
      ) < ${maxPerWallet} THEN ${owner} END`
    : sql`${by}`;
  return sql`INSERT INTO namespaces (name, database_name, state, created_at, created_by)
    VALUES (${namespace}, ${database}, 'active', ${at}, ${creator})`;
}

/** The name is not free. */
export const taken = (): GatewayError =>
  new GatewayError("CONFLICT", "this namespace exists, perhaps in other letters");

const tooMany = (limit: number) =>
  new GatewayError("FORBIDDEN", `this wallet owns ${limit} namespaces, which is the limit`);

const noCapacity = (cause: unknown) =>
  new GatewayError("NO_CAPACITY", "no database is free for another namespace; nothing was created", {
    cause,
    retryAfter: 60,
  });
