import { GatewayError } from "../../src/contracts/errors.ts";
import type { InvocationResult } from "../../src/contracts/function_invocations.ts";
import type { Principal } from "../../src/contracts/identity.ts";
import type { Place, Watched } from "../../src/contracts/live_connections.ts";
import type { RequestContext } from "../../src/contracts/request.ts";
import type { Services } from "../../src/contracts/services.ts";
import type { NamespaceRules } from "../../src/contracts/settings.ts";
import type { LiveContext } from "../../src/http/live/context.ts";
import { Outbox, pieceOf } from "../../src/http/live/outbox.ts";
import { Pace } from "../../src/http/live/pace.ts";
import type { LiveSocket, SocketHandler } from "../../src/http/live/socket.ts";
import { Standing } from "../../src/http/live/standing.ts";
import { invocationStatusOf } from "../../src/http/reply.ts";
import type { Called } from "./fields.ts";
import { failureOf, parsedOutput } from "./invocation_answer.ts";

/** Calls of one socket that wait for the one before, and how many inputs of the largest size they may have together. */
const MAX_WAITING = 64, MAX_INPUTS = 2;
/** Frames beyond that whose refusals wait for their turn. */
const MAX_REFUSED = 1_000;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** What a socket of calls is made of. */
export interface CallSocketParts {
  readonly services: Pick<Services, "authenticator" | "connections" | "invocations">;
  readonly called: Called;
  readonly principal: Principal;
  /** The credential that proved the principal. */
  readonly credential: string;
  readonly rules: Pick<NamespaceRules, "functions" | "pubsub">;
  readonly context: LiveContext;
  readonly place: Place;
}

/** What came in a frame, or why it is refused in its turn. */
type Waiting = Uint8Array | GatewayError;

/** A socket of which each frame calls a function: one call after the other, and an answer for each, in that order. */
export class CallSocket implements SocketHandler, Watched {
  readonly #parts: CallSocketParts;
  readonly #standing: Standing;
  readonly #pace: Pace;
  readonly #socket: LiveSocket;
  readonly #outbox: Outbox;
  readonly #failed: (error: unknown) => void;
  readonly #unwatch: () => void;
  #waiting: Waiting[] = [];
  #bytes = 0;
  #calls = 0;
  #running = false;
  #over = false;

