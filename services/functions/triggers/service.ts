import type { FunctionInvocations } from "../../../src/contracts/function_invocations.ts";
import type {
  DeclaredTriggers,
  FunctionTrigger,
  FunctionTriggers,
  RouteMatch,
} from "../../../src/contracts/function_triggers.ts";
import type { DatabaseChanges } from "../../../src/contracts/database_changes.ts";
import type { Principal } from "../../../src/contracts/identity.ts";
import type { PubSub } from "../../../src/contracts/pubsub.ts";
import type { RequestContext } from "../../../src/contracts/request.ts";
import type { FunctionRules } from "../../../src/contracts/settings.ts";
import { type Clock, SYSTEM_CLOCK } from "../../clock/clock.ts";
import type { ControlAuditLog } from "../../control_plane/audit.ts";
import type { ControlDatabase } from "../../control_plane/control_database.ts";
import type { Revocation, RevocationFeed } from "../../control_plane/revocations.ts";
import type { FunctionDirectory } from "../parts.ts";
import { Cron } from "./cron.ts";
import { CronRows } from "./cron_rows.ts";
import { CronTimes } from "./cron_times.ts";
import { TriggerEditor } from "./editor.ts";
import { Feeds } from "./feeds.ts";
import { Firing, type TriggerFigures } from "./firing.ts";
import { LeaseRows } from "./lease_rows.ts";
import { LastNotes } from "./notes.ts";
import { QueueRoom } from "./queue.ts";
import { RouteCache } from "./routes.ts";
import { triggerOf, TriggerRows } from "./rows.ts";
import { refuseOwnDeadLetters } from "./sources.ts";

/** What triggers need of the rest. */
export interface TriggersOptions {
  readonly control: ControlDatabase;
  readonly revocations: Pick<RevocationFeed, "entry" | "pull" | "onRevoked" | "assertFresh">;
  readonly audit: Pick<ControlAuditLog, "entry">;
  readonly invocations: Pick<FunctionInvocations, "invoke">;
  readonly directory: Pick<FunctionDirectory, "resolve">;
  readonly pubsub: Pick<PubSub, "subscribe" | "history">;
  readonly databaseChanges: Pick<DatabaseChanges, "listen">;
  readonly rulesOf: (
    namespace: string,
    request: { readonly signal: AbortSignal },
  ) => Pick<FunctionRules, "maxTriggers"> | Promise<Pick<FunctionRules, "maxTriggers">>;
  readonly random: (n: number) => Uint8Array;
  /** Default: this machine's. */
  readonly clock?: Clock | undefined;
  /** Told of what failed in the background, and is tried again. @param what a trigger's id, or what could not be done */
  readonly onError: (what: string, error: unknown) => void;
  /** Told of messages that a trigger of a topic lost for want of room: at the first, the tenth, the hundredth, and so on. */
  readonly onDropped: (trigger: string, many: number) => void;
}

/** Triggers of functions: kept in the control plane, fired by whichever gateway is first, or follows for them. */
export class Triggers implements FunctionTriggers {
  readonly #options: TriggersOptions;
  readonly #rows: TriggerRows;
  readonly #editor: TriggerEditor;
  readonly #routes: RouteCache;
  readonly #notes: LastNotes;
  readonly #firing: Firing;
  readonly #cron: Cron;
  readonly #feeds: Feeds;
  #started = false;

