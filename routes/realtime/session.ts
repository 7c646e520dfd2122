import { GatewayError, hasCode } from "../../src/contracts/errors.ts";
import type { Principal } from "../../src/contracts/identity.ts";
import type { Place, Watched } from "../../src/contracts/live_connections.ts";
import type { Message } from "../../src/contracts/pubsub.ts";
import type { PubSubRules } from "../../src/contracts/settings.ts";
import { maxFrameBytes } from "../../src/http/live/admission.ts";
import type { LiveContext } from "../../src/http/live/context.ts";
import { gapText } from "../../src/http/live/encodings.ts";
import { type Bounds, Outbox, pieceOf } from "../../src/http/live/outbox.ts";
import { Pace } from "../../src/http/live/pace.ts";
import type { LiveSocket, SocketHandler } from "../../src/http/live/socket.ts";
import { EXPIRED, Standing } from "../../src/http/live/standing.ts";
import { Commands } from "./commands.ts";
import { commandOf, failureOf, idOf, InvalidFrame, type Line, linesIn } from "./frames.ts";
import { type Known, MAX_UNKNOWN, type SessionStart, UNKNOWN_BOUNDS } from "./start.ts";
import { Subscriptions } from "./subscriptions.ts";

/** Milliseconds within which a client says who it is. */
const CONNECT_TIMEOUT = 10_000;
/** Milliseconds before the end of a credential at which its holder is told. */
const NOTICE = 30_000;
/** Frames of the largest size that may wait. */
const FRAMES_WAITING = 4;
/** What may be under way at once, and how much of that a command takes whose answer may be large. */
const AT_ONCE = 128, LARGE = 32;

/** One socket of the multiplexed protocol, from its opening to its end. */
export class Session implements SocketHandler, Watched {
  readonly context: LiveContext;
  readonly origin: string | undefined;
  readonly services: SessionStart["services"];
  readonly beforeLookup: () => void;
  readonly subscriptions: Subscriptions;
  standing: Standing | undefined = undefined;
  rules: PubSubRules | undefined = undefined;
  readonly #socket: LiveSocket;
  readonly #failed: (error: unknown) => void;
  readonly #outbox: Outbox;
  readonly #pace: Pace;
  readonly #commands: Commands;
  readonly #begun: number;
  readonly #unwatch: () => void;
  #place: Place;
  /** Lines that wait: until it is known who sends them, or until answers have gone out. */
  #lines: Line[] = [];
  /** Characters of those, and of what is under way. */
  #waiting = 0;
  #held = false;
  #underWay = 0;
  #noticed: number | undefined;
  #over = false;

