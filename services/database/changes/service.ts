import type {
  ChangeListener,
  ChangePage,
  ChangeQuery,
  DatabaseChanges,
  FeedView,
} from "../../../src/contracts/database_changes.ts";
import { GatewayError, hasCode } from "../../../src/contracts/errors.ts";
import type { RequestContext } from "../../../src/contracts/request.ts";
import type { SqlDriver } from "../driver.ts";
import { upper } from "../gate/lexer.ts";
import { DEFAULT_RULES, type RunnerOptions } from "../runner.ts";
import { Feeds, noFeed } from "./feeds.ts";
import { ChangeHub, type PollInterval } from "./hub.ts";
import { HubListener, TableFilter } from "./listener.ts";
import { ChangeLog, type NamedFeed } from "./log.ts";
import { OwnCalls, type Waiter } from "./own_calls.ts";
import { type Position, positionText, readStart, type Start } from "./position.ts";
import { AGE_STEPS, type Retention, sweep } from "./retention.ts";

/** What the feed is told beside its driver. */
export interface ChangeFeedOptions {
  /** How often to look for what other gateways wrote; `undefined` where there is no other. */
  readonly poll: PollInterval | undefined;
  /** What holds in a namespace: how many of its changes are kept, and for how long. Default {@link DEFAULT_RULES}. */
  readonly rulesOf?: RunnerOptions["rulesOf"];
  /** Listeners of all namespaces at once. Default 512. */
  readonly maxListeners?: number;
  /** Listeners of one namespace at once. Default 64. */
  readonly maxListenersEach?: number;
  /** Unix milliseconds. */
  readonly now: () => number;
  readonly random: (n: number) => Uint8Array;
  /** Told of what failed in the background. */
  readonly onError: (namespace: string, error: unknown) => void;
}

/** Milliseconds between two sweeps. */
const SWEEP = 60_000;
/** Milliseconds that work in the background may take for one namespace. */
const PATIENCE = 30_000;

/** What a listener counts as until its hub is read. */
interface Room {
  readonly hub: ChangeHub;
  listeners: number;
}

/** When to look what a namespace may forget: at once (0), or at a moment that hangs on what is kept. */
interface Due {
  readonly at: number;
  readonly retention?: Retention;
}

const SOON: Due = { at: 0 };

/** The change feed over one driver. It must be told of writes and definitions: `WatchedDriver` does so. */
export class ChangeFeed implements DatabaseChanges {
  readonly #options: ChangeFeedOptions;
  readonly #calls: OwnCalls;
  readonly #feeds: Feeds;
  readonly #log: ChangeLog;
  readonly #rooms = new Map<string, Room>();
  /** Namespaces that may have something to forget. */
  readonly #due = new Map<string, Due>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;
  readonly #held = { bytes: 0 };
  #listeners = 0;
  #delivered = 0;

  constructor(driver: Pick<SqlDriver, "run">, options: ChangeFeedOptions) {
    this.#options = options;
    this.#calls = new OwnCalls(driver);
    this.#feeds = new Feeds(this.#calls, () => options.random(8).toHex());
    this.#log = new ChangeLog(this.#calls);
  }

  /** Listeners of all namespaces. */
  get listeners(): number {
    return this.#listeners;
  }

  /** Events that were handed out so far. */
  get delivered(): number {
    return this.#delivered;
  }

  /** A write of this gateway was committed, or may have been. Costs next to nothing where nobody listens. */
  wrote(namespace: string): void {
    this.#rooms.get(namespace)?.hub.wake();
    this.#lookSoon(namespace);
  }

  /** The namespace's database is gone. Nothing may be asked of it any more: to ask is to make a new one. */
  emptied(namespace: string): void {
    this.#due.delete(namespace);
    this.#rooms.get(namespace)?.hub.emptied();
  }

  /** Before definitions that drop columns. @throws GatewayError when the feed cannot let go of them */
  release(namespace: string, drops: readonly { readonly table: string; readonly column: string }[], waiter: Waiter) {
    return this.#feeds.release(namespace, drops, waiter);
  }

