import type { PubSub } from "./contracts/pubsub.ts";
import type { RequestContext } from "./contracts/request.ts";
import type { PubSubRules } from "./contracts/settings.ts";

/** What hints are made of. */
export interface RevocationHints {
  readonly pubsub: Pick<PubSub, "publish" | "subscribe">;
  readonly revocations: {
    /** Calls back with what was revoked on this gateway. */
    onOwn(tell: () => void): void;
    /** Looks for what was revoked elsewhere. */
    pull(): Promise<void>;
  };
  /** Fires when the gateway stops. */
  readonly signal: AbortSignal;
  /** Told when a hint could not be given, or none will be heard. */
  readonly onError: (error: unknown) => void;
}

/** Where gateways tell each other something: a namespace that nobody can have, so that no client reads it or writes there. */
export const BETWEEN_GATEWAYS = "_gateways";
const TOPIC = "revocations";

/** What holds there: nothing is kept, and no message is longer than what `near_hints.ts` puts into one. */
export const THEIR_RULES: PubSubRules = {
  maxMessageBytes: 256 * 1024,
  historySize: 0,
  historyTtl: 0,
  maxHistoryBytes: 0,
  publishRate: 0,
  maxSockets: 0,
  maxTopics: 2,
  maxTopicsPerSocket: 1,
  credentialShare: 100,
  guestShare: 100,
  maxQueueBytes: 1,
  slowPolicy: "drop",
  maxMetaBytes: 0,
  origins: undefined,
};

/**
 * Has whoever revoked something tell the others to look at once. A hint says nothing, so nothing can be made of a false one but a
 * look, and who misses one looks soon by itself.
 */
export function hintAtRevocations({ pubsub, revocations, signal, onError }: RevocationHints): void {
  const request: RequestContext = { requestId: "", clientAddress: "", signal };
  const failed = (error: unknown) => {
    if (!signal.aborted) onError(error);
  };
  const subscriber = { deliver: () => void revocations.pull(), ended: () => {} };
  pubsub.subscribe(BETWEEN_GATEWAYS, TOPIC, subscriber, { presence: false }, request).catch(failed);
  const hint = { data: new Uint8Array(1), json: false };
  revocations.onOwn(() => {
    if (signal.aborted) return;
    Promise.try(() => pubsub.publish(BETWEEN_GATEWAYS, TOPIC, [hint], {}, { ...request, caller: "" })).catch(failed);
  });
}
