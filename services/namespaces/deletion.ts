import { sql } from "kysely";
import type { NamespacedService } from "../../src/contracts/health.ts";
import type { ControlAuditLog } from "../control_plane/audit.ts";
import { SYSTEM_CONTEXT } from "../control_plane/audit.ts";
import type { ControlDatabase, ControlQuery } from "../control_plane/control_database.ts";

/** What deletion needs of the rest. */
export interface DeletionParts {
  readonly control: ControlDatabase;
  readonly audit: ControlAuditLog;
  readonly now: () => number;
  /** Names this gateway among those that share the control plane. */
  readonly holder: string;
  /** Everything that keeps data of namespaces, by name. */
  readonly services: Readonly<Record<string, NamespacedService>>;
  /** Where the end of a namespace is recorded: its own audit log goes with it. */
  readonly operatorNamespace: string;
  readonly onError: (namespace: string, error: unknown) => void;
}

/** Milliseconds between two looks for deletions that another gateway began and did not end. */
const PAUSE = 5_000;
/** Milliseconds that a gateway has for one namespace before another one may take over. */
const LEASE = 60_000;
const PAGE = 100;

/**
 * Removes what is marked for deletion, service by service, then its rows. Each step may be done twice, so a crash anywhere
 * is made good by whoever looks next.
 */
export class NamespaceDeletion {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #running: Promise<void> | undefined;
  #again = false;
  readonly #stop = new AbortController();

  constructor(private readonly parts: DeletionParts) {}

  /** Looks for work now and from time to time. */
  wake(): void {
    if (this.#stop.signal.aborted) return;
    clearTimeout(this.#timer);
    if (this.#running) {
      this.#again = true;
      return;
    }
    this.#running = this.#work().finally(() => {
      this.#running = undefined;
      if (this.#stop.signal.aborted) return;
      this.#timer = setTimeout(() => this.wake(), this.#again ? 0 : PAUSE);
      this.#again = false;
    });
  }

  /** Ends looking; what is under way is broken off and resumed at the next start. */
  async close(): Promise<void> {
    this.#stop.abort();
    clearTimeout(this.#timer);
    await this.#running;
  }

  async #work(): Promise<void> {
    const { control } = this.parts;
    const marked = control.db.selectFrom("namespaces").select("name").where("state", "=", "deleting").orderBy("name");
    await this.#report("", async () => {
      // Page by page: those that cannot go yet must not stand in the way of the others.
      for (let after = ""; !this.#stop.signal.aborted;) {
        const { rows } = await control.run<{ name: string }>(marked.where("name", ">", after).limit(PAGE));
        for (const { name } of rows) {
          if (this.#stop.signal.aborted) return;
          await this.#report(name, async () => {
            if (await this.#lease(name)) await this.#remove(name);
          });
        }
        if (rows.length < PAGE) return;
        after = rows.at(-1)!.name;
      }
    });
  }

  async #report(namespace: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!this.#stop.signal.aborted) this.parts.onError(namespace, error);
    }
  }

  /** Only of what is still marked: another gateway may have ended the deletion, and somebody have taken the name, since it was listed. */
  async #lease(namespace: string): Promise<boolean> {
    const { control, now, holder } = this.parts;
    const name = `namespace-deletion/${namespace}`;
    const expires_at = now() + LEASE;
    const marked = control.db.selectFrom("namespaces").where("name", "=", namespace).where("state", "=", "deleting")
      .select(({ val }) => [val(name).as("name"), val(holder).as("holder"), val(expires_at).as("expires_at")]);
    const { changes } = await control.run(
      control.db.insertInto("leases").columns(["name", "holder", "expires_at"]).expression(marked).onConflict((
        conflict,
      ) =>
        conflict.column("name").doUpdateSet({ holder, expires_at })
          .where((where) => where.or([where("leases.holder", "=", holder), where("leases.expires_at", "<", now())]))
      ),
    );
    return changes === 1;
  }

  async #remove(namespace: string): Promise<void> {
    const { control, services, audit, operatorNamespace } = this.parts;
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(LEASE / 2)]);
    for (const service of Object.values(services)) await service.purge(namespace, signal);
    const { db } = control;
    await control.atomically([
      this.#stillDeleting(namespace),
      db.deleteFrom("refresh_tokens").where(
        "session_id",
        "in",
        db.selectFrom("sessions").select("id").where("namespace", "=", namespace),
      ),
      ...(["sessions", "login_codes", "apps", "api_keys", "members", "namespace_settings", "audit_events"] as const)
        .map((table) => db.deleteFrom(table).where("namespace", "=", namespace)),
      db.deleteFrom("namespaces").where("name", "=", namespace).where("state", "=", "deleting"),
      db.deleteFrom("leases").where("name", "=", `namespace-deletion/${namespace}`),
      audit.entry(
        { namespace: operatorNamespace, actor: "system", action: "namespace.deleted", resource: namespace },
        SYSTEM_CONTEXT,
      ),
    ]);
  }

  /**
   * Fails the whole transaction, on a constraint, if another gateway ended the deletion and the name lives again: a gateway
   * that was asleep for longer than its lease must not take the new one's members and keys away.
   */
  #stillDeleting(namespace: string): ControlQuery {
    return sql`UPDATE namespaces SET state = CASE WHEN state = 'deleting' THEN state END WHERE name = ${namespace}`
      .compile(this.parts.control.db);
  }
}
