import { ok } from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { ControlAuditLog } from "../../../../../services/control_plane/audit.ts";
import type { ControlDatabase } from "../../../../../services/control_plane/control_database.ts";
import { RevocationFeed } from "../../../../../services/control_plane/revocations.ts";
import { Triggers, type TriggersOptions } from "../../../../../services/functions/triggers/service.ts";
import { Alone } from "../../../../../services/pubsub/cluster/alone.ts";
import { PubSubService } from "../../../../../services/pubsub/service.ts";
import type { ChangeEvent, ChangeListener, ChangeQuery } from "../../../../../src/contracts/database_changes.ts";
import { GatewayError } from "../../../../../src/contracts/errors.ts";
import type { Invocation, InvocationResult } from "../../../../../src/contracts/function_invocations.ts";
import type { FunctionTrigger, TriggerSource } from "../../../../../src/contracts/function_triggers.ts";
import type { FunctionVersion } from "../../../../../src/contracts/functions.ts";
import type { Principal } from "../../../../../src/contracts/identity.ts";
import type { RequestContext } from "../../../../../src/contracts/request.ts";
import { FakeClock } from "../../../cache/support/fake_clock.ts";
import { CONTEXT } from "../../../control_plane/support/context.ts";
import { RULES } from "../../../pubsub/support/subject.ts";

/** When everything begins: a Tuesday in UTC. */
export const NOON = Date.UTC(2026, 0, 6, 12);

/** How a call is answered. */
export type Answer = (call: Invocation, context: RequestContext) => Promise<Partial<InvocationResult> | void> | void;

const chance = (n: number) => crypto.getRandomValues(new Uint8Array(n));
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** What a table's listener is handed, as the test says. */
export class FakeTable {
  readonly events: ChangeEvent[] = [];
  /** Thrown by whoever begins to listen. */
  refusal: GatewayError | undefined;
  readonly sinces: string[] = [];
  listeners = 0;
  readonly #wakes = new Set<() => void>();

  /** Something happens to the table. */
  add(event: ChangeEvent): void {
    this.events.push(event);
    for (const wake of this.#wakes) wake();
  }

  /** A row comes. */
  insert(id: number, kind: "insert" | "update" | "delete" = "insert"): void {
    const row = { columns: ["id"], types: ["integer"], values: [id] };
    this.add({ kind, position: `e-${this.events.length + 1}`, table: "t", key: row, after: row, tooLarge: false });
  }

  listen(_namespace: string, { since }: ChangeQuery): Promise<ChangeListener> {
    this.sinces.push(since);
    if (this.refusal) return Promise.reject(this.refusal);
    let at = since === "now" ? this.events.length : this.events.findIndex(({ position }) => position === since) + 1;
    this.listeners++;
    const positionAt = () => at === 0 ? "e-0" : this.events[at - 1]!.position;
    const next = async (signal: AbortSignal) => {
      while (at >= this.events.length) {
        await new Promise<void>((resolve) => {
          this.#wakes.add(resolve);
          signal.addEventListener("abort", () => resolve(), { once: true });
        });
        signal.throwIfAborted();
      }
      const page = this.events.slice(at);
      at = this.events.length;
      return page;
    };
    let isOpen = true;
    return Promise.resolve({
      get position() {
        return positionAt();
      },
      next,
      close: () => {
        if (isOpen) this.listeners--;
        isOpen = false;
      },
    });
  }
}

/** One gateway of a {@link World}. */
export interface Gateway {
  readonly triggers: Triggers;
  readonly revocations: RevocationFeed;
}

/** Gateways that share a control plane, and the calls that they make. */
export class World implements AsyncDisposable {
  readonly calls: { readonly input: string; readonly call: Invocation; readonly at: number }[] = [];
  readonly errors: unknown[] = [];
  readonly dropped: number[] = [];
  readonly table = new FakeTable();
  readonly pubsub: PubSubService;
  readonly gateways: Gateway[] = [];
  answer: Answer = () => {};
  /** Resolves when everything has happened that waits for no time. */
  idle: () => Promise<void> = async () => {
    for (let i = 0; i < 6; i++) await setImmediate();
  };
  /** Which topic is told of failed calls, by function. */
  readonly deadLetters = new Map<string, string>();
  maxTriggers = 100;
  historySize = 100;

