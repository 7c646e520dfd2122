import type { RequestContext } from "../../../src/contracts/request.ts";
import type { FunctionVersion } from "../../../src/contracts/functions.ts";
import type { Clock } from "../../clock/clock.ts";
import type { HostWorkListener } from "../hosts/contract.ts";
import type { CallScope, GuestNote, GuestReply, HostCalls, InvocationLog } from "../parts.ts";
import { type FunctionEvent, hostCallName } from "./events.ts";

/** What watching a call needs. */
export interface WatchParts {
  readonly calls: HostCalls;
  readonly log: Pick<InvocationLog, "line">;
  readonly clock: Pick<Clock, "now" | "monotonic">;
  readonly observe: (event: FunctionEvent) => void;
  readonly onError: (requestId: string, error: unknown) => void;
}

/** Which call is watched. */
export interface Watched {
  readonly version: FunctionVersion;
  readonly context: RequestContext;
  readonly depth: number;
  /** Bytes of lines, and how many host calls. The host holds to the same; one that broke out may not. */
  readonly limits: { readonly log: number; readonly calls: number };
}

/** What a line costs beside its text, and what a host may say beyond the limit: that there were more. */
const LINE = 8, MARGIN = 1_024;

const GONE: GuestReply = { error: { code: "UNAVAILABLE", message: "the call of the function has ended" } };
const TOO_MANY: GuestReply = { error: { code: "FUNCTION_CALLS_EXCEEDED", message: "too many host calls" } };
const BROKEN: GuestReply = { error: { code: "INTERNAL", message: "internal error" } };

/** Performs what one try of a call asks for while it runs, in the name of the function's namespace, and writes down what it logs. */
export class GuestWatch implements HostWorkListener {
  #scope: CallScope | undefined;
  #ends: AbortController | undefined;
  #over = false;
  #calls = 0;
  #logged = 0;

  constructor(private readonly parts: WatchParts, private readonly watched: Watched) {}

  async call(call: unknown): Promise<GuestReply> {
    if (this.#over) return GONE;
    if (++this.#calls > this.watched.limits.calls) return TOO_MANY;
    const { calls, clock, observe, onError } = this.parts;
    const began = clock.monotonic();
    let reply: GuestReply;
    try {
      reply = await calls.perform(call, this.#scope ??= this.#begin());
    } catch (error) {
      onError(this.watched.context.requestId, error);
      reply = BROKEN;
    }
    observe({ kind: "call", name: hostCallName(call), ok: "value" in reply, ms: clock.monotonic() - began });
    return reply;
  }

  note({ level, message }: GuestNote): void {
    if (this.#over || this.#logged < 0) return;
    const { log, clock } = this.parts;
    const { version, context: { requestId }, limits } = this.watched;
    const at = clock.now();
    // No text has fewer bytes than UTF-16 units: whoever keeps to the limit is not cut here.
    this.#logged += LINE + message.length;
    if (this.#logged <= limits.log + MARGIN) return log.line(version, requestId, { level, message, at });
    this.#logged = -1;
    log.line(version, requestId, { level: "warn", message: "further lines of this call were dropped", at });
  }

  /** The call is over, or its namespace is: what it still waits for ends, and nothing more is done in its name. */
  end(): void {
    this.#over = true;
    this.#ends?.abort();
  }

  #begin(): CallScope {
    const { version: { namespace, name }, context: { requestId, traceparent }, depth } = this.watched;
    const { signal } = this.#ends = new AbortController();
    return { namespace, functionName: name, requestId, traceparent, depth, signal };
  }
}
