import { equal, ok } from "node:assert/strict";
import { MemoryDriver } from "../../../../../services/cache/memory/driver.ts";
import { CacheService } from "../../../../../services/cache/service.ts";
import { SqlDatabase } from "../../../../../services/database/database.ts";
import { SqliteDriver } from "../../../../../services/database/sqlite/driver.ts";
import { GatewayHostCalls, type HostCallsOptions } from "../../../../../services/functions/calls/host_calls.ts";
import type { CallScope, GuestReply } from "../../../../../services/functions/parts.ts";
import { Alone } from "../../../../../services/pubsub/cluster/alone.ts";
import { PubSubService } from "../../../../../services/pubsub/service.ts";
import { LocalDriver } from "../../../../../services/storage/local/driver.ts";
import { StorageService } from "../../../../../services/storage/service.ts";
import type { Invocation, InvocationResult } from "../../../../../src/contracts/function_invocations.ts";
import type { RequestContext } from "../../../../../src/contracts/request.ts";
import { FakeClock } from "../../../cache/support/fake_clock.ts";
import { openControl } from "../../../control_plane/support/control.ts";
import { RULES as PUBSUB_RULES } from "../../../pubsub/support/subject.ts";

const MIB = 2 ** 20;
/** Namespaces of different people; the second one has the name of the first as its beginning. */
export const NAMESPACES = ["shop", "shop-2"] as const;
/** Bytes that a value of the cache may have. */
export const MAX_VALUE = 100_000;
/** Bytes that an object may have: more than a host call gives. */
export const MAX_OBJECT = 20 * MIB;

/** A result of a call of another function. */
export const resultOf = (output: string, failure?: InvocationResult["failure"]): InvocationResult => ({
  requestId: "inner",
  version: { id: "f", namespace: "shop", name: "other", version: 1 },
  duration: 1,
  attempts: 1,
  output: utf8(output),
  failure,
});

/** Bytes of a text. */
export const utf8 = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);

/** Host calls on the services that a gateway has embedded. */
export class Calls implements AsyncDisposable {
  readonly clock = new FakeClock();
  /** Values of secrets by namespace and name. */
  readonly secrets = new Map<string, string>();
  /** What other functions were called with. */
  readonly invoked: { readonly invocation: Invocation; readonly context: RequestContext }[] = [];
  /** What a function that is called does. */
  invoke: (invocation: Invocation) => InvocationResult | Promise<InvocationResult> = () => resultOf("");
  /** What was logged. */
  readonly errors: (readonly [requestId: string, error: unknown])[] = [];

  private constructor(
    readonly database: SqlDatabase,
    readonly cache: CacheService,
    readonly storage: StorageService,
    readonly pubsub: PubSubService,
    private readonly end: AsyncDisposableStack,
  ) {}

  static async start(): Promise<Calls> {
    await using stack = new AsyncDisposableStack();
    const folder = await Deno.makeTempDir({ prefix: "calls-" });
    stack.defer(() => Deno.remove(folder, { recursive: true }));
    const control = stack.use(await openControl());
    for (const name of NAMESPACES) {
      const row = { name, database_name: name, state: "active", created_at: 1, created_by: "test" };
      await control.run(control.db.insertInto("namespaces").values(row));
    }
    const sqlite = new SqliteDriver({ dir: `${folder}/sql` });
    stack.defer(() => sqlite.close());
    const local = new LocalDriver({ folder: `${folder}/content`, roots: async function* () {}, onDamage: () => {} });
    stack.defer(() => local.close());
    const storageRules = {
      maxObjectBytes: MAX_OBJECT,
      maxBytes: 100 * MIB,
      maxObjects: 1_000,
      maxUploads: 20,
      maxEntries: 100,
      encrypt: false,
    };
    const storage = new StorageService(local, {
      control,
      rulesOf: () => storageRules,
      key: new Uint8Array(32),
      now: Date.now,
      random: (n) => crypto.getRandomValues(new Uint8Array(n)),
      replication: { min: 1, max: 1 },
      unpinnedLife: 3_600_000,
      maxLinkLife: 3_600_000,
      remotePins: false,
      watchPins: false,
      onError: (_, error) => {
        throw error;
      },
    });
    stack.defer(() => storage.close());
    const clock = new FakeClock();
    const memory = new MemoryDriver({ maxBytes: 64 * MIB, clock });
    stack.defer(() => memory.close());
    const cacheRules = { maxValueBytes: MAX_VALUE, maxBytes: 0, maxScanKeys: 100, maxLockWaiters: 10, near: new Map() };
    const cache = new CacheService(memory, { rulesOf: () => cacheRules, clock });
    const pubsub = new PubSubService({
      cluster: (topics) => new Alone({ topics, epoch: () => 1 }),
      rulesOf: () => PUBSUB_RULES,
      driver: "local",
      onError: (_, error) => {
        throw error;
      },
    });
    stack.defer(() => pubsub.close());
    const calls = new Calls(new SqlDatabase(sqlite), cache, storage, pubsub, stack.move());
    return Object.assign(calls, { clock });
  }

  /** One that performs calls with these services, but for what is said. */
  performer(options: Partial<HostCallsOptions> = {}): GatewayHostCalls {
    const { database, cache, storage, pubsub } = this;
    return new GatewayHostCalls({
      database,
      cache,
      storage,
      pubsub,
      secretOf: (namespace, name) => this.secrets.get(`${namespace}/${name}`),
      invocations: () => ({
        invoke: async (invocation, context) => {
          this.invoked.push({ invocation, context });
          return await this.invoke(invocation);
        },
      }),
      onError: (requestId, error) => this.errors.push([requestId, error]),
      ...options,
    });
  }

  /** Performs one, whatever it is. */
  perform(...call: readonly unknown[]): Promise<GuestReply> {
    return this.performer().perform(call, scopeOf());
  }

  /** The same of a function of another namespace. */
  performIn(namespace: string, ...call: readonly unknown[]): Promise<GuestReply> {
    return this.performer().perform(call, scopeOf({ namespace }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end.disposeAsync();
  }
}

/** A call of a function. */
export const scopeOf = (differing: Partial<CallScope> = {}): CallScope => ({
  namespace: "shop",
  functionName: "greet",
  requestId: "req-1",
  traceparent: undefined,
  depth: 0,
  signal: new AbortController().signal,
  ...differing,
});

/** The value of a reply that is no error. */
export function valueOf(reply: GuestReply): Extract<GuestReply, { value: unknown }>["value"] {
  ok("value" in reply, "error" in reply ? `${reply.error.code}: ${reply.error.message}` : "");
  return reply.value;
}

/** The value of a reply as text. */
export function textOf(reply: GuestReply): string {
  const value = valueOf(reply);
  ok(value instanceof Uint8Array, String(value));
  return new TextDecoder("utf-8", { fatal: true }).decode(value);
}

/** That a call was answered with an error. @returns its sentence */
export function refused(reply: GuestReply, code: string, sentence: string | RegExp = ""): string {
  ok("error" in reply, `${code} expected, and there is a value`);
  equal(reply.error.code, code, reply.error.message);
  const { message } = reply.error;
  ok(typeof sentence === "string" ? message.includes(sentence) : sentence.test(message), message);
  return message;
}
