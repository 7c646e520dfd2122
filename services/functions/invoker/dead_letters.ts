import type { Invocation, InvocationFailure } from "../../../src/contracts/function_invocations.ts";
import type { FunctionVersion } from "../../../src/contracts/functions.ts";
import type { PubSub } from "../../../src/contracts/pubsub.ts";
import type { RequestContext } from "../../../src/contracts/request.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import type { Clock } from "../../clock/clock.ts";
import type { RevocationFeed } from "../../control_plane/revocations.ts";
import type { InvocationLog } from "../parts.ts";
import { callerText } from "./rights.ts";

/** What dead letters need. */
export interface DeadLetterParts {
  readonly pubsub: Pick<PubSub, "publish">;
  readonly log: Pick<InvocationLog, "line">;
  readonly revocations: Pick<RevocationFeed, "find">;
  readonly clock: Pick<Clock, "now">;
  /** Told of what is no client's mistake. */
  readonly onError: (requestId: string, error: unknown) => void;
}

/** A call that failed for good. */
export interface Failed {
  readonly version: FunctionVersion;
  readonly invocation: Invocation;
  readonly failure: InvocationFailure;
}

/** Milliseconds to publish one. */
const PATIENCE = 5_000;
/** How many are published at once, and bytes of them: a topic that takes none must not cost more memory than that. */
const MAX_UNDER_WAY = 1_000, MAX_BYTES = 64 * 1024 * 1024;
/** Bytes that no message of a topic may exceed, whatever a namespace's own limit is. */
const LARGEST_MESSAGE = 1024 * 1024;
/** Bytes of a letter beside the input, for the bound. */
const LETTER = 2 * 1024;
const encoder = new TextEncoder();

/** Tells a topic of the function's own namespace of calls that failed for good. Nobody waits for it. */
export class DeadLetters {
  readonly #underWay = new Set<Promise<void>>();
  #bytes = 0;

  constructor(private readonly parts: DeadLetterParts) {}

  /**
   * Publishes, where the function names a topic: with the input, unless the message would be larger than the topic takes. Its
   * failure is a line in the function's log, and so is that 1,000 letters, or 64 MiB of them, are under way already.
   */
  send(failed: Failed, context: RequestContext): void {
    const topic = failed.version.dlqTopic;
    if (topic === undefined) return;
    const bytes = LETTER + (isShort(failed) ? base64Length(failed) : 0);
    if (this.#underWay.size >= MAX_UNDER_WAY || this.#bytes + bytes > MAX_BYTES) {
      return this.#unpublished(failed, topic, context, "too many others are being published");
    }
    this.#bytes += bytes;
    const sending = this.#send(failed, topic, context).finally(() => {
      this.#underWay.delete(sending);
      this.#bytes -= bytes;
    });
    this.#underWay.add(sending);
  }

  /** Resolves when all that were sent are published, or have failed. */
  async settled(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  async #send(failed: Failed, topic: string, context: RequestContext): Promise<void> {
    const { requestId } = context;
    try {
      await this.#publish(failed, topic, context);
    } catch (error) {
      const isPublic = error instanceof GatewayError && error.code !== "INTERNAL";
      if (!isPublic) this.parts.onError(requestId, error);
      this.#unpublished(failed, topic, context, isPublic ? `${error.code}: ${error.message}` : "the gateway failed");
    }
  }

  async #publish(failed: Failed, topic: string, { requestId, traceparent }: RequestContext): Promise<void> {
    const { pubsub, clock, revocations } = this.parts;
    const { namespace, name } = failed.version;
    const failedAt = new Date(clock.now()).toISOString();
    // Whoever called may have left.
    const signal = AbortSignal.timeout(PATIENCE);
    const publish = async (withInput: boolean) => {
      const letter = letterOf(failed, requestId, failedAt, withInput);
      const message = { data: encoder.encode(JSON.stringify(letter)), json: true };
      const caller = `function:${name}`;
      await pubsub.publish(namespace, topic, [message], {}, {
        requestId,
        traceparent,
        clientAddress: "",
        caller,
        signal,
      });
    };
    const revocation = () => revocations.find("namespace", namespace)?.seq;
    const before = revocation();
    try {
      await publish(isShort(failed));
    } catch (error) {
      // A namespace may take only shorter messages than there may be.
      const isTooLarge = error instanceof GatewayError && error.code === "BODY_TOO_LARGE" && isShort(failed);
      if (!isTooLarge || revocation() !== before) throw error;
      await publish(false);
    }
  }

  #unpublished({ version }: Failed, topic: string, { requestId }: RequestContext, why: string): void {
    const { log, clock } = this.parts;
    const message = `the failed call was not published to the topic ${topic}: ${why}`;
    log.line(version, requestId, { level: "error", message, at: clock.now() });
  }
}

const base64Length = ({ invocation: { input } }: Failed) => 4 * Math.ceil(input.length / 3);
const isShort = (failed: Failed) => base64Length(failed) < LARGEST_MESSAGE;

function letterOf({ version, invocation, failure }: Failed, requestId: string, failedAt: string, withInput: boolean) {
  const { caller, input } = invocation;
  const wallet = caller === "namespace" ? "" : callerText(caller, version.namespace);
  return {
    function_id: version.id,
    function_name: version.name,
    namespace: version.namespace,
    request_id: requestId,
    ...(withInput ? { input: input.toBase64() } : { input_bytes: input.length }),
    error: `${failure.code}: ${failure.message}`,
    failed_at: failedAt,
    trigger_type: invocation.trigger,
    ...(wallet !== "" && { caller_wallet: wallet }),
  };
}
