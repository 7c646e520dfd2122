import type { OrDefault } from "../../../src/contracts/settings.ts";
import type { WebhookLimitValues, WebhookRules } from "../../../src/contracts/webhook_rules.ts";
import { withDefaults } from "./values.ts";

/** What the configuration says of webhooks. */
export interface WebhookDefaults {
  readonly limits: WebhookLimitValues;
  /** Requests beyond which no namespace can have any under way on one gateway, whatever it may. */
  readonly max_in_flight: number;
}

/** What holds for webhooks, in each of the forms it is asked for. */
export interface EffectiveWebhooks {
  readonly limits: WebhookLimitValues;
  readonly rules: WebhookRules;
}

/** The limits of a namespace for which no operator set anything. */
export const NO_WEBHOOK_LIMITS: OrDefault<WebhookLimitValues> = {
  endpoints: null,
  event_bytes: null,
  waiting: null,
  waiting_bytes: null,
  requests_in_flight: null,
  remembered: null,
  delivered_retention: null,
  dead_retention: null,
};

/** Limits, and defaults for those that were not set. */
export function effectiveWebhooks(
  ownLimits: OrDefault<WebhookLimitValues>,
  defaults: WebhookDefaults,
): EffectiveWebhooks {
  const given = withDefaults(ownLimits, defaults.limits);
  const limits = {
    ...given,
    // A larger one would never find room: who raises it is told, and nothing is dropped in silence.
    event_bytes: Math.min(given.event_bytes, given.waiting_bytes),
    requests_in_flight: Math.min(given.requests_in_flight, defaults.max_in_flight),
  };
  return {
    limits,
    rules: {
      maxEndpoints: limits.endpoints,
      maxEventBytes: limits.event_bytes,
      maxWaiting: limits.waiting,
      maxWaitingBytes: limits.waiting_bytes,
      maxInFlight: limits.requests_in_flight,
      maxRemembered: limits.remembered,
      deliveredRetention: limits.delivered_retention,
      deadRetention: limits.dead_retention,
    },
  };
}
