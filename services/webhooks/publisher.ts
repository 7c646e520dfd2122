import type { RequestContext } from "../../src/contracts/request.ts";
import type { WebhookEvent, WebhookPublication } from "../../src/contracts/webhooks.ts";
import { abortable } from "../clock/abortable.ts";
import type { ControlDatabase } from "../control_plane/control_database.ts";
import type { WebhookRulesOf } from "./bounds.ts";
import { bodyOf, checkEventId, checkType, isWanted } from "./checks.ts";
import type { DeliveryRows, NewDelivery, Room } from "./delivery_rows.ts";
import type { Subscriptions } from "./subscriptions.ts";

/** What publishing needs. */
export interface PublisherParts {
  readonly control: ControlDatabase;
  readonly deliveries: DeliveryRows;
  readonly subscriptions: Subscriptions;
  readonly rulesOf: WebhookRulesOf;
  /** Unix milliseconds. */
  readonly now: () => number;
  readonly random: (n: number) => Uint8Array;
  /** Told that something was written down. */
  readonly onQueued: () => void;
}

/** Milliseconds for writing an event down. */
const RECORDING = 10_000;

/** Writes down events for the endpoints that want them. */
export class Publisher {
  /** Events that found no room, since the start. */
  dropped = 0;

  constructor(private readonly parts: PublisherParts) {}

  /** As `Webhooks.publish`. */
  async publish(
    namespace: string,
    { id: given, type, data }: WebhookEvent,
    { signal }: Pick<RequestContext, "signal">,
  ): Promise<WebhookPublication> {
    checkType(type);
    if (given !== undefined) checkEventId(given);
    const { subscriptions, random, now } = this.parts;
    const id = given ?? `evt_${random(16).toHex()}`;
    const subscribers = await abortable(subscriptions.of(namespace), signal);
    const wanting = subscribers.filter(({ events }) => events.some((pattern) => isWanted(pattern, type)));
    if (wanting.length === 0) return { id, queued: 0, dropped: 0 };
    const rules = await abortable(this.parts.rulesOf(namespace, { signal }), signal);
    const at = now();
    const body = bodyOf({ id, type, namespace, data }, at, rules.maxEventBytes);
    const endpoints = wanting.map((endpoint) => endpoint.id);
    const queued = await this.#write(endpoints, { namespace, eventId: id, type, ...body, at }, rules);
    const left = endpoints.filter((endpoint) => !queued.has(endpoint));
    const dropped = left.length === 0 ? 0 : await this.parts.deliveries.lacking(left, id, signal);
    this.dropped += dropped;
    if (queued.size > 0) this.parts.onQueued();
    return { id, queued: queued.size, dropped };
  }

  async #write(
    endpoints: readonly string[],
    event: Omit<NewDelivery, "id" | "endpointId">,
    room: Room,
  ): Promise<ReadonlySet<string>> {
    const { control, deliveries, random } = this.parts;
    const insertions = endpoints.map((endpointId) =>
      deliveries.insertion({ ...event, endpointId, id: `whd_${random(16).toHex()}` }, room)
    );
    const results = await control.atomically(
      [...insertions, deliveries.hastening(endpoints)],
      AbortSignal.timeout(RECORDING),
    );
    return new Set(endpoints.filter((_, at) => results[at]!.rows.length > 0));
  }
}
