import { setImmediate } from "node:timers";
import { GatewayError } from "../../contracts/errors.ts";
import type {
  LiveBounds,
  LiveCaller,
  LiveConnections,
  LiveFigures,
  LiveKind,
  LiveSettings,
  Place,
  Task,
  Watched,
} from "../../contracts/live_connections.ts";
import { shareOf } from "../../contracts/settings.ts";
import { callerOf } from "../../contracts/topic_rights.ts";
import { Strangers } from "./strangers.ts";

/** Milliseconds in which every connection is looked at once, and the slices of that. */
const ROUND = 500, SLICES = 10;
/** Milliseconds between two runs of what is to run often. */
const OFTEN = 20;
/** Milliseconds of work after which others get their turn, and how much is done between two looks at the clock. */
const TURN = 8, UNLOOKED = 64;
/** Places for tasks that are kept. */
const MOST_KEPT = 1 << 16;
/** Milliseconds for which systems usually send again what nobody takes. */
const OWED = 15 * 60_000;

/** What the connections of a gateway need of it. */
export interface ConnectionsOptions {
  readonly settings: LiveSettings;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** Milliseconds that never run backwards. */
  readonly monotonic: () => number;
  /** Told of what a connection throws: one must not stop the others. Default: it is thrown on, which ends the process. */
  readonly onError?: (error: unknown) => void;
  /** Runs something in the next turn of the event loop. Default: that of the platform. */
  readonly schedule?: (run: () => void) => void;
  /** Runs something at intervals. Default: a timer. @returns ends that */
  readonly every?: (milliseconds: number, run: () => void) => () => void;
}

const byTimer = (milliseconds: number, run: () => void) => {
  const timer = setInterval(run, milliseconds);
  return () => clearInterval(timer);
};

/**
 * The connections of one gateway. One timer looks after all of them and one after those that are slow: one for each would cost
 * more than the connections do.
 */
