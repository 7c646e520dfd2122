import type { Registry } from "prom-client";
import type { Config } from "../config/index.ts";
import { open, seal } from "../services/auth/crypto/seal.ts";
import { SYSTEM_CLOCK } from "../services/clock/clock.ts";
import type { ControlAuditLog } from "../services/control_plane/audit.ts";
import type { ControlDatabase } from "../services/control_plane/control_database.ts";
import type { RevocationFeed } from "../services/control_plane/revocations.ts";
import { WebhookService } from "../services/webhooks/service.ts";
import type { Egress } from "./contracts/egress.ts";
import type { WebhookRules } from "./contracts/settings.ts";
import { logger } from "./observability/log.ts";
import { webhookMetrics } from "./observability/webhook_metrics.ts";

/** What webhooks ask of the gateway around them. */
export interface WebhookSurroundings {
  readonly control: ControlDatabase;
  readonly revocations: RevocationFeed;
  readonly audit: ControlAuditLog;
  readonly egress: Pick<Egress, "fetch">;
  /** 32 bytes, the same on every gateway: what seals the keys of webhooks. */
  readonly key: Uint8Array;
  readonly metrics: Registry;
  readonly random: (n: number) => Uint8Array;
  readonly rulesOf: (
    namespace: string,
    request: { readonly signal: AbortSignal },
  ) => WebhookRules | Promise<WebhookRules>;
}

/** Builds webhooks. Nothing is sent before they are started. */
export function openWebhooks(
  { max_in_flight, timeout, retry: { tries, delay, factor, max_delay, life } }: Config["webhooks"],
  { key, metrics, random, ...around }: WebhookSurroundings,
): WebhookService {
  const log = logger("webhooks");
  const webhooks = new WebhookService({
    ...around,
    random,
    sealing: {
      seal: (text, context) => seal(key, text, context, random),
      open: (sealed, context) => open(key, sealed, context),
    },
    clock: SYSTEM_CLOCK,
    chance: Math.random,
    maxInFlight: max_in_flight,
    timeout,
    retry: { tries, delay, factor, maxDelay: max_delay, life },
    onError: (what, error) => log.warn("could not be done yet; it is tried again", { what, error }),
  });
  webhookMetrics(metrics, () => webhooks.figures());
  return webhooks;
}
