import { GatewayError } from "../../../src/contracts/errors.ts";
import type {
  FunctionInvocations,
  Invocation,
  InvocationFigures,
  InvocationResult,
} from "../../../src/contracts/function_invocations.ts";
import type { FunctionVersion } from "../../../src/contracts/functions.ts";
import type { ServiceHealth } from "../../../src/contracts/health.ts";
import type { PubSub } from "../../../src/contracts/pubsub.ts";
import type { RequestContext } from "../../../src/contracts/request.ts";
import type { FunctionRules } from "../../../src/contracts/settings.ts";
import type { Clock } from "../../clock/clock.ts";
import { atMost } from "../../clock/waiting.ts";
import type { RevocationFeed } from "../../control_plane/revocations.ts";
import type { FunctionHostPool } from "../hosts/contract.ts";
import type { FunctionDirectory, HostCalls, InvocationLog } from "../parts.ts";
import { attempt, type Attempted, type AttemptEnd } from "./attempt.ts";
import { DeadLetters } from "./dead_letters.ts";
import { functionNotFound } from "./endings.ts";
import type { FunctionEvent } from "./events.ts";
import type { GuestWatch } from "./guest_watch.ts";
import { pauseBefore, Pauses, timeLeft } from "./retries.ts";
import { callable } from "./rights.ts";

/** What calls are made with. */
export interface InvokerOptions {
  readonly directory: FunctionDirectory;
  readonly hosts: Pick<FunctionHostPool, "run" | "forget" | "figures">;
  readonly calls: HostCalls;
  readonly log: InvocationLog;
  readonly rulesOf: (
    namespace: string,
    request: { readonly signal: AbortSignal },
  ) => FunctionRules | Promise<FunctionRules>;
  readonly pubsub: Pick<PubSub, "publish">;
  readonly revocations: Pick<RevocationFeed, "find" | "onRevoked">;
  readonly clock: Clock;
  /** A number from 0 up to 1, for the choice among the versions of an alias. */
  readonly random: () => number;
  /** Told of what metrics count. */
  readonly observe?: ((event: FunctionEvent) => void) | undefined;
  /** Told of what went wrong and is no fault of a function or a caller. */
  readonly onError: (requestId: string, error: unknown) => void;
  /** How many functions and triggers a call may lie behind. Default 8. */
  readonly maxDepth?: number | undefined;
  /** Milliseconds that calls have to end in `close`. Default 10,000. */
  readonly grace?: number | undefined;
}

/** A call that is not over. */
interface Active {
  readonly namespace: string;
  /** Whether its namespace was deleted meanwhile: nothing more may be done in the name of whoever has that now. */
  revoked: boolean;
  watch: GuestWatch | undefined;
  wake: (() => void) | undefined;
}

/** How the last try ended that ran. */
type Failed = InvocationResult & { readonly version: FunctionVersion };

/** Milliseconds after which what was found is looked up again before it runs. */
const FRESH = 20;

/**
 * Calls functions: for those who may, within the limits of the namespace, and again where a function says so.
 *
 * A caller who leaves gives up its place in the line, and what was not begun is not begun; what runs goes on to its end, because
 * half of what it does would be worse, but is not tried again. A further try that cannot be begun leaves the failure before it as
 * the answer.
 */
export class Invoker implements FunctionInvocations {
  readonly #options: InvokerOptions;
  readonly #parts: InvokerOptions & { readonly observe: (event: FunctionEvent) => void };
  readonly #active = new Set<Active>();
  readonly #pauses: Pauses;
  readonly #deadLetters: DeadLetters;
  #closed = false;
  #quiet: (() => void) | undefined;

  constructor(options: InvokerOptions) {
    const { clock, revocations } = options;
    this.#options = options;
    this.#parts = { ...options, observe: options.observe ?? (() => {}) };
    this.#pauses = new Pauses(clock);
    this.#deadLetters = new DeadLetters(options);
    revocations.onRevoked(({ kind, id }) => {
      if (kind === "namespace") this.#forget(id);
    });
  }

