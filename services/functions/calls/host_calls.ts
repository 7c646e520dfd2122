import type { Cache, Maybe } from "../../../src/contracts/cache.ts";
import type { Database } from "../../../src/contracts/database.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import type { FunctionInvocations } from "../../../src/contracts/function_invocations.ts";
import type { PubSub } from "../../../src/contracts/pubsub.ts";
import type { Storage } from "../../../src/contracts/storage.ts";
import { abortable } from "../../clock/abortable.ts";
import type { CallScope, GuestCall, GuestReply, HostCalls } from "../parts.ts";
import { guestCallOf, invalid, MAX_BYTES, tooLarge } from "./arguments.ts";
import { CacheCalls } from "./cache.ts";
import { ContentCalls } from "./content.ts";
import { FetchCalls } from "./fetch.ts";
import { NO_OUTBOUND_HTTP, type OutboundHttp } from "./http.ts";
import { contextOf } from "./scope.ts";
import { SqlCalls } from "./sql.ts";

/** What host calls are performed with. */
export interface HostCallsOptions {
  readonly database: Database;
  readonly cache: Cache;
  readonly storage: Storage;
  readonly pubsub: PubSub;
  /** The value of a secret of a namespace; `undefined` where it has none of that name. @throws GatewayError `UNAVAILABLE` */
  readonly secretOf: (namespace: string, name: string, signal: AbortSignal) => Maybe<string | undefined>;
  /** Who calls other functions. Asked for at each call, since it is made of host calls itself. */
  readonly invocations: () => Pick<FunctionInvocations, "invoke">;
  /** Who sends requests elsewhere. Default: nobody does, and a function is told so. */
  readonly http?: OutboundHttp | undefined;
  /** Milliseconds that one request to elsewhere may take. Default 30 s. */
  readonly httpTimeout?: number | undefined;
  /** Told of what went wrong and is no fault of the function. */
  readonly onError: (requestId: string, error: unknown) => void;
}

/** A function's name, and what may stand behind the `@`. No character of it separates a namespace from a name anywhere. */
const FUNCTION = /^([A-Za-z0-9][A-Za-z0-9._-]{0,63})(?:@([A-Za-z0-9_-]{1,64}))?$/;
const encoder = new TextEncoder();

/** Performs host calls with the services of a gateway, with the rights of the function's namespace and no others. */
export class GatewayHostCalls implements HostCalls {
  readonly #options: HostCallsOptions;
  readonly #sql: SqlCalls;
  readonly #cache: CacheCalls;
  readonly #content: ContentCalls;
  readonly #fetch: FetchCalls;
  readonly #performing = new WeakSet<CallScope>();

  constructor(options: HostCallsOptions) {
    const { database, cache, storage, http = NO_OUTBOUND_HTTP, httpTimeout } = options;
    this.#options = options;
    this.#sql = new SqlCalls(database);
    this.#cache = new CacheCalls(cache);
    this.#content = new ContentCalls(storage);
    this.#fetch = new FetchCalls({ http, timeout: httpTimeout });
  }

  /**
   * Performs one; answers as soon as the scope's signal ends it.
   * @param scope the same object for all calls of one call of a function, which makes one at a time
   */
  async perform(call: unknown, scope: CallScope): Promise<GuestReply> {
    // A guest waits for each of its calls. One that does not has broken out, and would hold more memory than a call may.
    if (this.#performing.has(scope)) {
      return errorOf(new GatewayError("INVALID_REQUEST", "call: another one of this function is not done yet"));
    }
    this.#performing.add(scope);
    try {
      scope.signal.throwIfAborted();
      const value = await abortable(this.#perform(guestCallOf(call), scope), scope.signal);
      if (value instanceof Uint8Array && value.length > MAX_BYTES) throw tooLarge("the result");
      return { value };
    } catch (error) {
      return this.#failed(error, scope);
    } finally {
      this.#performing.delete(scope);
    }
  }

  #perform(call: GuestCall, scope: CallScope): Promise<Value> {
    switch (call[0]) {
      case "db_query":
        return this.#sql.query(call[1], call[2], scope);
      case "db_execute":
        return this.#sql.execute(call[1], call[2], scope);
      case "db_transaction":
        return this.#sql.transaction(call[1], scope);
      case "cache_get":
        return this.#cache.get(call[1], scope);
      case "cache_set":
        return this.#cache.set(call[1], call[2], call[3], scope);
      case "cache_delete":
        return this.#cache.delete(call[1], scope);
      case "cache_incr":
        return this.#cache.increment(call[1], call[2], scope);
      case "storage_put":
        return this.#content.put(call[1], call[2], scope);
      case "storage_get":
        return this.#content.get(call[1], scope);
      case "pubsub_publish":
        return this.#publish(call[1], call[2], scope);
      case "http_fetch":
        return this.#fetch.fetch(call[1], call[2], call[3], call[4], scope);
      case "get_secret":
        return this.#secret(call[1], scope);
      case "function_invoke":
        return this.#invoke(call[1], call[2], scope);
    }
  }

  async #publish(topic: string, data: Uint8Array, scope: CallScope): Promise<Value> {
    const message = { data: new Uint8Array(data), json: false };
    await this.#options.pubsub.publish(scope.namespace, topic, [message], {}, contextOf(scope));
    return 1;
  }

  async #secret(name: string, { namespace, signal }: CallScope): Promise<Value> {
    const value = await this.#options.secretOf(namespace, name, signal);
    return value === undefined ? null : encoder.encode(value);
  }

  async #invoke(text: string, input: Uint8Array, scope: CallScope): Promise<Value> {
    const [, name, reference] = FUNCTION.exec(text) ?? [];
    if (name === undefined) throw invalid("name", "must be the name of a function of this namespace, or name@version");
    const invocation = {
      namespace: scope.namespace,
      name,
      reference,
      input,
      trigger: "function",
      caller: "namespace",
      depth: scope.depth + 1,
    } as const;
    const { output, failure } = await this.#options.invocations().invoke(invocation, contextOf(scope));
    if (failure) throw new GatewayError(failure.code, `${name}: ${failure.message}`);
    return output;
  }

  #failed(error: unknown, { requestId, signal }: CallScope): GuestReply {
    if (error instanceof GatewayError) return errorOf(error);
    if (signal.aborted) return errorOf(new GatewayError("UNAVAILABLE", "the call of the function has ended"));
    this.#options.onError(requestId, error);
    return errorOf(new GatewayError("INTERNAL", "internal error"));
  }
}

type Value = Extract<GuestReply, { readonly value: unknown }>["value"];

const errorOf = ({ code, message }: GatewayError): GuestReply => ({ error: { code, message } });
