import type { ControlDatabase } from "../../../../../services/control_plane/control_database.ts";
import type { Revocation } from "../../../../../services/control_plane/revocations.ts";
import { FunctionLog, type FunctionLogOptions } from "../../../../../services/functions/log/function_log.ts";
import { GatewayError } from "../../../../../src/contracts/errors.ts";
import type { LoggedInvocation, LogLevel, LogLine } from "../../../../../src/contracts/function_logs.ts";
import type { FunctionVersion } from "../../../../../src/contracts/functions.ts";
import { FakeClock } from "../../../cache/support/fake_clock.ts";
import { Chance } from "../../../control_plane/support/chance.ts";
import { openControl } from "../../../control_plane/support/control.ts";
import { WatchedControl } from "../../../control_plane/support/doubles.ts";

/** A version of a function, as tests need one. */
export const versionOf = (namespace: string, name: string, more: Partial<FunctionVersion> = {}): FunctionVersion => ({
  id: crypto.randomUUID(),
  namespace,
  name,
  version: 1,
  wasmCid: "cid",
  size: 8,
  abi: "wasi",
  entry: "_start",
  createdAt: 0,
  createdBy: "test",
  updatedAt: 0,
  serving: true,
  memoryLimit: 64,
  timeout: 30_000,
  isPublic: false,
  retryCount: 0,
  retryDelay: 0,
  dlqTopic: undefined,
  concurrency: undefined,
  env: {},
  ...more,
});

/** A call that went well. */
export const invocationOf = (more: Partial<Omit<LoggedInvocation, "id">> = {}): Omit<LoggedInvocation, "id"> => ({
  requestId: "r1",
  version: 1,
  attempt: 1,
  trigger: "http",
  triggerId: undefined,
  caller: undefined,
  startedAt: 1_700_000_000_000,
  duration: 1.5,
  status: "success",
  error: undefined,
  inputBytes: 1,
  outputBytes: 2,
  memoryBytes: 65_536,
  hostCalls: 3,
  coldStart: false,
  ...more,
});

/** Functions as the control plane has them, and the gateways that share it. */
export class Logs implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly errors: unknown[] = [];
  readonly #serving = new Map<string, FunctionVersion>();
  readonly #listeners: ((revocation: Revocation) => void)[] = [];
  readonly #gateways: FunctionLog[] = [];
  readonly #chance = new Chance(7);
  /** What is kept for how long, by namespace. */
  readonly retention = new Map<string, number>();

  constructor(readonly database: ControlDatabase, private readonly owned?: AsyncDisposable) {}

  static async start(): Promise<Logs> {
    const database = await openControl();
    return new Logs(database, database);
  }

  /** A gateway with a way of its own to the control plane. */
  gateway(options: Partial<FunctionLogOptions> = {}): { readonly log: FunctionLog; readonly control: WatchedControl } {
    const control = new WatchedControl(this.database);
    const log = new FunctionLog({
      control,
      clock: this.clock,
      random: this.#chance.bytes,
      holder: `gateway-${this.#gateways.length}`,
      directory: {
        resolve: (namespace, name) => {
          const found = this.#serving.get(`${namespace}/${name}`);
          if (!found) throw new GatewayError("NOT_FOUND", `function not found: ${name}`);
          return found;
        },
      },
      revocations: { onRevoked: (listener) => void this.#listeners.push(listener) },
      rulesOf: (namespace) => ({ logRetention: this.retention.get(namespace) ?? 3_600_000 }),
      onError: (error) => this.errors.push(error),
      ...options,
    });
    this.#gateways.push(log);
    return { log, control };
  }

  /** Deploys a function, in place of one that had the name. */
  async deploy(namespace: string, name: string): Promise<FunctionVersion> {
    const { db } = this.database;
    const version = versionOf(namespace, name);
    await this.database.run(
      db.insertInto("namespaces").values({
        name: namespace,
        database_name: namespace,
        state: "active",
        created_at: 0,
        created_by: "test",
      }).onConflict((conflict) => conflict.doNothing()),
    );
    await this.database.run(
      db.insertInto("functions").values({
        namespace,
        name,
        id: version.id,
        last_version: 1,
        serving: 1,
        revision: 1,
        updated_at: 0,
      }).onConflict((conflict) => conflict.columns(["namespace", "name"]).doUpdateSet({ id: version.id, serving: 1 })),
    );
    this.#serving.set(`${namespace}/${name}`, version);
    return version;
  }

  /** Deletes a function, as any gateway may. */
  async delete({ namespace, name, id }: FunctionVersion): Promise<void> {
    this.#serving.delete(`${namespace}/${name}`);
    await this.database.run(this.database.db.updateTable("functions").set({ serving: null }).where("id", "=", id));
  }

  /** A namespace is being deleted from now on, as its row says. */
  async beginDeletion(namespace: string): Promise<void> {
    const { db } = this.database;
    await this.database.run(db.updateTable("namespaces").set({ state: "deleting" }).where("name", "=", namespace));
  }

  /** Every gateway hears that a namespace is deleted. */
  revoke(namespace: string): void {
    const revocation = { seq: 1, kind: "namespace", id: namespace, at: 0, expires_at: 1 } as const;
    for (const listener of this.#listeners) listener(revocation);
  }

  /** Rows that there are. */
  async count(table: "function_logs" | "function_invocations"): Promise<number> {
    const query = this.database.db.selectFrom(table).select(({ fn }) => fn.countAll<number>().as("count"));
    return (await this.database.run<{ count: number }>(query)).rows[0]!.count;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const log of this.#gateways) {
      const closing = log.close();
      await this.clock.advance(5_000);
      await closing;
    }
    await this.owned?.[Symbol.asyncDispose]();
  }
}

/** Logs a line, at the time that it is. */
export function say(
  { log, clock }: { readonly log: FunctionLog; readonly clock: FakeClock },
  of: FunctionVersion,
  message: string,
  { level = "info", requestId = "r1" }: { readonly level?: LogLevel; readonly requestId?: string } = {},
): void {
  log.line(of, requestId, { level, message, at: clock.now() });
}

/** What lines say. */
export const texts = (lines: readonly LogLine[]): string[] => lines.map(({ message }) => message);