  async invoke(invocation: Invocation, context: RequestContext): Promise<InvocationResult> {
    if (this.#closed) throw stopping();
    const active: Active = { namespace: invocation.namespace, revoked: false, watch: undefined, wake: undefined };
    this.#active.add(active);
    try {
      return await this.#invoke(active, invocation, context);
    } finally {
      this.#active.delete(active);
      if (this.#active.size === 0) this.#quiet?.();
    }
  }

  figures(): InvocationFigures {
    return this.#options.hosts.figures();
  }

  health(): Promise<ServiceHealth> {
    const { running, waiting } = this.figures();
    return Promise.resolve(
      this.#closed
        ? { status: "down", driver: "processes", reason: "this gateway stops" }
        : { status: "ok", driver: "processes", details: { running, waiting } },
    );
  }

  /** Refuses calls, tries none again, and waits a while for those that run. The hosts are closed by whoever made them. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#pauses.close();
    const { clock, grace = 10_000 } = this.#options;
    const quiet = new Promise<void>((resolve) => this.#active.size === 0 ? resolve() : this.#quiet = resolve);
    await atMost(clock, grace, quiet.then(() => this.#deadLetters.settled()));
  }

  async #invoke(active: Active, invocation: Invocation, context: RequestContext): Promise<InvocationResult> {
    const { clock, random, rulesOf, maxDepth = 8 } = this.#options;
    const arrived = clock.monotonic();
    // The same at every try: of an alias with weights one version is called.
    const chosen = random();
    const find = () => callable(this.#options, invocation, () => chosen, context.signal);
    const first = find();
    let version = first instanceof Promise ? await first : first;
    const { id } = version;
    let looked = clock.monotonic();
    let failed: Failed | undefined;
    for (let attempts = 1;; attempts++) {
      const known = rulesOf(invocation.namespace, context);
      const rules = known instanceof Promise ? await known : known;
      if (attempts === 1) refuseBeyond(rules, maxDepth, invocation);
      const found = looked;
      const end = await this.#attempt(failed !== undefined, context, {
        version,
        invocation,
        context,
        rules,
        attempt: attempts,
        timeLeft: attempts === 1 ? Infinity : timeLeft({ trigger: invocation.trigger, elapsed: looked - arrived }),
        admit: () => stillThere(active, id, clock.monotonic() - found < FRESH ? undefined : find),
        onWatch: (watch) => active.watch = watch,
      });
      if (end === undefined) break;
      const elapsed = clock.monotonic() - arrived;
      const result = { requestId: context.requestId, version, duration: elapsed, attempts, ...end };
      if (end.failure === undefined) return result;
      failed = result;
      const { trigger, namespace, input: { length: bytes } } = invocation;
      const ms = pauseBefore({ failure: end.failure, attempts, trigger, elapsed }, version);
      if (ms === undefined || active.revoked) break;
      const { signal } = context;
      const wake = (end: () => void) => active.wake = end;
      if (!await this.#pauses.pause({ namespace, ms, most: rules.maxWaiting, bytes, signal, wake })) break;
      const next = await again(active, id, find);
      if (next === undefined) break;
      version = next;
      looked = clock.monotonic();
    }
    return this.#failedForGood(active, failed!, invocation, context, clock.monotonic() - arrived);
  }

  /** @returns `undefined` for a further try that could not be begun @throws GatewayError where it is the first */
  async #attempt(
    isFurther: boolean,
    { requestId }: RequestContext,
    attempted: Attempted,
  ): Promise<AttemptEnd | undefined> {
    if (!isFurther) return await attempt(this.#parts, attempted);
    try {
      return await attempt(this.#parts, attempted);
    } catch (error) {
      if (!(error instanceof GatewayError) && !attempted.context.signal.aborted) {
        this.#options.onError(requestId, error);
      }
      return undefined;
    }
  }

  #failedForGood(
    { revoked }: Active,
    result: Failed,
    invocation: Invocation,
    context: RequestContext,
    duration: number,
  ): InvocationResult {
    const { version, failure } = result;
    if (!revoked && failure) {
      this.#deadLetters.send({ version, invocation, failure }, context);
    }
    return { ...result, duration };
  }

  /** A namespace is deleted: calls of it do nothing more, and wait for nothing more. */
  #forget(namespace: string): void {
    for (const active of this.#active) {
      if (active.namespace !== namespace) continue;
      active.revoked = true;
      active.watch?.end();
      active.wake?.();
    }
    this.#options.hosts.forget(namespace).catch((error) => this.#options.onError("", error));
  }
}

/** @throws GatewayError `BODY_TOO_LARGE`, `INVOCATION_TOO_DEEP` */
function refuseBeyond({ maxInputBytes }: FunctionRules, maxDepth: number, { input, depth }: Invocation): void {
  if (input.length > maxInputBytes) {
    throw new GatewayError("BODY_TOO_LARGE", `the input has ${input.length} bytes; it may have ${maxInputBytes}`, {
      details: { limit: maxInputBytes },
    });
  }
  if (depth > maxDepth) {
    throw new GatewayError(
      "INVOCATION_TOO_DEEP",
      `the call lies behind ${depth} functions and triggers; at most ${maxDepth} may follow each other`,
      { details: { limit: maxDepth } },
    );
  }
}

type Find = () => FunctionVersion | Promise<FunctionVersion>;

/** Before a call begins that had to wait. @throws GatewayError `NOT_FOUND` where its function is gone, and what looking for it throws */
function stillThere({ revoked }: Active, id: string, find: Find | undefined): Promise<void> | void {
  const mustBe = (version: FunctionVersion) => {
    if (version.id !== id) throw functionNotFound();
  };
  if (revoked) throw functionNotFound();
  const found = find?.();
  if (found instanceof Promise) return found.then(mustBe);
  if (found) mustBe(found);
}

/** What a further try would call; `undefined` where that is not the same function any more, or nobody can say, or it may not be called. */
async function again(active: Active, id: string, find: Find): Promise<FunctionVersion | undefined> {
  if (active.revoked) return undefined;
  try {
    const version = await find();
    return version.id === id && !active.revoked ? version : undefined;
  } catch {
    return undefined;
  }
}

const stopping = (): GatewayError =>
  new GatewayError("UNAVAILABLE", "this gateway stops; another one calls the same functions", { retryAfter: 1 });
