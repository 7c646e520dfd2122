import { sql } from "kysely";
import { GatewayError } from "../../src/contracts/errors.ts";
import type { Principal, Role } from "../../src/contracts/identity.ts";
import type { Member, Page, PageRequest } from "../../src/contracts/namespaces.ts";
import type { RequestContext } from "../../src/contracts/request.ts";
import type { ControlAuditLog } from "../control_plane/audit.ts";
import { ConstraintViolation, type ControlDatabase, type ControlQuery } from "../control_plane/control_database.ts";
import type { RevocationFeed } from "../control_plane/revocations.ts";
import { keyOf, pageOf } from "../control_plane/pages.ts";

/** What members need of the rest. */
export interface MembersParts {
  readonly control: ControlDatabase;
  readonly revocations: RevocationFeed;
  readonly audit: ControlAuditLog;
  readonly now: () => number;
  /** The one spelling of a wallet. @throws GatewayError `INVALID_REQUEST` */
  readonly canonical: (wallet: string) => string;
}

interface MemberRow {
  readonly wallet: string;
  readonly role: Role;
  readonly added_at: number;
  readonly added_by: string;
}

/** Whoever acts: a principal, or the command line on the node itself. */
type Actor = Pick<Principal, "subject" | "role">;

/** Who belongs to a namespace. A change of role or a removal ends the member's credentials at once. */
export class MemberRegistry {
  constructor(private readonly parts: MembersParts) {}

  async list(namespace: string, { limit, cursor }: PageRequest, { signal }: RequestContext): Promise<Page<Member>> {
    const { control } = this.parts;
    let query = control.db.selectFrom("members").selectAll().where("namespace", "=", namespace)
      .orderBy("added_at").orderBy("wallet").limit(limit + 1);
    if (cursor !== undefined) {
      const [addedAt, wallet] = keyOf<[number, string]>(cursor, ["number", "string"]);
      query = query.where(({ eb, refTuple, tuple }) => eb(refTuple("added_at", "wallet"), ">", tuple(addedAt, wallet)));
    }
    const { rows } = await control.run<MemberRow>(query, signal);
    return pageOf(rows, limit, memberOf, ({ added_at, wallet }) => [added_at, wallet]);
  }

  async set(namespace: string, wallet: string, role: Role, actor: Actor, context: RequestContext): Promise<Member> {
    const { control, now, audit } = this.parts;
    const canonical = this.parts.canonical(wallet);
    const before = await this.#find(namespace, canonical, context);
    assertMay(actor, [role, ...(before ? [before.role] : [])]);
    const member = {
      wallet: canonical,
      role,
      added_at: before?.added_at ?? now(),
      added_by: before?.added_by ?? actor.subject,
    };
    if (before?.role === role) return memberOf(member);
    const change = before
      ? control.db.updateTable("members").set({ role }).where("namespace", "=", namespace).where(
        "wallet",
        "=",
        canonical,
      )
      : control.db.insertInto("members").values({ namespace, ...member });
    const details = { role, ...(before && { before: before.role }) };
    const entry = audit.entry({
      namespace,
      actor: actor.subject,
      action: before ? "member.changed" : "member.added",
      resource: canonical,
      details,
    }, context);
    const queries = before ? [this.#mayLose(namespace, before), change, entry] : [change, entry];
    await this.#apply(queries, namespace, before, context);
    return memberOf(member);
  }

  async remove(namespace: string, wallet: string, actor: Actor, context: RequestContext): Promise<void> {
    const { control, audit } = this.parts;
    const canonical = this.parts.canonical(wallet);
    const before = await this.#find(namespace, canonical, context);
    if (!before) throw new GatewayError("NOT_FOUND", "this wallet is no member of the namespace");
    assertMay(actor, [before.role]);
    const change = control.db.deleteFrom("members").where("namespace", "=", namespace).where("wallet", "=", canonical);
    const entry = audit.entry({
      namespace,
      actor: actor.subject,
      action: "member.removed",
      resource: canonical,
      details: { before: before.role },
    }, context);
    await this.#apply([this.#mayLose(namespace, before), change, entry], namespace, before, context);
  }

  /** @param before the member whose credentials end with the change */
  async #apply(
    queries: readonly ControlQuery[],
    namespace: string,
    before: MemberRow | undefined,
    { signal }: RequestContext,
  ): Promise<void> {
    const { control, revocations, now } = this.parts;
    const endCredentials = before === undefined ? [] : [
      control.db.updateTable("sessions").set({ revoked_at: now() }).where("namespace", "=", namespace)
        .where("wallet", "=", before.wallet).where("revoked_at", "is", null),
      revocations.entry("member", `${namespace}/${before.wallet}`),
    ];
    try {
      await control.atomically([...queries, ...endCredentials], signal);
    } catch (error) {
      if (!(error instanceof ConstraintViolation)) throw error;
      const lastOwner = error.kind === "not_null" && before?.role === "owner";
      const sentence = lastOwner
        ? "a namespace keeps at least one owner; add another one first"
        : "this member, or the namespace, was changed meanwhile; look again";
      throw new GatewayError("CONFLICT", sentence, { cause: error });
    }
    await revocations.pull();
  }

  /**
   * Fails the whole transaction, on a constraint, if the wallet is the last owner, so that two owners cannot leave at once;
   * or if its role is another one by now, which the actor may not be entitled to change.
   */
  #mayLose(namespace: string, { wallet, role }: MemberRow): ControlQuery {
    return sql`UPDATE members SET role = CASE
        WHEN role = ${role} AND (role != 'owner' OR EXISTS (
          SELECT 1 FROM members o WHERE o.namespace = ${namespace} AND o.role = 'owner' AND o.wallet != ${wallet}
        )) THEN role END
      WHERE namespace = ${namespace} AND wallet = ${wallet}`.compile(this.parts.control.db);
  }

  async #find(namespace: string, wallet: string, { signal }: RequestContext): Promise<MemberRow | undefined> {
    const { control } = this.parts;
    const { rows } = await control.run<MemberRow>(
      control.db.selectFrom("members").selectAll().where("namespace", "=", namespace).where("wallet", "=", wallet),
      signal,
    );
    return rows[0];
  }
}

const memberOf = ({ wallet, role, added_at, added_by }: MemberRow): Member => ({
  wallet,
  role,
  addedAt: added_at,
  addedBy: added_by,
});

/** Only an owner makes, changes or removes owners; the rest is for admins too. */
function assertMay(actor: Actor, roles: readonly Role[]): void {
  if (roles.includes("owner") && actor.role !== "owner") {
    throw new GatewayError("FORBIDDEN", "only an owner may add, change or remove an owner");
  }
}
