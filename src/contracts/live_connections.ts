import type { Principal } from "./identity.ts";
import type { PubSubRules } from "./settings.ts";

/** How connections that stay open are kept. */
export interface LiveSettings {
  /** Milliseconds of silence, pings unanswered, after which a socket is closed. */
  readonly idleTimeout: number;
  /** Sockets without a credential, of the whole gateway. */
  readonly unauthenticated: number;
  /** Sockets and event streams of one credential, where its share of those of its namespace is not less. */
  readonly perCredential: number;
  /** Commands of one socket per second, on average; 0: as many as come. */
  readonly commandsPerSecond: number;
  /** Commands in one frame. */
  readonly commandsPerFrame: number;
}

/** What stays open for a client. */
export type LiveKind = "realtime" | "topic" | "events" | "function";

/** Room for one connection. */
export interface Place {
  /** Tells a stranger, once, when others need the room more: it ends then. Nobody who is known is told. */
  whenCrowded(end: () => void): void;
  /** A stranger has begun to say who it is, and is not crowded out until that is decided. @returns to be called when it is */
  speaks(): () => void;
  /** The connection is over for us, though not for its client yet: it counts as one without a credential no more. */
  leave(): void;
  /**
   * Gives it back. Does nothing the second time.
   * @param owed whether the system still holds on to what was sent: then it counts for a while longer
   */
  release(owed?: boolean): void;
}

/** Whom a connection is counted for: its namespace, and in that whoever `callerOf` says. */
export type LiveCaller = Pick<Principal, "kind" | "id" | "subject" | "namespace" | "topics" | "memberId">;

/** How many may be open: of a namespace, and of that the shares of each credential. */
export type LiveBounds = Pick<PubSubRules, "maxSockets" | "credentialShare" | "guestShare">;

/** Something that is looked after while it is open. */
export interface Watched {
  /** Called twice a second. Must not throw. @param now Unix milliseconds */
  look(now: number): void;
  /** The gateway stops. Called once. Must not throw. */
  stop(): void;
}

/** Something that has work in the next turn of the event loop. Must not throw. */
export interface Task {
  run(): void;
}

/** Figures of the connections of one gateway. */
export interface LiveFigures {
  /** Open now, by kind. */
  readonly open: Readonly<Record<LiveKind, number>>;
  /** Of them, those that have not said yet who they are. */
  readonly unauthenticated: number;
  /** Sockets that ended, by close code; 1006 where there was none. */
  readonly closed: ReadonlyMap<number, number>;
  /** Sockets that do not take what waits for them. */
  readonly waiting: number;
  /** Deliveries that were dropped because a socket did not read. */
  readonly dropped: number;
  /** Frames that were handed to sockets. */
  readonly sent: number;
}

/** The connections of one gateway that stay open: how many there may be, who looks after them, in what order they are served. */
export interface LiveConnections {
  readonly settings: LiveSettings;
  /**
   * Makes room for a connection of somebody who is known.
   * @param bounds of the namespace
   * @param instead of whom it is counted from now on, whose place is given back at once: what both have in common needs no more room
   * @throws GatewayError `TOO_MANY_SOCKETS`
   */
  enter(kind: LiveKind, caller: LiveCaller, bounds: LiveBounds, instead?: LiveCaller): Place;
  /**
   * Makes room for one of somebody who is not: where there is none, a stranger leaves who has been silent for longest.
   * @param address what a client is counted by
   * @throws GatewayError `TOO_MANY_SOCKETS` where too many of the address do not let go
   */
  enterUnknown(kind: LiveKind, address: string): Place;
  /** Looks after a connection from now on. @returns ends that */
  watch(connection: Watched): () => void;
  /** Runs something once in a turn to come: in the order of asking, in slices, so that the gateway answers others meanwhile. */
  soon(task: Task): void;
  /** Runs something some dozen times a second until that is taken back. @returns takes it back */
  often(task: Task): () => void;
  /** Milliseconds that never run backwards. */
  monotonic(): number;
  /** Unix milliseconds. */
  now(): number;
  /** Counts. */
  ended(code: number): void;
  dropped(deliveries: number): void;
  sent(frames: number): void;
  /** Tells every connection, and those that still come, that the gateway stops. */
  stop(): void;
  /** What was counted. */
  figures(): LiveFigures;
}
