import { invalidResponse, OramaError } from "../errors.ts";
import { Pace } from "./pace.ts";
import type { RealtimeClock, SocketConstructor, SocketLike } from "./platform.ts";
import { endOfClose, endOfRefusal, errorIn, type Granted, grantedIn, type LinkEnd, type Told, toldIn } from "./wire.ts";

/** Whom a link tells. */
export interface LinkOwner {
  /** The gateway took the credential. */
  granted(granted: Granted): void;
  /** What is no answer. */
  told(told: Told): void;
  /** Nothing comes any more. Not told where the owner closed it. */
  ended(end: LinkEnd): void;
}

/** How a link is made. */
export interface LinkOptions {
  readonly url: string;
  readonly credential: string | undefined;
  readonly webSocket: SocketConstructor;
  readonly clock: Pick<RealtimeClock, "after" | "monotonic">;
  /** Milliseconds within which a gateway that lives is heard of after a ping. */
  readonly pingTimeout: number;
}

/** How a command goes. */
export interface AskOptions {
  /** Told when it leaves. */
  readonly sent?: () => void;
  /** Published to this topic: refused together with what was published there before, and was refused for now. */
  readonly topic?: string | undefined;
  /** Goes before all that waits. */
  readonly isUrgent?: boolean;
}

interface Asked extends AskOptions {
  readonly members: string;
  readonly answered: (told: Told) => void;
  isWithdrawn: boolean;
  /** Set when it leaves. */
  id: number | undefined;
  /** Called when it is answered, or nobody waits for that any more. */
  over: () => void;
}

/** Milliseconds in which a close comes behind an error; Node's first sockets say nothing where there was no connection. */
const CLOSE_FOLLOWS = 1_000;

/** Bytes that a command takes beside its own members. */
const ROOM_FOR_IDS = 64;

/** Sent to a gateway that does not keep to the protocol. Pages may use no code below 3000 but 1000. */
const NOT_THE_PROTOCOL = 4400;

/** One connection, from `connect` to its end. Answers are handed over in the order in which they come, between what else comes. */
export class Link {
  /** As which it is there. */
  credential: string | undefined;
  readonly #socket: SocketLike;
  readonly #owner: LinkOwner;
  readonly #options: LinkOptions;
  /** Those that are not answered yet. */
  readonly #answers = new Map<number, Asked>();
  /** By topic those of them that publish, oldest first. */
  readonly #publishing = new Map<string, Set<number>>();
  #ids = 0;
  #urgent: Asked[] = [];
  #queue: Asked[] = [];
  /** Where the next of them lies. */
  #next = 0;
  #isFlushing = false;
  #granted: Granted | undefined;
  /** Nobody is known before that, and asks for more than one. */
  #pace = new Pace({ perSecond: 0, burst: 1, large: Infinity, unanswered: Infinity });
  #heard = false;
  #asksForLife = false;
  #ended = false;
  #stopWatch = () => {};
  #stopPause = () => {};