  /** After definitions. Never throws: what it could not do, the next definition or listener does. */
  async reconcile(namespace: string): Promise<void> {
    try {
      await this.#feeds.reconcile(namespace, { signal: AbortSignal.timeout(PATIENCE) });
    } catch (error) {
      if (!this.#closed) this.#options.onError(namespace, error);
    }
    this.wrote(namespace);
  }

  async enable(
    namespace: string,
    table: string,
    columns: readonly string[] | undefined,
    request: RequestContext,
  ): Promise<FeedView> {
    const view = await this.#feeds.enable(namespace, table, columns, request);
    this.wrote(namespace);
    return view;
  }

  async disable(namespace: string, table: string, request: RequestContext): Promise<void> {
    await this.#feeds.disable(namespace, table, request);
    this.wrote(namespace);
  }

  async tables(namespace: string, request: RequestContext): Promise<FeedView[]> {
    return await this.#feeds.list(namespace, request);
  }

  async log(namespace: string, query: ChangeQuery, limit: number, request: RequestContext): Promise<ChangePage> {
    const start = readStart(query.since);
    const filter = await this.#filter(namespace, query, start, request);
    const after = start === "now" ? Number.MAX_SAFE_INTEGER : start === "kept" ? 0 : start.id;
    const page = await this.#log.read(namespace, after, { changes: limit }, request);
    if (!page) throw nothingKept();
    // It may be long since somebody wrote, and this gateway not have been there.
    if (!this.#due.has(namespace)) this.#lookSoon(namespace);
    const { epoch, lost, top, changes } = page;
    if (start === "now") return { changes: [], next: positionText({ epoch, id: top }), more: false };
    if (start !== "kept" && (start.epoch !== epoch || start.id < lost || start.id > top)) {
      throw new GatewayError(
        "POSITION_GONE",
        "changes behind this position are not kept any more: read the tables again",
        {
          details: { oldest: positionText({ epoch, id: lost }), newest: positionText({ epoch, id: top }) },
        },
      );
    }
    return {
      changes: changes.filter((one) => filter.matches(one)).map(({ change }) => change),
      next: positionText({ epoch, id: page.end }),
      more: page.end < top,
    };
  }

  async listen(namespace: string, query: ChangeQuery, request: RequestContext): Promise<ChangeListener> {
    const start = readStart(query.since);
    const room = this.#enter(namespace);
    const closed = () => this.#leave(namespace, room);
    try {
      // A definition may have come from a gateway that then died.
      await this.#feeds.reconcile(namespace, request);
      const filter = await this.#filter(namespace, query, start, request);
      const { hub } = room;
      await hub.look();
      if (hub.epoch === undefined) throw nothingKept();
      if (!this.#due.has(namespace)) this.#lookSoon(namespace);
      const delivered = (events: number) => void (this.#delivered += events);
      return new HubListener({ namespace, hub, log: this.#log, filter, delivered, closed }, placeOf(start, hub));
    } catch (error) {
      closed();
      throw error;
    }
  }

  /** Deletes what is too old or too much, wherever this gateway has written or read. Runs by itself every minute. */
  async sweep(): Promise<void> {
    const { rulesOf = () => DEFAULT_RULES, now, onError } = this.#options;
    const asking = { signal: AbortSignal.timeout(PATIENCE) };
    for (const [namespace, due] of [...this.#due]) {
      if (this.#closed) return;
      const retention = await rulesOf(namespace, asking);
      // What is to be kept may have become less meanwhile. Where nobody can say how much it is, nothing is forgotten.
      if (due.at > now() && !isLess(retention, due.retention) || retention.retainedChanges === Infinity) continue;
      if (!this.#due.delete(namespace)) continue;
      const waiter = { signal: AbortSignal.timeout(PATIENCE) };
      const again = await sweep(this.#calls, namespace, retention, now(), waiter).catch((error) => {
        if (hasCode(error, "NOT_FOUND")) return "never" as const;
        onError(namespace, error);
        return "soon" as const;
      });
      // What was written meanwhile comes first.
      if (again === "never" || this.#due.has(namespace)) continue;
      const at = now() + retention.changeRetention / AGE_STEPS;
      this.#due.set(namespace, again === "soon" ? SOON : { at, retention });
    }
  }

  /** Stops everything in the background. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const { hub } of this.#rooms.values()) hub.close();
  }

  async #filter(namespace: string, { tables }: ChangeQuery, start: Start, waiter: Waiter): Promise<TableFilter> {
    const feeds = await this.#log.feeds(namespace, waiter);
    for (const table of tables ?? []) {
      // Whoever goes on from a position may have to hear that a feed has ended.
      const isMeant = (feed: NamedFeed) => feed.table === upper(table) && (feed.live || start !== "now");
      if (!feeds.some(isMeant)) throw noFeed(table);
    }
    return new TableFilter(tables, feeds);
  }

  #enter(namespace: string): Room {
    const { maxListeners = 512, maxListenersEach = 64, poll, onError } = this.#options;
    if (this.#listeners >= maxListeners) throw tooMany(`${maxListeners} listen to this gateway already`);
    const room = this.#rooms.get(namespace) ?? {
      hub: new ChangeHub({
        namespace,
        log: this.#log,
        held: this.#held,
        poll,
        schemaMoved: () => void this.reconcile(namespace),
        onError: (error) => onError(namespace, error),
      }),
      listeners: 0,
    };
    if (room.listeners >= maxListenersEach) throw tooMany(`${maxListenersEach} listen to this namespace already`);
    room.listeners++;
    this.#listeners++;
    this.#rooms.set(namespace, room);
    return room;
  }

  #leave(namespace: string, room: Room): void {
    this.#listeners--;
    if (--room.listeners > 0) return;
    this.#rooms.delete(namespace);
    room.hub.close();
  }

  #lookSoon(namespace: string): void {
    if (this.#due.get(namespace) === SOON) return;
    this.#due.set(namespace, SOON);
    this.#scheduleSweep();
  }

  #scheduleSweep(): void {
    if (this.#timer !== undefined || this.#closed) return;
    this.#timer = setTimeout(async () => {
      await this.sweep();
      this.#timer = undefined;
      if (this.#due.size > 0) this.#scheduleSweep();
    }, SWEEP);
  }
}

const tooMany = (sentence: string) => new GatewayError("TOO_MANY_LISTENERS", sentence, { retryAfter: 5 });

const isLess = (now: Retention, then: Retention = now) =>
  now.retainedChanges < then.retainedChanges || now.changeRetention < then.changeRetention;

function placeOf(start: Start, { epoch = "", to, lost }: ChangeHub): Position {
  return start === "now" ? { epoch, id: to } : start === "kept" ? { epoch, id: lost } : start;
}

const nothingKept = () =>
  new GatewayError("NOT_FOUND", "no table of this namespace has a feed: POST /v1/rqlite/changes/tables switches it on");
