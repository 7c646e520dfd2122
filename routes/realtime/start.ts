import type { Principal } from "../../src/contracts/identity.ts";
import type { Place } from "../../src/contracts/live_connections.ts";
import type { Services } from "../../src/contracts/services.ts";
import type { PubSubRules } from "../../src/contracts/settings.ts";
import type { LiveContext } from "../../src/http/live/context.ts";

/** What a socket begins with. */
export interface SessionStart {
  readonly services: Pick<Services, "authenticator" | "pubsub" | "settings" | "connections">;
  readonly context: LiveContext;
  /** The header `Origin`. */
  readonly origin: string | undefined;
  /** Called before a credential is looked up; may refuse by throwing. */
  readonly beforeLookup: () => void;
  readonly place: Place;
  /** Whose credential came with the address. */
  readonly known: Known | undefined;
}

/** Somebody who may be here. */
export interface Known {
  readonly credential: string;
  readonly principal: Principal;
  readonly rules: PubSubRules;
}

/** Characters of a frame of somebody who is not known yet: room for a credential. */
export const MAX_UNKNOWN = 32 * 1024;
/** What may wait for somebody who is not known yet. */
export const UNKNOWN_BOUNDS = { maxQueueBytes: MAX_UNKNOWN, slowPolicy: "close" } as const;
