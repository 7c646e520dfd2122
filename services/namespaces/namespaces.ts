import { LRUCache } from "lru-cache";
import { GatewayError } from "../../src/contracts/errors.ts";
import type { Principal, Role } from "../../src/contracts/identity.ts";
import {
  DEFAULT_NAMESPACE,
  NAMESPACE_PATTERN,
  type NamespaceView,
  type Page,
  type PageRequest,
} from "../../src/contracts/namespaces.ts";
import type { RequestContext } from "../../src/contracts/request.ts";
import type { AuditContext, ControlAuditLog } from "../control_plane/audit.ts";
import type { ControlDatabase } from "../control_plane/control_database.ts";
import type { RevocationFeed } from "../control_plane/revocations.ts";
import type { NamespaceTable } from "../control_plane/schema.ts";
import { findNamespace, makeNamespace, type Ownership, taken } from "./creation.ts";
import { keyOf, pageOf } from "../control_plane/pages.ts";

/** What the configuration says of namespaces. */
export interface NamespacePolicy {
  /** Whether any wallet is let into `default` as a member. For development, or where it was configured. */
  readonly sharedDefault: boolean;
  /** Namespaces that one wallet may own. */
  readonly maxPerWallet: number;
  /** Who may create namespaces: any wallet by naming one, or operators alone. */
  readonly creation: "wallet" | "operator";
  /**
   * Names of the databases that namespaces are given, one each; `undefined` where a database needs no more than a name
   * (a file of its own).
   */
  readonly databases: readonly string[] | undefined;
}

/** What namespaces need of the rest. */
export interface NamespaceParts {
  readonly control: ControlDatabase;
  readonly revocations: RevocationFeed;
  readonly audit: ControlAuditLog;
  readonly now: () => number;
  readonly rules: NamespacePolicy;
  /** Called when a namespace was marked for deletion. */
  readonly deletionWanted: () => void;
}

/** Namespaces: who owns them, where their SQL lives, and their beginning and end. */
export class NamespaceRegistry {
  readonly #databases = new LRUCache<string, string>({ max: 10_000 });

  constructor(private readonly parts: NamespaceParts) {
    parts.revocations.onRevoked(({ kind, id }) => {
      if (kind === "namespace") this.#databases.delete(id);
    });
  }

