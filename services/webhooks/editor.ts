import type { Principal } from "../../src/contracts/identity.ts";
import type { RequestContext } from "../../src/contracts/request.ts";
import type {
  WebhookAlgorithm,
  WebhookDelivery,
  WebhookEndpoint,
  WebhookSecret,
  WebhookWanted,
} from "../../src/contracts/webhooks.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import type { ControlAuditLog } from "../control_plane/audit.ts";
import { ConstraintViolation, type ControlDatabase, type ControlQuery } from "../control_plane/control_database.ts";
import type { RevocationFeed } from "../control_plane/revocations.ts";
import type { WebhookRulesOf } from "./bounds.ts";
import { checkedDescription, checkedEvents, checkedUrl, checkedWanted } from "./checks.ts";
import { deliveryOf, type DeliveryRow, type DeliveryRows } from "./delivery_rows.ts";
import { endpointOf, type EndpointRow, type EndpointRows } from "./endpoint_rows.ts";
import { gone, noDelivery, noEndpoint, noRoom, tooMany } from "./failures.ts";
import { type Keys, rotated } from "./keys.ts";

/** What changing endpoints needs. */
export interface EditorParts {
  readonly control: ControlDatabase;
  readonly revocations: Pick<RevocationFeed, "entry" | "pull">;
  readonly audit: Pick<ControlAuditLog, "entry">;
  readonly endpoints: EndpointRows;
  readonly deliveries: DeliveryRows;
  readonly keys: Keys;
  readonly rulesOf: WebhookRulesOf;
  /** Unix milliseconds. */
  readonly now: () => number;
  readonly random: (n: number) => Uint8Array;
}

/** Milliseconds for recording a change: the client may have left by then. */
const RECORDING = 10_000;

/** Makes, shows and changes endpoints, each change in one transaction with its audit entry and its revocation. */
export class Editor {
  constructor(private readonly parts: EditorParts) {}

  /** As `Webhooks.list`. */
  async list(namespace: string, { signal }: RequestContext): Promise<readonly WebhookEndpoint[]> {
    return (await this.parts.endpoints.of(namespace, signal)).map((row) => endpointOf(row, this.parts.now()));
  }

  /** As `Webhooks.get`. */
  async get(namespace: string, id: string, context: RequestContext): Promise<WebhookEndpoint> {
    return endpointOf(await this.row(namespace, id, context), this.parts.now());
  }

  /** The row of an endpoint. @throws GatewayError `NOT_FOUND` */
  async row(namespace: string, id: string, { signal }: Pick<RequestContext, "signal">): Promise<EndpointRow> {
    const row = await this.parts.endpoints.find(namespace, id, signal);
    if (row === undefined) throw noEndpoint();
    return row;
  }

