import { GatewayError } from "../../src/contracts/errors.ts";
import type { Principal } from "../../src/contracts/identity.ts";
import type { Place, Watched } from "../../src/contracts/live_connections.ts";
import type { Delivery, Payload, Subscriber, Subscription } from "../../src/contracts/pubsub.ts";
import type { Services } from "../../src/contracts/services.ts";
import type { PubSubRules } from "../../src/contracts/settings.ts";
import { callerOf, mayUse } from "../../src/contracts/topic_rights.ts";
import type { LiveContext } from "../../src/http/live/context.ts";
import { envelopes, envelopeText } from "../../src/http/live/encodings.ts";
import { Outbox, pieceOf } from "../../src/http/live/outbox.ts";
import { Pace } from "../../src/http/live/pace.ts";
import type { LiveSocket, SocketHandler } from "../../src/http/live/socket.ts";
import { assertMayUse, Standing } from "../../src/http/live/standing.ts";

/** Characters of a frame that may be a sign of life, and none to be published. */
const MAX_PING = 1_024;
/** Bytes that may wait to be published: more than that comes only where the service cannot say yet what is allowed. */
const MAX_UNPUBLISHED = 4 * 2 ** 20;
/** Deliveries that may come before the socket is open. */
const MAX_EARLY = 1_000;

const encoder = new TextEncoder();
const utf8 = new TextDecoder();

/** What the socket of one topic is made of. */
export interface TopicSocketParts {
  readonly services: Pick<Services, "authenticator" | "pubsub" | "connections">;
  readonly topic: string;
  /** As whom it is present, if it is. */
  readonly member: string | undefined;
  readonly principal: Principal;
  /** The credential that proved the principal. */
  readonly credential: string;
  readonly rules: PubSubRules;
  readonly context: LiveContext;
  readonly place: Place;
  /** Whether the client takes frames that tell of gaps. */
  readonly gaps: boolean;
}

/** A socket of one topic, as older clients know it: every frame is a message, in both directions. */
export class TopicSocket implements Subscriber, SocketHandler, Watched {
  subscription: Subscription | undefined = undefined;
  readonly #parts: TopicSocketParts;
  readonly #standing: Standing;
  readonly #pace: Pace;
  #socket: LiveSocket | undefined;
  #outbox: Outbox | undefined;
  #failed: (error: unknown) => void = () => {};
  #unwatch = () => {};
  /** What came before the socket was open. */
  #early: Delivery[] = [];
  /** The last publication, while it is under way: the next must not overtake it. */
  #publishing: Promise<void> | undefined;
  #unpublished = 0;
  /** Whether it may be told who comes and leaves. */
  #mayHear: boolean;
  #over = false;

  constructor(parts: TopicSocketParts) {
    const { services: { authenticator, connections }, credential, principal, topic } = this.#parts = parts;
    this.#mayHear = mayUse(principal, "presence", topic);
    const monotonic = () => connections.monotonic();
    this.#standing = new Standing(authenticator, credential, principal, monotonic, (now) => this.#changed(now));
    this.#pace = new Pace(connections.settings.commandsPerSecond);
  }