  constructor(options: TriggersOptions) {
    const { control, random, revocations, onError, pubsub, databaseChanges, onDropped } = options;
    const clock = options.clock ?? SYSTEM_CLOCK;
    this.#options = options;
    this.#rows = new TriggerRows(control);
    this.#routes = new RouteCache({
      read: async (namespace, signal) => (await this.#rows.routes(namespace, signal)).map((row) => triggerOf(row)),
      assertFresh: () => revocations.assertFresh(),
    });
    const notes = this.#notes = new LastNotes({ control, clock, onError: (error) => onError("notes", error) });
    const firing = this.#firing = new Firing({ invocations: options.invocations, random, onError });
    const times = new CronTimes();
    this.#editor = new TriggerEditor({ ...options, clock, rows: this.#rows, times, notes });
    const rest = { firing, notes, clock, random };
    this.#cron = new Cron({
      ...rest,
      rows: new CronRows(control),
      times,
      onError: (error) => onError("cron", error),
    });
    this.#feeds = new Feeds({
      ...rest,
      leases: new LeaseRows(control, random(16).toHex()),
      room: new QueueRoom(),
      pubsub,
      databaseChanges,
      onDropped,
      onError: (error) => onError("feeds", error),
    });
    revocations.onRevoked((revocation) => this.#revoked(revocation));
  }

  /** Begins to fire. */
  start(): void {
    this.#started = true;
    this.#cron.start();
    this.#feeds.look();
  }

  /** Ends: nothing fires any more, and calls that run have a few seconds. Other gateways may take over at once. */
  async close(): Promise<void> {
    if (this.#started) await Promise.all([this.#cron.close(), this.#feeds.close()]);
    this.#started = false;
    await this.#notes.close();
  }

  /** What triggers did on this gateway. */
  figures(): TriggerFigures & { readonly followed: number } {
    return { ...this.#firing.figures(), followed: this.#feeds.held };
  }

  list(namespace: string, functionName: string, context: RequestContext): Promise<readonly FunctionTrigger[]> {
    return this.#editor.list(namespace, functionName, context);
  }

  async create(
    principal: Principal,
    functionName: string,
    wanted: Pick<FunctionTrigger, "reference" | "source" | "enabled">,
    context: RequestContext,
  ): Promise<FunctionTrigger> {
    if (wanted.source.kind === "topic") {
      const { directory } = this.#options;
      const { namespace } = principal;
      const version = await directory.resolve(namespace, functionName, wanted.reference, () => 0, context.signal);
      refuseOwnDeadLetters(wanted.source, version.dlqTopic);
    }
    return await this.#editor.create(principal, functionName, wanted, context);
  }

  setEnabled(
    principal: Principal,
    functionName: string,
    id: string,
    enabled: boolean,
    context: RequestContext,
  ): Promise<FunctionTrigger> {
    return this.#editor.setEnabled(principal, functionName, id, enabled, context);
  }

  delete(principal: Principal, functionName: string, id: string, context: RequestContext): Promise<void> {
    return this.#editor.delete(principal, functionName, id, context);
  }

  checkDeclared(declared: DeclaredTriggers, maxTriggers: number, dlqTopic: string | undefined): void {
    this.#editor.checkDeclared(declared, maxTriggers, dlqTopic);
  }

  replaceDeclared(
    principal: Principal,
    functionName: string,
    declared: DeclaredTriggers,
    context: RequestContext,
  ): Promise<void> {
    return this.#editor.replaceDeclared(principal, functionName, declared, context);
  }

  async route(
    namespace: string,
    method: string,
    path: string,
    _context: RequestContext,
  ): Promise<RouteMatch | undefined> {
    const table = this.#routes.of(namespace);
    return (table instanceof Promise ? await table : table).match(method, path);
  }

  /** Removes everything of a namespace that is being deleted. */
  async purge(namespace: string, signal: AbortSignal): Promise<void> {
    this.#forget(namespace);
    await this.#options.control.run(this.#rows.purge(namespace), signal);
    this.#forget(namespace);
  }

  #revoked({ kind, id }: Revocation): void {
    if (kind === "namespace") return this.#forget(id);
    // A function that is gone has no routes any more.
    if (kind === "function") this.#routes.changed(id.split("/", 1)[0]!);
    if (kind !== "triggers") return;
    this.#routes.changed(id);
    if (!this.#started) return;
    this.#cron.look();
    this.#feeds.changed();
  }

  #forget(namespace: string): void {
    this.#routes.changed(namespace);
    this.#feeds.drop(namespace);
  }
}
