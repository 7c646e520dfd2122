import type { WebhookRules } from "../../src/contracts/webhook_rules.ts";

/** What is the same for everybody. Times are in milliseconds. */
export const BOUNDS = {
  /** Keys of one endpoint that sign. */
  keys: 3,
  /** How long a key signs beside its successor. */
  overlap: 24 * 60 * 60_000,
  /** Tests of one namespace that are under way at once on a gateway. */
  tests: 2,
} as const;

/** Says what a namespace may have; without a promise where it is known. */
export type WebhookRulesOf = (
  namespace: string,
  request: { readonly signal: AbortSignal },
) => WebhookRules | Promise<WebhookRules>;