  /** The socket is open. */
  opened(socket: LiveSocket, failed: (error: unknown) => void): this {
    const { services: { connections }, rules, gaps } = this.#parts;
    this.#socket = socket;
    this.#failed = failed;
    this.#outbox = new Outbox({
      socket,
      connections,
      bounds: rules,
      joins: false,
      gap: (topic, position) => gaps ? envelopeText(topic, { kind: "gap", reason: "slow", position }) : undefined,
      slow: () => this.#end(4409, "what was sent was not read"),
      stuck: () => this.#end(4408, "nothing was read for too long"),
    });
    this.#unwatch = connections.watch(this);
    const early = this.#early;
    this.#early = [];
    for (const delivery of early) this.deliver(delivery);
    if (this.#over) this.#close(1011, "the subscription has ended");
    return this;
  }

  deliver(delivery: Delivery): void {
    if (this.#over) return;
    if (this.#outbox === undefined) {
      if (this.#early.push(delivery) > MAX_EARLY) this.leave();
      return;
    }
    const pieces = delivery.as(envelopes);
    for (const [i, piece] of pieces.entries()) {
      const { kind } = delivery.events[i]!;
      // A client that knows of none would take it for a message.
      if (kind === "gap" && !this.#parts.gaps) continue;
      if (!this.#mayHear && (kind === "join" || kind === "leave")) continue;
      this.#outbox.put(piece);
    }
  }

  ended(): void {
    this.#end(4403, "the topic is gone, or the gateway stops");
  }

  message(data: string | ArrayBuffer): void {
    if (this.#over) return;
    const bytes = typeof data === "string" ? encoder.encode(data) : new Uint8Array(data);
    const { rules, services: { connections }, topic } = this.#parts;
    if (bytes.length > rules.maxMessageBytes) return this.#end(1009, "the message is too large");
    const now = connections.monotonic();
    const verdict = this.#pace.take(now, bytes.length);
    if (verdict === "flood") return this.#end(4429, "too many messages");
    if (isPing(data, bytes)) return;
    try {
      if (verdict === "refused") throw tooMany(this.#pace.retryAfter(now));
      assertMayUse(this.#standing.principal, "publish", topic);
      if (this.#unpublished + bytes.length > MAX_UNPUBLISHED) throw tooMany(1);
      this.#publish({ data: bytes, json: false });
    } catch (error) {
      this.#tell(error);
    }
  }

  closed(code: number, owed: boolean): void {
    if (!this.#over) this.#parts.services.connections.ended(code === 1006 || code === 1001 ? code : 1000);
    this.leave();
    this.#parts.place.release(owed);
  }

  look(now: number): void {
    this.#outbox?.look(this.#parts.services.connections.settings.idleTimeout);
    const ending = this.#standing.check(now);
    if (ending) this.#end(ending.code, ending.reason);
  }

  stop(): void {
    this.#end(1001, "the gateway stops");
  }

  /** Ends what this socket has a part in. Does nothing the second time. */
  leave(): void {
    if (this.#over) return;
    this.#over = true;
    this.#unwatch();
    this.subscription?.close();
    this.#outbox?.close();
    this.#early = [];
    this.#parts.place.leave();
    this.#parts.context.end();
  }

  /** Whether it is over already. */
  get over(): boolean {
    return this.#over;
  }

  #changed(principal: Principal): void {
    const { topic, member } = this.#parts;
    this.#mayHear = mayUse(principal, "presence", topic);
    const mayBePresent = principal.memberId === undefined || principal.memberId === member;
    const holds = mayUse(principal, "subscribe", topic) && (member === undefined || mayBePresent && this.#mayHear);
    if (!holds) this.#end(4403, "the right to the topic was lost");
  }

  #publish(payload: Payload): void {
    if (this.#publishing === undefined) {
      const now = this.#hand(payload);
      if (now instanceof Promise) this.#after(payload, now);
    } else this.#after(payload, this.#publishing.then(() => this.#over ? undefined : this.#hand(payload)));
  }

  #hand(payload: Payload): void | Promise<void> {
    const { services: { pubsub }, topic, context } = this.#parts;
    const { principal } = this.#standing;
    const publisher = context.as(callerOf(principal));
    const published = pubsub.publish(principal.namespace, topic, [payload], {}, publisher);
    if (published instanceof Promise) return published.then(() => {});
  }

  #after({ data }: Payload, work: Promise<void>): void {
    this.#unpublished += data.length;
    const done = work.catch((error) => this.#tell(error)).then(() => {
      this.#unpublished -= data.length;
      if (this.#publishing === done) this.#publishing = undefined;
    });
    this.#publishing = done;
  }

  /** Tells that something was not published. Older clients report a frame without data as an error. */
  #tell(error: unknown): void {
    if (this.#over) return;
    const known = error instanceof GatewayError ? error : new GatewayError("INTERNAL", "internal error");
    if (known !== error || known.cause !== undefined) this.#failed(error);
    const { code, message, extra: { retryAfter: retry_after } } = known;
    const { topic } = this.#parts;
    this.#outbox?.put(pieceOf(JSON.stringify({ type: "error", code, error: message, retry_after, topic })));
  }

  #end(code: number, reason: string): void {
    if (this.#over) return;
    if (this.#socket?.bufferedAmount === 0) this.#outbox?.flush();
    this.leave();
    this.#close(code, reason);
  }

  #close(code: number, reason: string): void {
    if (this.#socket === undefined) return;
    this.#parts.services.connections.ended(code);
    this.#socket.close(code, reason);
  }
}

/** Whether a frame is the sign of life of older clients: a JSON object whose `type` is `ping`. */
function isPing(data: string | ArrayBuffer, bytes: Uint8Array): boolean {
  if (bytes.length > MAX_PING) return false;
  const text = (typeof data === "string" ? data : utf8.decode(bytes)).trimStart();
  // Escapes may hide the word; they are rare enough to be looked at.
  if (text[0] !== "{" || !/"ping"|\\u/.test(text)) return false;
  try {
    return (JSON.parse(text) as { readonly type?: unknown }).type === "ping";
  } catch {
    return false;
  }
}

const tooMany = (retryAfter: number) =>
  new GatewayError("RATE_LIMITED", "too many messages came over this socket", { retryAfter });