  /** @throws whatever the platform throws for an address that it does not connect to */
  constructor(options: LinkOptions, owner: LinkOwner) {
    const { url, credential, webSocket } = options;
    this.credential = credential;
    this.#options = options;
    this.#owner = owner;
    const socket = new webSocket(url, ["orama.v1"]);
    this.#socket = socket;
    socket.addEventListener("open", () => this.#connect());
    socket.addEventListener("message", ({ data }) => this.#take(data));
    socket.addEventListener("error", () => this.#broken());
    socket.addEventListener("close", ({ code, reason }) => this.#finish(endOfClose(code, reason)));
  }

  /** Whether a gateway takes a command of this text. */
  fits(members: string): boolean {
    const room = (this.#granted?.maxFrameBytes ?? 0) - ROOM_FOR_IDS;
    return members.length * 3 <= room || new TextEncoder().encode(members).length <= room;
  }

  /**
   * Sends a command, with others of this turn, as soon as the gateway takes so many.
   * @param members as JSON text of an object
   * @param answered is given its answer
   * @returns what takes it back: if it has not left, it never does, and its answer is not waited for
   */
  ask(members: string, answered: (told: Told) => void, options: AskOptions = {}): () => void {
    const asked: Asked = { ...options, members, answered, isWithdrawn: false, id: undefined, over: () => {} };
    (options.isUrgent ? this.#urgent : this.#queue).push(asked);
    this.#soon();
    return () => {
      asked.isWithdrawn = true;
      if (asked.id !== undefined) this.#over(asked.id, asked);
    };
  }

  /** Finds out whether the gateway is there, now. */
  probe(): void {
    if (this.#granted !== undefined && !this.#asksForLife) this.#ping();
  }

  /** Ends it, and tells nobody. */
  close(): void {
    if (this.#ended) return;
    this.#flush();
    this.#end();
    this.#socket.close(1000);
  }

  /** Ends it, and tells the owner. */
  fail(error: OramaError): void {
    this.#finish({ error, verdict: "again" }, 1000);
  }

  #connect(): void {
    if (this.#ended) return;
    const { credential } = this;
    this.ask(JSON.stringify({ type: "connect", token: credential }), (told) => {
      if (told.type === "error") return this.#finish(endOfRefusal(errorIn(told)), 1000);
      this.#granted = grantedIn(told);
      this.#pace = new Pace(this.#granted.pace);
      this.#watch(this.#granted.pingInterval);
      this.#owner.granted(this.#granted);
    }, { isUrgent: true });
  }

  #soon(): void {
    if (this.#isFlushing || this.#ended) return;
    this.#isFlushing = true;
    queueMicrotask(() => this.#flush());
  }

  /** Sends what may go now, and comes back for the rest. */
  #flush(): void {
    this.#isFlushing = false;
    if (this.#ended) return;
    this.#stopPause();
    const now = this.#options.clock.monotonic(), urgent = this.#urgent, lines: string[] = [];
    this.#urgent = [];
    for (const asked of urgent) if (!asked.isWithdrawn) lines.push(this.#leave(asked, now));
    for (; this.#next < this.#queue.length; this.#next++) {
      const asked = this.#queue[this.#next]!;
      if (asked.isWithdrawn) continue;
      const delay = this.#pace.delay(now, asked.members.length);
      if (delay > 0) {
        if (delay < Infinity) this.#stopPause = this.#options.clock.after(Math.ceil(delay), () => this.#soon());
        break;
      }
      lines.push(this.#leave(asked, now));
    }
    if (this.#next * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#next);
      this.#next = 0;
    }
    this.#frames(lines);
  }

  #leave(asked: Asked, now: number): string {
    const { members, topic, sent } = asked, id = ++this.#ids;
    const answered = this.#pace.take(now, members.length);
    const before = topic === undefined ? undefined : this.#publishing.get(topic) ?? new Set<number>();
    const [oldest] = before ?? [];
    if (topic !== undefined) this.#publishing.set(topic, before!.add(id));
    asked.id = id;
    asked.over = () => {
      answered();
      if (before?.delete(id) && before.size === 0) this.#publishing.delete(topic!);
    };
    this.#answers.set(id, asked);
    sent?.();
    return `{"id":${id},${oldest === undefined ? "" : `"after":${oldest},`}${members.slice(1)}`;
  }

  #over(id: number, asked: Asked): void {
    if (!this.#answers.delete(id)) return;
    asked.over();
    if (this.#queue.length > 0) this.#soon();
  }

  #frames(lines: readonly string[]): void {
    const { maxFrameBytes: room = Infinity, maxFrameCommands: most = 1 } = this.#granted ?? {};
    let from = 0, size = 0;
    for (const [at, line] of lines.entries()) {
      // More than three bytes no character has; counting them would cost as much as sending them.
      const bytes = line.length * 3 + 1;
      if (at > from && (size + bytes > room || at - from >= most)) {
        this.#send(lines.slice(from, at));
        from = at;
        size = 0;
      }
      size += bytes;
    }
    if (from < lines.length) this.#send(lines.slice(from));
  }

  #send(lines: readonly string[]): void {
    if (!this.#ended) this.#socket.send(lines.join("\n"));
  }

  #take(data: unknown): void {
    this.#heard = true;
    try {
      for (const told of toldIn(data)) {
        if (this.#ended) return;
        this.#dispatch(told);
      }
    } catch (error) {
      const wrong = error instanceof OramaError ? error : invalidResponse("it cannot be read", { cause: error });
      this.#finish({ error: wrong, verdict: "again" }, NOT_THE_PROTOCOL);
    }
  }

  #dispatch(told: Told): void {
    if (told.type !== "ok" && told.type !== "error") {
      if (this.#granted !== undefined) this.#owner.told(told);
      return;
    }
    const id = told.id as number, asked = this.#answers.get(id);
    if (asked === undefined) return;
    this.#over(id, asked);
    asked.answered(told);
  }

  #watch(milliseconds: number): void {
    this.#stopWatch();
    this.#stopWatch = this.#options.clock.after(milliseconds, () => this.#ping());
  }

  /** A socket whose other end is gone without a word says nothing of it for minutes. */
  #ping(): void {
    const { clock, pingTimeout } = this.#options;
    this.#heard = false;
    this.#asksForLife = true;
    this.ask('{"type":"ping"}', () => {}, { isUrgent: true });
    this.#stopWatch();
    this.#stopWatch = clock.after(pingTimeout, () => {
      this.#asksForLife = false;
      if (this.#heard) return this.#watch(this.#granted!.pingInterval);
      this.fail(new OramaError("nothing is heard of the gateway any more", { code: "NETWORK_ERROR" }));
    });
  }

  /** An error says nothing: why it was, the close does. */
  #broken(): void {
    if (this.#ended) return;
    this.#stopWatch();
    this.#stopWatch = this.#options.clock.after(CLOSE_FOLLOWS, () => this.#finish(endOfClose(undefined, undefined)));
  }

  #finish(end: LinkEnd, code?: number): void {
    if (this.#ended) return;
    this.#end();
    if (code !== undefined) this.#socket.close(code);
    this.#owner.ended(end);
  }

  #end(): void {
    this.#ended = true;
    this.#stopWatch();
    this.#stopPause();
    this.#answers.clear();
    this.#queue = this.#urgent = [];
  }
}