  /** The wallet's part in the namespace, which is made if it does not exist. See the contract for what is refused. */
  async admit(namespace: string, wallet: string, context: RequestContext): Promise<Role> {
    assertName(namespace);
    for (let attempt = 0; attempt < 3; attempt++) {
      const { row, role } = await this.#find(namespace, wallet, context.signal);
      if (row?.state === "deleting") throw new GatewayError("CONFLICT", "this namespace is being deleted");
      if (role) return role;
      if (row && namespace === DEFAULT_NAMESPACE && this.parts.rules.sharedDefault) {
        return await this.#join(namespace, wallet, context);
      }
      if (row) {
        throw new GatewayError("FORBIDDEN", "this namespace belongs to another wallet; ask its owner to add yours");
      }
      if (this.parts.rules.creation === "operator") {
        throw new GatewayError("FORBIDDEN", "namespaces are created by the operator of this gateway");
      }
      if (await this.#make(namespace, { owner: wallet }, context, context.signal)) return "owner";
    }
    throw new GatewayError("CONFLICT", "this namespace is being made and deleted elsewhere; try again");
  }

  /** Makes a namespace owned by the caller's wallet, or by the one that an operator names. @param owner canonical */
  async create(
    namespace: string,
    caller: Principal,
    context: RequestContext,
    owner?: string,
  ): Promise<NamespaceView> {
    assertName(namespace);
    const ownership = owner === undefined ? this.#own(caller) : forAnother(owner, caller);
    if (!await this.#make(namespace, ownership, context, context.signal)) throw taken();
    return await this.get(namespace, caller, context);
  }

  /** The same for the command line on the node. @param owner canonical */
  async createBySystem(namespace: string, owner: string, by: string, context: RequestContext): Promise<void> {
    assertName(namespace);
    if (!await this.#make(namespace, { owner, by }, context, context.signal)) throw taken();
  }

  /** Makes a namespace without a wallet behind it, if it does not exist: the gateway's own, for development. */
  async ensure(namespace: string, owner: string, context: AuditContext): Promise<void> {
    assertName(namespace);
    const { row } = await this.#find(namespace, owner, undefined);
    if (!row) await this.#make(namespace, { owner, by: owner }, context, undefined);
  }

  async list(
    { wallet, namespace, operator }: Principal,
    { limit, cursor }: PageRequest,
    { signal }: RequestContext,
  ): Promise<Page<NamespaceView>> {
    const { db } = this.parts.control;
    const all = db.selectFrom("namespaces as n")
      .leftJoin("members as m", (join) => join.onRef("m.namespace", "=", "n.name").on("m.wallet", "=", wallet ?? ""))
      .select(["n.name", "n.state", "n.created_at", "m.role"]).orderBy("n.name").limit(limit + 1);
    // Names that begin with a dot are the gateway's own.
    let query = operator
      ? all.where("n.name", "not like", ".%")
      : wallet === undefined
      ? all.where("n.name", "=", namespace)
      : all.where("m.wallet", "=", wallet);
    if (cursor !== undefined) query = query.where("n.name", ">", keyOf<[string]>(cursor, ["string"])[0]);
    const { rows } = await this.parts.control.run<ViewRow>(query, signal);
    return pageOf(rows, limit, viewOf, ({ name }) => [name]);
  }

  async get(namespace: string, caller: Principal, context: RequestContext): Promise<NamespaceView> {
    const { row, role } = await this.#find(namespace, caller.wallet ?? "", context.signal);
    if (!row) throw new GatewayError("NOT_FOUND", "no such namespace");
    return viewOf({ ...row, role: role ?? null });
  }

  /**
   * The name of the database that a namespace was given; remembered until the namespace goes.
   * @throws GatewayError `NOT_FOUND`
   */
  async databaseOf(namespace: string, request?: { readonly signal: AbortSignal }): Promise<string> {
    const known = this.#databases.get(namespace);
    if (known !== undefined) return known;
    const { revocations } = this.parts;
    const { seq } = revocations;
    const { row } = await this.#find(namespace, "", request?.signal);
    if (!row) throw new GatewayError("NOT_FOUND", "no such namespace");
    // Of one that is being deleted, or may have been since it was read, nothing is remembered: its name may come back with
    // another database.
    if (row.state === "active" && revocations.seq === seq) this.#databases.set(namespace, row.database_name);
    return row.database_name;
  }

  async delete(namespace: string, { subject }: Principal, context: RequestContext): Promise<void> {
    const { control, now, revocations, audit } = this.parts;
    const { db } = control;
    await control.atomically([
      db.updateTable("namespaces").set({ state: "deleting" }).where("name", "=", namespace),
      db.updateTable("api_keys").set({ revoked_at: now() }).where("namespace", "=", namespace).where(
        "revoked_at",
        "is",
        null,
      ),
      db.updateTable("sessions").set({ revoked_at: now() }).where("namespace", "=", namespace).where(
        "revoked_at",
        "is",
        null,
      ),
      revocations.entry("namespace", namespace),
      audit.entry({ namespace, actor: subject, action: "namespace.deletion_started", resource: namespace }, context),
    ], context.signal);
    await revocations.pull();
    this.parts.deletionWanted();
  }

  #own({ wallet }: Principal): Ownership {
    if (wallet === undefined) {
      throw new GatewayError(
        "FORBIDDEN",
        "only a wallet can own a namespace: sign in with one or, as an operator, name one in owner",
      );
    }
    if (this.parts.rules.creation === "operator") {
      throw new GatewayError("FORBIDDEN", "namespaces are created by the operator of this gateway");
    }
    return { owner: wallet };
  }

  #find(namespace: string, wallet: string, signal: AbortSignal | undefined) {
    return findNamespace(this.parts.control, namespace, wallet, signal);
  }

  #make(namespace: string, ownership: Ownership, context: AuditContext, signal: AbortSignal | undefined) {
    return makeNamespace(this.parts, namespace, ownership, context, signal);
  }

  async #join(namespace: string, wallet: string, context: RequestContext): Promise<Role> {
    const { control, audit, now } = this.parts;
    const role: Role = "member";
    await control.atomically([
      control.db.insertInto("members").values({ namespace, wallet, role, added_at: now(), added_by: wallet })
        .onConflict((conflict) => conflict.doNothing()),
      audit.entry({ namespace, actor: wallet, action: "member.joined", resource: wallet, details: { role } }, context),
    ], context.signal);
    return role;
  }
}

function forAnother(owner: string, { operator, subject }: Principal): Ownership {
  if (operator) return { owner, by: subject };
  throw new GatewayError("FORBIDDEN", "only an operator names the owner of a namespace; leave owner out to own it");
}

type ViewRow = Pick<NamespaceTable, "name" | "state" | "created_at"> & { readonly role: Role | null };

const viewOf = ({ name, state, created_at, role }: ViewRow): NamespaceView => ({
  name,
  state: state as NamespaceView["state"],
  createdAt: created_at,
  ...(role !== null && { role }),
});

function assertName(namespace: string): void {
  if (NAMESPACE_PATTERN.test(namespace)) return;
  throw new GatewayError(
    "INVALID_REQUEST",
    "namespace: 1 to 64 letters, digits, - and _, beginning with a letter or digit",
    { details: [{ field: "namespace", problem: "not a namespace name" }] },
  );
}