export class Connections implements LiveConnections {
  readonly settings: LiveSettings;
  readonly #options: ConnectionsOptions;
  readonly #namespaces = new Counts();
  readonly #credentials = new Counts();
  readonly #strangers: Strangers;
  readonly #open: Record<LiveKind, number> = { realtime: 0, topic: 0, events: 0, function: 0 };
  readonly #closed = new Map<number, number>();
  readonly #slices: readonly Set<Watched>[] = Array.from({ length: SLICES }, () => new Set());
  readonly #often = new Set<Task>();
  #watched = 0;
  #slice = 0;
  /** What is to run, from `#next` to `#end`. The array stays: each turn would leave one behind with a place for each socket. */
  #tasks: (Task | undefined)[] = [];
  #next = 0;
  #end = 0;
  #running = false;
  #dropped = 0;
  #sent = 0;
  #stopping = false;
  #endRound: (() => void) | undefined;
  #endOften: (() => void) | undefined;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
    this.settings = options.settings;
    this.#strangers = new Strangers(options.settings.unauthenticated);
  }

  enter(kind: LiveKind, principal: LiveCaller, bounds: LiveBounds, instead?: LiveCaller): Place {
    const { namespace } = principal, { maxSockets } = bounds;
    const { caller, isGuest = false } = callerOf(principal);
    const isSame = namespace === instead?.namespace;
    if (!isSame && this.#namespaces.of(namespace) >= maxSockets) {
      throw tooMany(`this namespace may have ${maxSockets}`, { of: "namespace", limit: maxSockets });
    }
    const key = `${namespace}/${caller}`;
    const own = Math.min(this.settings.perCredential, shareOf(maxSockets, bounds, isGuest));
    if (!(isSame && caller === callerOf(instead).caller) && this.#credentials.of(key) >= own) {
      throw tooMany(`one credential may have ${own}`, { of: "credential", limit: own });
    }
    const count = (by: 1 | -1) => {
      this.#namespaces.add(namespace, by);
      this.#credentials.add(key, by);
    };
    count(1);
    const place = this.#place(kind, () => {}, () => count(-1));
    return { ...place, whenCrowded: () => {}, speaks: () => () => {} };
  }

  enterUnknown(kind: LiveKind, address: string): Place {
    const stranger = this.#strangers.enter(address);
    if (stranger === undefined) throw tooMany("of this address too many do not end that were closed");
    const { whenCrowded, speaks, leave, free } = stranger;
    // Those who never answer a close count for their address alone: otherwise a few of these could keep out all the others.
    return { ...this.#place(kind, leave, free), whenCrowded, speaks };
  }

  #place(kind: LiveKind, left: () => void, freed: () => void): Pick<Place, "leave" | "release"> {
    this.#open[kind]++;
    let isThere = true, isHeld = true;
    const leave = () => {
      if (!isThere) return;
      isThere = false;
      this.#open[kind]--;
      left();
    };
    return {
      leave,
      release: (owed = false) => {
        leave();
        if (!isHeld) return;
        isHeld = false;
        if (owed) Deno.unrefTimer(setTimeout(freed, OWED));
        else freed();
      },
    };
  }

  watch(connection: Watched): () => void {
    const slice = this.#slices[this.#watched++ % SLICES]!;
    slice.add(connection);
    this.#endRound ??= this.#every(ROUND / SLICES, () => this.lookAround());
    if (this.#stopping) this.soon({ run: () => slice.delete(connection) && connection.stop() });
    return () => {
      slice.delete(connection);
      if (this.#slices.some(({ size }) => size > 0)) return;
      this.#endRound?.();
      this.#endRound = undefined;
    };
  }

  #every(milliseconds: number, run: () => void): () => void {
    const { every = byTimer } = this.#options;
    return every(milliseconds, run);
  }

  /** Looks at the next slice of the connections; its own timer calls it. */
  lookAround(): void {
    const now = this.now();
    for (const connection of this.#slices[this.#slice = (this.#slice + 1) % SLICES]!) {
      this.#attempt(() => connection.look(now));
    }
  }

  soon(task: Task): void {
    this.#tasks[this.#end++] = task;
    if (this.#running) return;
    this.#running = true;
    this.#schedule();
  }

  #schedule(): void {
    const { schedule = setImmediate } = this.#options;
    schedule(() => this.#run());
  }

  #run(): void {
    const until = this.monotonic() + TURN;
    const tasks = this.#tasks;
    while (this.#next < this.#end) {
      const task = tasks[this.#next]!;
      tasks[this.#next++] = undefined;
      try {
        task.run();
      } catch (error) {
        this.#failed(error);
      }
      if (this.#next % UNLOOKED === 0 && this.monotonic() > until) return this.#schedule();
    }
    if (tasks.length > MOST_KEPT) this.#tasks = [];
    this.#next = this.#end = 0;
    this.#running = false;
  }

  often(task: Task): () => void {
    this.#often.add(task);
    this.#endOften ??= this.#every(OFTEN, () => this.runOften());
    return () => {
      this.#often.delete(task);
      if (this.#often.size > 0) return;
      this.#endOften?.();
      this.#endOften = undefined;
    };
  }

  /** Runs what is to run often; its own timer calls it. */
  runOften(): void {
    for (const task of this.#often) this.#attempt(() => task.run());
  }

  stop(): void {
    this.#stopping = true;
    for (const connection of this.#slices.flatMap((slice) => [...slice])) this.#attempt(() => connection.stop());
  }

  #attempt(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    const { onError } = this.#options;
    if (onError === undefined) throw error;
    onError(error);
  }

  monotonic(): number {
    return this.#options.monotonic();
  }

  now(): number {
    return this.#options.now();
  }

  ended(code: number): void {
    this.#closed.set(code, (this.#closed.get(code) ?? 0) + 1);
  }

  dropped(deliveries: number): void {
    this.#dropped += deliveries;
  }

  sent(frames: number): void {
    this.#sent += frames;
  }

  figures(): LiveFigures {
    return {
      open: { ...this.#open },
      unauthenticated: this.#strangers.count,
      closed: new Map(this.#closed),
      waiting: this.#often.size,
      dropped: this.#dropped,
      sent: this.#sent,
    };
  }
}

/** How many there are of each name; nothing is kept of those of which there are none. */
class Counts {
  readonly #counts = new Map<string, number>();

  of(name: string): number {
    return this.#counts.get(name) ?? 0;
  }

  add(name: string, by: 1 | -1): void {
    const count = this.of(name) + by;
    if (count === 0) this.#counts.delete(name);
    else this.#counts.set(name, count);
  }
}

const tooMany = (because: string, details?: { readonly of: "namespace" | "credential"; readonly limit: number }) =>
  new GatewayError("TOO_MANY_SOCKETS", `too many sockets are open: ${because}`, {
    retryAfter: 5,
    ...(details && { details }),
  });