  /** As `Webhooks.create`. */
  async create(
    principal: Principal,
    { algorithm, ...wanted }: WebhookWanted & { readonly algorithm: WebhookAlgorithm },
    context: RequestContext,
  ): Promise<WebhookSecret> {
    const checked = checkedWanted(wanted);
    const { namespace, subject: by } = principal;
    const { endpoints, keys, now, random, rulesOf } = this.parts;
    const { maxEndpoints: most } = await rulesOf(namespace, context);
    const namespaceCreatedAt = await endpoints.madeAt(namespace, context.signal);
    if (namespaceCreatedAt === undefined) throw gone();
    const id = `whe_${random(16).toHex()}`, at = now();
    const { key, secret } = await keys.make({ id, namespace, namespace_created_at: namespaceCreatedAt, algorithm });
    const insertion = endpoints.insertion({
      ...checked,
      id,
      namespace,
      namespaceCreatedAt,
      algorithm,
      keys: JSON.stringify([key]),
      by,
      at,
      most,
    });
    const row = await this.#change<EndpointRow>([insertion], principal, context, "webhook.created", id).catch(
      (error) => {
        throw error instanceof ConstraintViolation && error.subject.includes("created_by")
          ? tooMany(most, error)
          : error;
      },
    );
    return { endpoint: endpointOf(row!, at), secret };
  }

  /** As `Webhooks.change`. */
  async change(
    principal: Principal,
    id: string,
    { url, events, description, enabled }: { readonly [Name in keyof WebhookWanted]?: WebhookWanted[Name] | undefined },
    context: RequestContext,
  ): Promise<WebhookEndpoint> {
    const checked = {
      url: url === undefined ? undefined : checkedUrl(url),
      events: events === undefined ? undefined : checkedEvents(events),
      description: description === undefined ? undefined : checkedDescription(description),
      enabled,
    };
    const { endpoints, now } = this.parts;
    const changing = endpoints.changing(await this.row(principal.namespace, id, context), checked, now());
    const row = await this.#change<EndpointRow>([changing], principal, context, "webhook.changed", id);
    if (row === undefined) throw noEndpoint();
    return endpointOf(row, now());
  }

  /** As `Webhooks.delete`. */
  async delete(principal: Principal, id: string, context: RequestContext): Promise<void> {
    const deletion = this.parts.endpoints.deletion(await this.row(principal.namespace, id, context));
    const row = await this.#change([deletion], principal, context, "webhook.deleted", id);
    if (row === undefined) throw noEndpoint();
  }

  /** As `Webhooks.rotate`. */
  async rotate(principal: Principal, id: string, context: RequestContext): Promise<WebhookSecret> {
    const { endpoints, keys, now } = this.parts;
    const found = await this.row(principal.namespace, id, context);
    const { key, secret } = await keys.make(found);
    const rekeying = endpoints.rekeying(found, rotated(found.keys, key, now()), now());
    const row = await this.#change<EndpointRow>([rekeying], principal, context, "webhook.rotated", id);
    if (row === undefined) {
      throw new GatewayError("CONFLICT", "the webhook was changed or deleted meanwhile; its keys are as they were");
    }
    return { endpoint: endpointOf(row, now()), secret };
  }

  /** As `Webhooks.redeliver`. */
  async redeliver(
    principal: Principal,
    id: string,
    delivery: string,
    context: RequestContext,
  ): Promise<WebhookDelivery> {
    const { deliveries, now, rulesOf } = this.parts;
    const rules = await rulesOf(principal.namespace, context);
    const endpoint = await this.row(principal.namespace, id, context);
    const found = await deliveries.find(endpoint.id, delivery, context.signal);
    if (found === undefined) throw noDelivery();
    if (found.state !== "dead") {
      throw new GatewayError("CONFLICT", `the delivery is ${found.state}: only what is dead is sent anew`);
    }
    const row = await this.#change<DeliveryRow>(
      [deliveries.reviving(found, rules, now()), deliveries.hastening([endpoint.id])],
      principal,
      context,
      "webhook.redelivered",
      delivery,
    );
    if (row !== undefined) return deliveryOf(row);
    const { maxWaiting, maxWaitingBytes } = rules;
    const isFull = await deliveries.waiting(endpoint.id, context.signal) >= maxWaiting;
    throw isFull ? noRoom("waiting", maxWaiting) : noRoom("waiting_bytes", maxWaitingBytes);
  }

  /** @returns the row that the first query gave */
  async #change<Row>(
    queries: readonly ControlQuery[],
    { namespace, subject }: Principal,
    context: RequestContext,
    action: string,
    resource: string,
  ): Promise<Row | undefined> {
    const { control, revocations, audit } = this.parts;
    context.signal.throwIfAborted();
    try {
      const [result] = await control.atomically([
        ...queries,
        revocations.entry("webhooks", namespace),
        audit.entry({ namespace, actor: subject, action, resource }, context),
      ], AbortSignal.timeout(RECORDING));
      await revocations.pull();
      return result!.rows[0] as Row | undefined;
    } catch (error) {
      if (!(error instanceof ConstraintViolation)) throw error;
      if (error.subject.includes("namespace") || error.kind === "foreign_key") throw gone(error);
      throw error;
    }
  }
}
