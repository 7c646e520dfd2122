import { GatewayError } from "../../contracts/errors.ts";
import type { RateLimits } from "../../contracts/rate_limits.ts";
import type { PubSubRules } from "../../contracts/settings.ts";
import { addressGroup } from "../client_address.ts";

/** @throws GatewayError `FORBIDDEN` for a page that may not connect; who names no origin is no page */
export function assertOrigin({ origins }: PubSubRules, origin: string | undefined): void {
  if (origins === undefined || origin === undefined || origins.includes(origin)) return;
  throw new GatewayError("FORBIDDEN", "pages of this origin may not connect to the namespace", {
    details: [{ field: "Origin", problem: "is none that the namespace allows" }],
  });
}

/** Bytes of a frame that is taken: of a message at its largest, in base64, with room for the rest. */
export const maxFrameBytes = ({ maxMessageBytes }: PubSubRules): number =>
  Math.ceil(maxMessageBytes * 4 / 3) + 64 * 1024;

/**
 * What is to be called before a credential is looked up that came over an open socket: guessing costs there what it costs elsewhere.
 * @throws GatewayError `RATE_LIMITED`, when it is called
 */
export const lookupGuard = (limits: RateLimits, address: string) => (): void => {
  const decision = limits.take("address", addressGroup(address));
  if (!decision || decision.allowed) return;
  throw new GatewayError("RATE_LIMITED", "too many credentials came from this address", {
    retryAfter: decision.retryAfter,
  });
};

type Meta = Readonly<Record<string, unknown>>;

const encoder = new TextEncoder();

/** What a member says of itself. @throws GatewayError `INVALID_REQUEST` for more than may be said */
export function metaWithin(meta: Meta | undefined, { maxMetaBytes }: PubSubRules, field: string): Meta | undefined {
  if (meta === undefined) return undefined;
  const text = JSON.stringify(meta);
  if (text.length <= maxMetaBytes && encoder.encode(text).length <= maxMetaBytes) return meta;
  const problem = `must have at most ${maxMetaBytes} bytes as JSON`;
  throw new GatewayError("INVALID_REQUEST", `${field}: ${problem}`, { details: [{ field, problem }] });
}