  constructor(readonly control: ControlDatabase, readonly clock: FakeClock = new FakeClock(NOON)) {
    this.pubsub = new PubSubService({
      cluster: (topics) => new Alone({ topics, epoch: () => 1 }),
      rulesOf: () => ({ ...RULES, historySize: this.historySize }),
      driver: "test",
      clock,
      onError: (_namespace, error) => this.errors.push(error),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closing = Promise.all(this.gateways.map(({ triggers }) => triggers.close()));
    await this.pass(8_000, 1_000);
    await closing;
    const closed = this.pubsub.close();
    await this.pass(0);
    await closed;
  }

  /** A namespace of its own, with functions in it. */
  async namespace(name: string, ...functions: string[]): Promise<void> {
    const { db } = this.control;
    const created_at = this.clock.now();
    await this.control.run(
      db.insertInto("namespaces").values({
        name,
        database_name: name,
        state: "active",
        created_at,
        created_by: "test",
      }),
    );
    for (const one of functions) await this.deploy(name, one);
  }

  /** A function; of the same name and another id where there was one. */
  async deploy(namespace: string, name: string): Promise<string> {
    const id = crypto.randomUUID();
    const values = { namespace, name, id, last_version: 1, serving: 1, revision: 1, updated_at: 0 };
    await this.control.run(
      this.control.db.insertInto("functions").values(values)
        .onConflict((conflict) => conflict.columns(["namespace", "name"]).doUpdateSet({ id, serving: 1 })),
    );
    return id;
  }

  /** A namespace goes, as services purge it, and its name becomes free. */
  async deleteNamespace(name: string): Promise<void> {
    const { db } = this.control;
    const [{ revocations } = this.#revocations()] = this.gateways;
    await this.control.atomically([
      db.updateTable("namespaces").set({ state: "deleting" }).where("name", "=", name),
      revocations.entry("namespace", name),
    ]);
    for (const { triggers } of this.gateways.slice(0, 1)) await triggers.purge(name, CONTEXT.signal);
    await this.control.run(db.deleteFrom("functions").where("namespace", "=", name));
    await this.control.run(db.deleteFrom("namespaces").where("name", "=", name));
  }

  /** One more gateway, that fires. */
  async gateway(options: Partial<TriggersOptions> = {}): Promise<Gateway & { readonly number: number }> {
    const { control, clock, pubsub, table } = this;
    const { revocations } = this.#revocations();
    await revocations.pull();
    const triggers = new Triggers({
      control,
      revocations,
      audit: new ControlAuditLog(control, () => clock.now()),
      invocations: { invoke: (call, context) => this.#invoke(call, context) },
      directory: { resolve: (namespace, name, reference) => this.#resolve(namespace, name, reference) },
      pubsub,
      databaseChanges: table,
      rulesOf: () => ({ maxTriggers: this.maxTriggers }),
      random: chance,
      clock,
      onError: (_what, error) => void this.errors.push(error),
      onDropped: (_trigger, many) => void this.dropped.push(many),
      ...options,
    });
    triggers.start();
    const gateway = { triggers, revocations };
    this.gateways.push(gateway);
    await this.pass(0);
    return { ...gateway, number: this.gateways.length - 1 };
  }

  /** Lets time pass; gateways hear of revocations meanwhile. */
  async pass(ms: number, step = 250): Promise<void> {
    for (let left = ms; left >= 0; left -= step) {
      await this.clock.advance(Math.min(step, left));
      await this.turn();
      if (left === 0) return;
    }
  }

  /** Everything has happened that waits for no time. */
  async turn(): Promise<void> {
    for (const { revocations } of this.gateways) await revocations.pull();
    await this.idle();
  }

  /** What the functions were called with. */
  get inputs(): string[] {
    return this.calls.map(({ input }) => input);
  }

  /** A trigger of a function, made by its owner through the first gateway. */
  async make(namespace: string, name: string, source: TriggerSource, enabled = true): Promise<FunctionTrigger> {
    const made = await this.gateways[0]!.triggers.create(
      principal(namespace),
      name,
      { reference: undefined, source, enabled },
      CONTEXT,
    );
    await this.turn();
    return made;
  }

  /** A trigger as it is shown. */
  async seen(namespace: string, name: string, id: string): Promise<FunctionTrigger> {
    const found = (await this.gateways[0]!.triggers.list(namespace, name, CONTEXT)).find((one) => one.id === id);
    ok(found);
    return found;
  }

  /** Publishes texts. */
  publish(namespace: string, topic: string, ...texts: string[]): void {
    const payloads = texts.map((one) => ({ data: new TextEncoder().encode(one), json: false }));
    void this.pubsub.publish(namespace, topic, payloads, {}, { ...CONTEXT, caller: "test" });
  }

  #revocations() {
    const { control, clock } = this;
    const revocations = new RevocationFeed(control, {
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      interval: 500,
      maxSilence: 60_000,
    });
    return { revocations };
  }

  async #invoke(call: Invocation, context: RequestContext): Promise<InvocationResult> {
    this.calls.push({ input: text(call.input), call, at: this.clock.now() });
    const answer = await this.answer(call, context);
    return {
      requestId: context.requestId,
      version: { id: "", namespace: call.namespace, name: call.name, version: 1 },
      duration: 0,
      attempts: 1,
      output: new Uint8Array(),
      failure: undefined,
      ...answer,
    };
  }

  async #resolve(namespace: string, name: string, reference: string | undefined): Promise<FunctionVersion> {
    const { rows: [row] } = await this.control.run<{ id: string }>(
      this.control.db.selectFrom("functions").select("id").where("namespace", "=", namespace).where("name", "=", name)
        .where("serving", "is not", null),
    );
    if (row === undefined) throw new GatewayError("NOT_FOUND", "function not found");
    if (reference !== undefined && reference !== "prod") throw new GatewayError("NOT_FOUND", "no such version");
    return { id: row.id, namespace, name, dlqTopic: this.deadLetters.get(name) } as FunctionVersion;
  }
}

/** The owner of a namespace. */
export const principal = (namespace: string): Principal => ({
  kind: "api_key",
  id: "key_1",
  subject: "0xowner",
  namespace,
  scopes: new Set(),
  operator: false,
  asOf: 0,
  describe: {},
});

/** A cron trigger's expression. */
export const cron = (expression: string, timezone?: string): TriggerSource => ({ kind: "cron", expression, timezone });
/** A topic. */
export const topic = (name: string): TriggerSource => ({ kind: "topic", topic: name });
/** A table. */
export const database = (...operations: ("insert" | "update" | "delete")[]): TriggerSource => ({
  kind: "database",
  table: "t",
  operations,
});
/** A route. */
export const route = (method: string, path: string, isPublic = false): TriggerSource => ({
  kind: "route",
  method,
  path,
  isPublic,
});