  /** @param failed to tell of what failed, for the log alone */
  constructor(start: SessionStart, socket: LiveSocket, failed: (error: unknown) => void) {
    const { connections } = this.services = start.services;
    this.context = start.context;
    this.origin = start.origin;
    this.beforeLookup = start.beforeLookup;
    this.#place = start.place;
    this.#socket = socket;
    this.#failed = failed;
    this.#begun = connections.monotonic();
    this.#pace = new Pace(connections.settings.commandsPerSecond);
    this.#outbox = new Outbox({
      socket,
      connections,
      bounds: UNKNOWN_BOUNDS,
      joins: true,
      gap: (topic, position) => gapText(topic, "slow", position),
      drained: () => this.#drained(),
      slow: () => this.#slow(),
      stuck: () => this.end(4408, "nothing was read for too long"),
    });
    this.subscriptions = new Subscriptions({
      pubsub: start.services.pubsub,
      put: (piece) => this.#outbox.put(piece),
      room: () => this.#bounds().maxQueueBytes,
      mayDrop: (deliveries) => this.#mayDrop(deliveries),
      lost: (topic, reason) => this.push({ type: "unsubscribed", topic, reason }),
    });
    this.#commands = new Commands(this);
    if (start.known) this.admit(start.known, undefined);
    this.#unwatch = connections.watch(this);
    start.place.whenCrowded(() => this.end(4430, "others need the room, and no credential came"));
  }

  /** From now on, this is who is here. @param place for it, where it takes another one */
  admit({ credential, principal, rules }: Known, place: Place | undefined): void {
    const { authenticator, connections } = this.services;
    const changed = (now: Principal) => {
      // One that was replaced may still be asking.
      if (this.standing === standing) this.subscriptions.keep(now);
    };
    const standing = new Standing(authenticator, credential, principal, () => connections.monotonic(), changed);
    this.standing = standing;
    this.rules = rules;
    this.#outbox.bound(rules);
    if (place !== undefined) {
      this.#place.release();
      this.#place = place;
    }
    changed(principal);
  }

  message(data: string | ArrayBuffer): void {
    if (this.#over) return;
    if (typeof data !== "string") return this.end(4400, "a frame must be text");
    if (data.length > this.#maxFrame()) return this.end(1009, "the frame is too large");
    const { connections } = this.services;
    try {
      const now = connections.monotonic();
      for (const line of linesIn(data, connections.settings.commandsPerFrame)) {
        const verdict = this.#pace.take(now, line.text.length);
        if (verdict === "flood") return this.end(4429, "too many commands");
        if (verdict === "refused") this.#refuse(line, this.#pace.retryAfter(now));
        else if (this.#waiting > FRAMES_WAITING * this.#maxFrame()) this.#refuse(line, 1);
        else {
          this.#waiting += line.text.length;
          this.#lines.push(line);
        }
      }
      this.#goOn();
    } catch (error) {
      if (!(error instanceof InvalidFrame)) throw error;
      this.end(4400, error.message);
    }
  }

  closed(code: number, owed: boolean): void {
    // What a client says may be any number: only what it means is counted.
    if (!this.#over) this.services.connections.ended(code === 1006 || code === 1001 ? code : 1000);
    this.#leave();
    this.#place.release(owed);
  }

  look(now: number): void {
    const { connections } = this.services;
    const { standing } = this;
    this.#outbox.look(connections.settings.idleTimeout);
    if (this.#over) return;
    if (standing === undefined) {
      if (connections.monotonic() - this.#begun > CONNECT_TIMEOUT) this.end(4401, "no credential came in time");
      return;
    }
    const ending = standing.check(now);
    if (ending) return this.end(ending.code, ending.reason);
    const { expiresAt } = standing.principal;
    if (expiresAt === undefined || expiresAt - now > NOTICE || this.#noticed === expiresAt) return;
    this.#noticed = expiresAt;
    this.push({ type: "expiring", expires_at: expiresAt });
  }

  stop(): void {
    this.end(1001, "the gateway stops");
  }

  /** Sends something of the gateway's own, in its place among what is delivered. */
  push(told: Readonly<Record<string, unknown>>): void {
    this.#outbox.put(pieceOf(JSON.stringify(told)));
  }

  /** Answers a command. @param members of the answer as JSON, without braces */
  answer(line: Line, members: string): void {
    const id = idOf(line);
    if (id === undefined) return;
    this.#outbox.put(pieceOf(`{"id":${JSON.stringify(id)},"type":"ok"${members === "" ? "" : `,${members}`}}`));
  }

  /** Tells the rest of what was missed in a topic, behind all that waits. @param from which message on */
  replay(topic: string, missed: readonly Message[], from: number): void {
    if (from === missed.length) return;
    this.subscriptions.replay(topic, missed, from);
    // Otherwise it goes on as soon as nothing waits.
    if (this.#outbox.waiting === 0) this.subscriptions.goOn();
  }

  /** Answers a command that failed. What is no mistake of the client's goes to the log as well. */
  fail(line: Line, error: unknown): void {
    // Its own end breaks off what is under way.
    if (this.#over) return;
    const known = error instanceof GatewayError ? error : new GatewayError("INTERNAL", "internal error");
    if (known !== error || known.cause !== undefined) this.#failed(error);
    this.push(failureOf(line, known));
  }

  /** Holds what comes back until something is done. It must not reject. */
  async hold(work: Promise<void>): Promise<void> {
    this.#held = true;
    const decided = this.#place.speaks();
    await work;
    decided();
    this.#held = false;
    this.#goOn();
  }

  /** Counts a command as under way until it is done. It must not reject. */
  async counted({ text: { length }, name, value }: Line, work: Promise<void>): Promise<void> {
    const isLarge = name === "history" || name === "presence" ||
      name === "subscribe" && (value["since"] !== undefined || value["presence"] === true);
    const weight = isLarge ? LARGE : 1;
    this.#underWay += weight;
    this.#waiting += length;
    await work;
    this.#underWay -= weight;
    this.#waiting -= length;
    this.#goOn();
  }

  /** Ends the socket; what waits goes out first, as far as it is taken. */
  end(code: number, reason: string): void {
    if (this.#over) return;
    this.services.connections.ended(code);
    if (this.#socket.bufferedAmount === 0) this.#outbox.flush();
    this.#leave();
    this.#socket.close(code, reason);
  }

  /** Whether nothing may happen any more. */
  get over(): boolean {
    return this.#over;
  }

  /** Runs what waits, as long as its answers are taken: who reads none of them gets no more of them. */
  #goOn(): void {
    if (this.#lines.length === 0) return;
    for (let at = 0; at < this.#lines.length; at++) {
      const most = this.#bounds().maxQueueBytes / 4;
      const waits = this.#outbox.waiting + this.subscriptions.waiting;
      if (this.#over || this.#held || this.#underWay >= AT_ONCE || waits > most) {
        this.#lines.splice(0, at);
        return;
      }
      const line = this.#lines[at]!;
      this.#waiting -= line.text.length;
      this.#run(line);
    }
    this.#lines = [];
  }

  #run(line: Line): void {
    if (this.#over) return;
    try {
      const command = commandOf(line);
      if (this.standing === undefined && command.type !== "connect") {
        this.fail(line, new GatewayError("UNAUTHENTICATED", "connect first: no credential has come yet"));
        return this.end(EXPIRED.code, "a command came before a credential");
      }
      this.#commands.run(line, command);
    } catch (error) {
      this.fail(line, error);
      if (hasCode(error, "TOO_MANY_SOCKETS")) this.end(4430, "too many sockets");
    }
  }

  #drained(): void {
    this.subscriptions.goOn();
    this.#goOn();
  }

  #bounds(): Bounds {
    return this.rules ?? UNKNOWN_BOUNDS;
  }

  /** What to do with so much that waits behind what was missed. */
  #mayDrop(deliveries: number): boolean {
    if (this.#bounds().slowPolicy === "drop") {
      this.services.connections.dropped(deliveries);
      return true;
    }
    // Not at once: what was delivered may be on its way to others.
    this.services.connections.soon({ run: () => this.#slow() });
    return false;
  }

  #slow(): void {
    this.end(4409, "what was sent was not read");
  }

  #refuse(line: Line, retryAfter: number): void {
    const error = new GatewayError("RATE_LIMITED", "too many commands came over this socket", { retryAfter });
    this.#commands.refused(line, error);
    this.fail(line, error);
  }

  #maxFrame(): number {
    return this.rules ? maxFrameBytes(this.rules) : MAX_UNKNOWN;
  }

  #leave(): void {
    if (this.#over) return;
    this.#over = true;
    this.#unwatch();
    this.subscriptions.close();
    this.#outbox.close();
    this.#lines = [];
    this.#place.leave();
    this.context.end();
  }
}