  constructor(parts: CallSocketParts, socket: LiveSocket, failed: (error: unknown) => void) {
    const { services: { authenticator, connections }, credential, principal, rules } = this.#parts = parts;
    const monotonic = () => connections.monotonic();
    this.#standing = new Standing(authenticator, credential, principal, monotonic, (now) => this.#changed(now));
    this.#pace = new Pace(connections.settings.commandsPerSecond);
    this.#socket = socket;
    this.#failed = failed;
    this.#outbox = new Outbox({
      socket,
      connections,
      bounds: { maxQueueBytes: rules.pubsub.maxQueueBytes, slowPolicy: "close" },
      joins: false,
      gap: () => undefined,
      slow: () => this.#end(4409, "what was sent was not read"),
      stuck: () => this.#end(4408, "nothing was read for too long"),
    });
    this.#unwatch = connections.watch(this);
  }

  message(data: string | ArrayBuffer): void {
    if (this.#over) return;
    const input = typeof data === "string" ? encoder.encode(data) : new Uint8Array(data);
    const { rules: { functions: { maxInputBytes } }, services: { connections } } = this.#parts;
    const now = connections.monotonic();
    const verdict = this.#pace.take(now, input.length);
    if (verdict === "flood" || this.#waiting.length === MAX_WAITING + MAX_REFUSED) {
      return this.#end(4429, "too many calls");
    }
    const isFull = this.#waiting.length >= MAX_WAITING || this.#bytes + input.length > MAX_INPUTS * maxInputBytes;
    if (verdict === "refused") this.#take(tooMany(this.#pace.retryAfter(now)));
    else if (input.length > maxInputBytes) this.#take(tooLarge(maxInputBytes));
    else if (this.#running && isFull) this.#take(tooMany(1));
    else this.#take(input);
  }

  closed(code: number, owed: boolean): void {
    if (!this.#over) this.#parts.services.connections.ended(code === 1006 || code === 1001 ? code : 1000);
    this.#leave();
    this.#parts.place.release(owed);
  }

  look(now: number): void {
    this.#outbox.look(this.#parts.services.connections.settings.idleTimeout);
    const ending = this.#standing.check(now);
    if (ending) this.#end(ending.code, ending.reason);
  }

  stop(): void {
    this.#end(1001, "the gateway stops");
  }

  #changed({ scopes }: Principal): void {
    if (!scopes.has("functions:invoke")) this.#end(4403, "the right to call functions was lost");
  }

  #take(what: Waiting): void {
    this.#waiting.push(what);
    if (what instanceof Uint8Array) this.#bytes += what.length;
    if (this.#running) return;
    this.#run().catch((error) => {
      this.#failed(error);
      this.#end(1011, "internal error");
    });
  }

  async #run(): Promise<void> {
    this.#running = true;
    for (let next = this.#waiting.shift(); next !== undefined && !this.#over; next = this.#waiting.shift()) {
      const context = this.#context();
      if (next instanceof GatewayError) this.#refuse(next, context.requestId, 0);
      else {
        await this.#call(next, context);
        this.#bytes -= next.length;
      }
    }
    // At once: a frame that comes in a turn of promises after this one would wait for ever.
    this.#running = false;
  }

  /** Each call has an id of its own, which begins with that of the socket. */
  #context(): RequestContext {
    const { context } = this.#parts;
    const { requestId, traceparent, clientAddress } = context;
    return {
      requestId: `${requestId}.${++this.#calls}`,
      traceparent,
      clientAddress,
      get signal() {
        return context.signal;
      },
    };
  }

  async #call(input: Uint8Array, context: RequestContext): Promise<void> {
    const { services: { invocations, connections }, called } = this.#parts;
    const { principal } = this.#standing;
    const start = connections.monotonic();
    try {
      const call = { namespace: principal.namespace, ...called, input, caller: principal } as const;
      this.#answer(await invocations.invoke({ ...call, trigger: "websocket", depth: 0 }, context));
    } catch (error) {
      if (this.#over) return;
      this.#refuse(error, context.requestId, connections.monotonic() - start);
    }
  }

  #answer({ requestId, output, duration, failure }: InvocationResult): void {
    if (failure) return this.#refuse(failureOf(failure), requestId, duration);
    const members = { request_id: requestId, status: "success", duration_ms: Math.round(duration) };
    this.#tell(members, output.length === 0 ? undefined : outputText(output));
  }

  #refuse(error: unknown, requestId: string, duration: number): void {
    const known = error instanceof GatewayError ? error : new GatewayError("INTERNAL", "internal error");
    if (known !== error || known.cause !== undefined) this.#failed(error);
    const { code, message, extra: { retryAfter } } = known;
    this.#tell({
      request_id: requestId,
      status: invocationStatusOf(code),
      duration_ms: Math.round(duration),
      error: message,
      code,
      retry_after: retryAfter,
    });
  }

  /** @param output JSON, put in as it is */
  #tell(members: Readonly<Record<string, unknown>>, output?: string): void {
    if (this.#over) return;
    const text = JSON.stringify(members);
    this.#outbox.put(pieceOf(output === undefined ? text : `${text.slice(0, -1)},"output":${output}}`));
  }

  #end(code: number, reason: string): void {
    if (this.#over) return;
    if (this.#socket.bufferedAmount === 0) this.#outbox.flush();
    this.#leave();
    this.#parts.services.connections.ended(code);
    this.#socket.close(code, reason);
  }

  /** Ends what this socket has a part in. A call that waits for its place gives it up; one that runs goes on to its end. */
  #leave(): void {
    if (this.#over) return;
    this.#over = true;
    this.#unwatch();
    this.#outbox.close();
    this.#waiting = [];
    this.#parts.place.leave();
    this.#parts.context.end();
  }
}

/** An output as it stands in a frame: JSON as it is where it is some, else a text. */
function outputText(output: Uint8Array): string {
  const text = decoder.decode(output);
  return parsedOutput(text) === undefined ? JSON.stringify(text) : text;
}

const tooMany = (retryAfter: number) =>
  new GatewayError("TOO_MANY_INVOCATIONS", "too many calls of this socket wait; nothing of this one ran", {
    retryAfter,
  });
const tooLarge = (max: number) => new GatewayError("BODY_TOO_LARGE", `the frame exceeds ${max} bytes`);
