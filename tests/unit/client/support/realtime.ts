import { createClient, OramaError, type SubscribeOptions } from "../../../../src/client/index.ts";
import { Connection } from "../../../../src/client/realtime/connection.ts";
import type { AnyTopics, RealtimeOptions } from "../../../../src/client/realtime/options.ts";
import type { PageListener, SocketEvent, SocketLike } from "../../../../src/client/realtime/platform.ts";
import { FakeClock, settled } from "../../cache/support/fake_clock.ts";

/** A command as it came. */
export type Asked = Readonly<Record<string, unknown>> & { readonly id: number; readonly type: string };
/** What a gateway says to a command; nothing where it does not answer. */
export type Answer = Readonly<Record<string, unknown>> | undefined;

/** The client's end of a socket that is none. */
export class FakeSocket implements SocketLike {
  /** Frames as they came. */
  readonly frames: string[] = [];
  /** The code with which the client closed it. */
  closedWith: number | undefined;
  readonly #listeners = new Map<string, (event: SocketEvent) => void>();

  constructor(
    readonly url: string,
    readonly protocols: readonly string[],
    private readonly received: (socket: FakeSocket, asked: Asked) => void,
  ) {}

  send(text: string): void {
    this.frames.push(text);
    for (const line of text.split("\n")) this.received(this, JSON.parse(line));
  }

  close(code?: number): void {
    this.closedWith ??= code;
  }

  addEventListener(type: string, listener: (event: SocketEvent) => void): void {
    this.#listeners.set(type, listener);
  }

  /** All commands that came, without what keeps the connection. */
  get asked(): Asked[] {
    const all = this.frames.flatMap((frame) => frame.split("\n").map((line) => JSON.parse(line) as Asked));
    return all.filter(({ type }) => type !== "connect" && type !== "ping");
  }

  open(): void {
    this.#dispatch({ type: "open" });
  }

  /** Tells the client something, all in one frame. */
  tell(...objects: readonly unknown[]): void {
    this.raw(objects.map((object) => JSON.stringify(object)).join("\n"));
  }

  /** A frame, well-formed or not. */
  raw(data: unknown): void {
    this.#dispatch({ type: "message", data });
  }

  /** Something is wrong, and no close comes behind it. */
  error(): void {
    this.#dispatch({ type: "error" });
  }

  /** The gateway's end closes it, or it breaks off. */
  drop(code = 1006, reason = ""): void {
    this.error();
    this.#dispatch({ type: "close", code, reason });
  }

  #dispatch(event: SocketEvent): void {
    this.#listeners.get(event.type)?.(event);
  }
}

/** A gateway on sockets that are none, a clock that stands still, and the client that talks to it. */
export class Subject {
  readonly clock = new FakeClock();
  readonly sockets: FakeSocket[] = [];
  /** What is answered, by the type of the command. */
  readonly answers: Record<string, (asked: Asked, socket: FakeSocket) => Answer> = {
    connect: () => ({ type: "ok", client: "c", namespace: "n", ping_interval: 25_000, max_frame_bytes: 65_536 }),
    subscribe: () => ({ type: "ok", position: "p0", missed: [] }),
    unsubscribe: () => ({ type: "ok" }),
    publish: () => ({ type: "ok", position: "p1", repeated: false }),
    refresh: () => ({ type: "ok", expires_at: 2 }),
    ping: () => ({ type: "ok" }),
  };
  /** Whether a socket that is made opens. */
  opens = true;
  random = 1;
  page: PageListener | undefined;
  readonly states: unknown[] = [];

  /** The client connects as soon as it is made. */
  make<Topics extends object = AnyTopics>(options: RealtimeOptions = {}): Connection<Topics> {
    const opened = (socket: FakeSocket) => {
      this.sockets.push(socket);
      queueMicrotask(() => this.opens && socket.open());
    };
    const received = (socket: FakeSocket, asked: Asked) => this.#answer(socket, asked);
    class Socket extends FakeSocket {
      constructor(url: string, protocols: string[]) {
        super(url, protocols, received);
        opened(this);
      }
    }
    const client = createClient({ url: "https://gateway.example/base", apiKey: "ak_secret" });
    const connection = new Connection<Topics>(client, { webSocket: Socket, ...options }, {
      clock: {
        after: (milliseconds, run) => this.clock.after(milliseconds, run),
        random: () => this.random,
        monotonic: () => this.clock.monotonic(),
      },
      watchPage: (listener) => {
        this.page = listener;
        return () => this.page = undefined;
      },
    });
    connection.on("state", ({ state, error, retryIn }) => {
      this.states.push(
        state === "waiting" ? [state, retryIn] : error instanceof OramaError ? [state, error.code] : state,
      );
    });
    return connection;
  }

  /** Makes the client, and waits until it is connected. */
  async connect<Topics extends object = AnyTopics>(options: RealtimeOptions = {}): Promise<Connection<Topics>> {
    const connection = this.make<Topics>(options);
    await settled();
    return connection;
  }

  /** The last socket. */
  get socket(): FakeSocket {
    return this.sockets.at(-1)!;
  }

  /** The connection breaks off, and is made again. */
  async breakOff(code?: number): Promise<void> {
    this.socket.drop(code);
    await this.clock.advance(30_000);
  }

  #answer(socket: FakeSocket, asked: Asked): void {
    const answer = this.answers[asked.type]?.(asked, socket);
    // A gateway answers later, and only where the client still is.
    if (answer !== undefined) queueMicrotask(() => socket.tell({ id: asked.id, ...answer }));
  }
}

/** A message as a gateway tells it. */
export const message = (topic: string, data: unknown, position?: string): Readonly<Record<string, unknown>> => ({
  type: "message",
  topic,
  data,
  at: 1,
  position,
});

/** Whether an error has this code. */
export const withCode = (code: string) => (error: unknown): boolean =>
  error instanceof OramaError && error.code === code;

/** A subscription that is live, and the events that it tells. */
export async function listening(options: SubscribeOptions = {}) {
  const subject = new Subject();
  const realtime = await subject.connect();
  const subscription = realtime.subscribe("t", options);
  const events: unknown[] = [], states: unknown[] = [];
  subscription.on("message", ({ data }) => events.push(data));
  subscription.on("join", ({ member, at }) => events.push(["join", member.id, at]));
  subscription.on("leave", ({ member, at }) => events.push(["leave", member.id, at]));
  subscription.on("gap", ({ reason, since, position }) => events.push(["gap", reason, since, position]));
  subscription.on(
    "recovered",
    ({ recovered, reason, missed }) => events.push(["recovered", recovered, reason, missed]),
  );
  subscription.on("state", ({ state }) => states.push(state));
  await settled();
  return { subject, realtime, subscription, events, states };
}
