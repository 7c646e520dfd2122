import type { Egress } from "../../src/contracts/egress.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import type { NamespacedService, Usage } from "../../src/contracts/health.ts";
import type { Principal } from "../../src/contracts/identity.ts";
import type { RequestContext } from "../../src/contracts/request.ts";
import type {
  WebhookDelivery,
  WebhookDeliveryQuery,
  WebhookEndpoint,
  WebhookEvent,
  WebhookFigures,
  WebhookPublication,
  Webhooks,
  WebhookSecret,
  WebhookTrial,
} from "../../src/contracts/webhooks.ts";
import type { Clock } from "../clock/clock.ts";
import type { ControlAuditLog } from "../control_plane/audit.ts";
import type { ControlDatabase } from "../control_plane/control_database.ts";
import type { RevocationFeed } from "../control_plane/revocations.ts";
import { BOUNDS, type WebhookRulesOf } from "./bounds.ts";
import { bodyOf } from "./checks.ts";
import { Deliverer } from "./deliverer.ts";
import { DeliveryRows } from "./delivery_rows.ts";
import { Editor } from "./editor.ts";
import { EndpointRows } from "./endpoint_rows.ts";
import { Keys, type Sealing } from "./keys.ts";
import { Publisher } from "./publisher.ts";
import type { RetryPlan } from "./schedule.ts";
import { Sender } from "./sender.ts";
import { Subscriptions } from "./subscriptions.ts";
import { TurnRows } from "./turn_rows.ts";
import { Upkeep } from "./upkeep.ts";

/** What webhooks need of the rest. */
export interface WebhooksOptions {
  readonly control: ControlDatabase;
  readonly revocations: Pick<RevocationFeed, "entry" | "pull" | "onRevoked" | "assertFresh">;
  readonly audit: Pick<ControlAuditLog, "entry">;
  readonly egress: Pick<Egress, "fetch">;
  readonly sealing: Sealing;
  readonly clock: Clock;
  /** Cryptographically strong bytes. */
  readonly random: (n: number) => Uint8Array;
  /** From 0 to 1: spreads tries. */
  readonly chance: () => number;
  /** Requests at once on this gateway. */
  readonly maxInFlight: number;
  /** Milliseconds that a receiver has to answer, far below the minute after which another gateway sends. */
  readonly timeout: number;
  readonly retry: RetryPlan;
  readonly rulesOf: WebhookRulesOf;
  /** Told of what failed in the background, and is tried again. @param what an endpoint's id, or what could not be done */
  readonly onError: (what: string, error: unknown) => void;
}

/** Webhooks of namespaces: kept in the control plane, sent by whichever gateway is first. */
export class WebhookService implements Webhooks, NamespacedService {
  readonly #options: WebhooksOptions;
  readonly #endpoints: EndpointRows;
  readonly #deliveries: DeliveryRows;
  readonly #editor: Editor;
  readonly #subscriptions: Subscriptions;
  readonly #publisher: Publisher;
  readonly #sender: Sender;
  readonly #deliverer: Deliverer;
  readonly #upkeep: Upkeep;
  readonly #tests = new Map<string, number>();
  #started = false;

  constructor(options: WebhooksOptions) {
    const { control, revocations, sealing, random, clock, rulesOf, onError } = options;
    const now = () => clock.now();
    const endpoints = new EndpointRows(control), deliveries = new DeliveryRows(control);
    const keys = new Keys(sealing, random);
    this.#options = options;
    this.#endpoints = endpoints;
    this.#deliveries = deliveries;
    this.#editor = new Editor({ ...options, endpoints, deliveries, keys, now });
    this.#subscriptions = new Subscriptions({
      read: (namespace, signal) => endpoints.of(namespace, signal),
      assertFresh: () => revocations.assertFresh(),
      monotonic: () => clock.monotonic(),
    });
    this.#sender = new Sender({ ...options, keys });
    this.#deliverer = new Deliverer({
      ...options,
      rows: new TurnRows(control),
      sender: this.#sender,
      onError: (error) => onError("sending", error),
    });
    this.#publisher = new Publisher({
      control,
      deliveries,
      subscriptions: this.#subscriptions,
      rulesOf,
      now,
      random,
      onQueued: () => this.#look(),
    });
    this.#upkeep = new Upkeep({
      control,
      deliveries,
      clock,
      holder: random(8).toHex(),
      rulesOf,
      waitingLife: options.retry.life,
      onError: (error) => onError("forgetting what is old", error),
    });
    revocations.onRevoked(({ kind, id }) => {
      if (kind !== "webhooks" && kind !== "namespace") return;
      this.#subscriptions.changed(id);
      if (kind === "namespace") this.#deliverer.drop(id);
      else this.#look();
    });
  }

  /** Begins to send. */
  start(): void {
    this.#started = true;
    this.#deliverer.look();
    this.#upkeep.start();
  }

  /** Ends: nothing new is sent, and what is being sent has a few seconds. */
  async close(): Promise<void> {
    this.#started = false;
    await Promise.all([this.#deliverer.close(), this.#upkeep.close()]);
  }

  /** What this gateway did, and what there is. */
  figures(): WebhookFigures {
    return {
      tries: this.#deliverer.tries,
      dropped: this.#publisher.dropped,
      inFlight: this.#deliverer.inFlight,
      kept: this.#upkeep.kept,
    };
  }

  list(namespace: string, context: RequestContext): Promise<readonly WebhookEndpoint[]> {
    return this.#editor.list(namespace, context);
  }

  get(namespace: string, id: string, context: RequestContext): Promise<WebhookEndpoint> {
    return this.#editor.get(namespace, id, context);
  }

  create(
    principal: Principal,
    wanted: Parameters<Webhooks["create"]>[1],
    context: RequestContext,
  ): Promise<WebhookSecret> {
    return this.#editor.create(principal, wanted, context);
  }

  change(
    principal: Principal,
    id: string,
    changes: Parameters<Webhooks["change"]>[2],
    context: RequestContext,
  ): Promise<WebhookEndpoint> {
    return this.#editor.change(principal, id, changes, context);
  }

  delete(principal: Principal, id: string, context: RequestContext): Promise<void> {
    return this.#editor.delete(principal, id, context);
  }

  rotate(principal: Principal, id: string, context: RequestContext): Promise<WebhookSecret> {
    return this.#editor.rotate(principal, id, context);
  }

  async test(namespace: string, id: string, context: RequestContext): Promise<WebhookTrial> {
    const { clock, random, rulesOf } = this.#options;
    const running = this.#tests.get(namespace) ?? 0;
    if (running >= BOUNDS.tests) {
      const sentence =
        `${BOUNDS.tests} tests of the namespace's webhooks may be under way at once on a gateway, and are`;
      throw new GatewayError("RATE_LIMITED", sentence, { retryAfter: 1 });
    }
    this.#tests.set(namespace, running + 1);
    try {
      const endpoint = await this.#editor.row(namespace, id, context);
      const event = { id: `evt_${random(16).toHex()}`, type: "webhook.test", namespace, data: { webhook: id } };
      const began = clock.monotonic();
      const { maxEventBytes } = await rulesOf(namespace, context);
      const message = { ...bodyOf(event, clock.now(), maxEventBytes), nonce: `test_${random(16).toHex()}` };
      const outcome = await this.#sender.send(endpoint, message, context.signal);
      context.signal.throwIfAborted();
      return {
        delivered: outcome.kind === "delivered",
        status: "status" in outcome ? outcome.status : undefined,
        error: "error" in outcome ? outcome.error : undefined,
        duration: Math.round(clock.monotonic() - began),
      };
    } finally {
      const left = this.#tests.get(namespace)! - 1;
      if (left === 0) this.#tests.delete(namespace);
      else this.#tests.set(namespace, left);
    }
  }

  async deliveries(
    namespace: string,
    id: string,
    query: WebhookDeliveryQuery,
    context: RequestContext,
  ): Promise<{ readonly items: readonly WebhookDelivery[]; readonly next?: string }> {
    const endpoint = await this.#editor.row(namespace, id, context);
    return await this.#deliveries.page(endpoint.id, query, context.signal);
  }

  redeliver(principal: Principal, id: string, delivery: string, context: RequestContext): Promise<WebhookDelivery> {
    return this.#editor.redeliver(principal, id, delivery, context);
  }

  publish(
    namespace: string,
    event: WebhookEvent,
    context: Pick<RequestContext, "signal">,
  ): Promise<WebhookPublication> {
    return this.#publisher.publish(namespace, event, context);
  }

  /** As `NamespacedService.purge`. Whoever has the name by now loses nothing. */
  async purge(namespace: string, signal: AbortSignal): Promise<void> {
    this.#subscriptions.changed(namespace);
    this.#deliverer.drop(namespace);
    while (await this.#deliveries.purge(namespace, signal)) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      signal.throwIfAborted();
    }
    await this.#options.control.run(this.#endpoints.purge(namespace), signal);
    this.#subscriptions.changed(namespace);
  }

  async usage(namespace: string, signal: AbortSignal): Promise<Usage> {
    const { control } = this.#options;
    const { rows: [row] } = await control.run<{ webhooks: number; waiting: number }>(
      control.db.selectNoFrom((eb) => [
        eb.selectFrom("webhook_endpoints").select((of) => of.fn.countAll<number>().as("n"))
          .where("namespace", "=", namespace).as("webhooks"),
        eb.selectFrom("webhook_deliveries").select((of) => of.fn.countAll<number>().as("n"))
          .where("namespace", "=", namespace).where("state", "=", "waiting").as("waiting"),
      ]),
      signal,
    );
    return { webhooks: row!.webhooks, webhook_deliveries: row!.waiting };
  }

  #look(): void {
    if (this.#started) this.#deliverer.look();
  }
}
