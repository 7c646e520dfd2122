import type { ChangeLog, LoggedChange, LogPage, PageSize } from "./log.ts";

/** How often a log is looked at in which other gateways may write, in milliseconds: from busy to idle. */
export interface PollInterval {
  readonly from: number;
  readonly to: number;
}

/** What a hub is made of. */
export interface HubParts {
  readonly namespace: string;
  readonly log: Pick<ChangeLog, "read">;
  /** What all hubs of this gateway keep at hand. */
  readonly held: { bytes: number };
  /** `undefined` where every write is told by {@link ChangeHub.wake}. */
  readonly poll: PollInterval | undefined;
  /** The schema is another one than at the last look. */
  readonly schemaMoved: () => void;
  /** Told when looking begins to fail; it goes on. */
  readonly onError: (error: unknown) => void;
}

/** One look at the log. */
const PAGE: PageSize = { changes: 500 };
/** What is kept at hand for listeners that are a little behind. */
const RING_CHANGES = 2_000, RING_BYTES = 8 * 2 ** 20;
/** What all hubs keep together, beyond which one that grows keeps no more than the latter. */
const ALL_BYTES = 64 * 2 ** 20, SMALL_RING_BYTES = 256 * 2 ** 10;
/** Milliseconds between two looks when writes follow one another. */
const GAP = 10;
/** Milliseconds that one look may take. */
const PATIENCE = 10_000;
/** Milliseconds to the next look after one that failed. */
const RETRY = 1_000;

/**
 * The newest changes of one namespace, read once for all who listen. It looks after each write of this gateway, and now and
 * then by itself where others may write too.
 */
export class ChangeHub {
  /** The database's life; `undefined` while it has no feed. */
  epoch: string | undefined;
  /** Up to where it has read. */
  to = 0;
  /** Changes up to this one are not kept any more. */
  lost = 0;
  #from = 0;
  #ring: LoggedChange[] = [];
  #bytes = 0;
  #schemaVersion: number | undefined;
  #opened = false;
  readonly #closed = new AbortController();
  #looking: Promise<void> | undefined;
  #again = false;
  #failing = false;
  /** A look is about to begin. */
  #soon = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #interval: number;
  #moved = Promise.withResolvers<void>();

  constructor(private readonly parts: HubParts) {
    this.#interval = parts.poll?.from ?? 0;
  }

  /** Looks, and resolves when everything is known that was committed before. @throws what the log throws */
  async look(): Promise<void> {
    // One that is under way may have begun before the caller's commit.
    await this.#looking?.catch(() => {});
    await (this.#looking ??= this.#once());
  }

  /** Something was written. */
  wake(): void {
    if (this.#looking) this.#again = true;
    else if (!this.#soon) this.#schedule(0);
  }

  /** Resolves at the next move of the log. @throws the signal's reason */
  moved(signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const leave = () => reject(signal.reason);
    if (signal.aborted) leave();
    else signal.addEventListener("abort", leave, { once: true });
    this.#moved.promise.then(resolve, reject);
    return promise.finally(() => signal.removeEventListener("abort", leave));
  }

  /** Some of what is at hand behind a change, and up to where it goes; `undefined` when what follows is not at hand. */
  after(id: number, { changes: most, bytes }: Required<PageSize>): Pick<LogPage, "changes" | "end"> | undefined {
    if (id < this.#from) return undefined;
    const begin = this.#ring.findLastIndex((one) => one.id <= id) + 1;
    let to = begin;
    for (let size = 0; to < this.#ring.length && to - begin < most && size < bytes; to++) size += this.#ring[to]!.size;
    const changes = this.#ring.slice(begin, to);
    return { changes, end: to < this.#ring.length ? changes.at(-1)!.id : this.to };
  }

  /** The database is gone, which must not be asked again: whoever listens hears that its feeds are. */
  emptied(): void {
    this.epoch = undefined;
    this.lost = 0;
    this.#clear(0);
    this.#tell();
  }

  close(): void {
    this.#clear(this.to);
    this.#closed.abort();
    clearTimeout(this.#timer);
  }

  #schedule(delay: number): void {
    if (this.#closed.signal.aborted) return;
    clearTimeout(this.#timer);
    this.#soon = delay <= GAP;
    this.#timer = setTimeout(() => {
      this.#soon = false;
      this.look().then(() => this.#failing = false, (error) => {
        if (!this.#closed.signal.aborted && !this.#failing) this.parts.onError(error);
        this.#failing = true;
      });
    }, delay);
  }

  async #once(): Promise<void> {
    const { poll } = this.parts;
    let next: number | undefined = RETRY;
    try {
      await this.#read();
      next = poll && (this.#interval = Math.min(this.#interval * 1.5, poll.to));
    } finally {
      this.#looking = undefined;
      if (this.#again) next = GAP;
      this.#again = false;
      if (next !== undefined && !this.#soon) this.#schedule(next);
    }
  }

  async #read(): Promise<void> {
    const { namespace, log, poll } = this.parts;
    for (;;) {
      const signal = AbortSignal.any([this.#closed.signal, AbortSignal.timeout(PATIENCE)]);
      // At first it is enough to know where the log ends.
      const page = await log.read(namespace, this.#opened ? this.to : Number.MAX_SAFE_INTEGER, PAGE, { signal });
      if (this.#take(page) && poll) this.#interval = poll.from;
      this.#opened = true;
      if (page === undefined || this.to >= page.top) break;
    }
  }

  /** @returns whether anything moved */
  #take(page: LogPage | undefined): boolean {
    if (this.#closed.signal.aborted) return false;
    const version = page?.schemaVersion;
    if (this.#opened && version !== this.#schemaVersion) this.parts.schemaMoved();
    this.#schemaVersion = version;
    if (!this.#opened || page === undefined || page.epoch !== this.epoch || page.top < this.to) {
      const moved = page?.epoch !== this.epoch || (page?.top ?? 0) !== this.to;
      this.epoch = page?.epoch;
      this.#clear(page?.top ?? 0);
      this.lost = page?.lost ?? 0;
      if (moved) this.#tell();
      return moved;
    }
    this.lost = page.lost;
    // Deleted before it was read here: whoever is not beyond it will hear of that from the log.
    if (page.lost > this.to) this.#clear(page.lost);
    if (page.changes.length === 0 && page.end === this.to) return false;
    for (const change of page.changes) {
      this.#ring.push(change);
      this.#grow(change.size);
    }
    this.to = page.end;
    this.#trim();
    this.#tell();
    return true;
  }

  #clear(to: number): void {
    this.#ring = [];
    this.#grow(-this.#bytes);
    this.#from = this.to = to;
  }

  #trim(): void {
    let drop = 0;
    const { held } = this.parts;
    const isTooMuch = () => this.#bytes > RING_BYTES || (held.bytes > ALL_BYTES && this.#bytes > SMALL_RING_BYTES);
    while (this.#ring.length - drop > RING_CHANGES || isTooMuch()) {
      this.#from = this.#ring[drop]!.id;
      this.#grow(-this.#ring[drop++]!.size);
    }
    if (drop > 0) this.#ring.splice(0, drop);
  }

  #grow(bytes: number): void {
    this.#bytes += bytes;
    this.parts.held.bytes += bytes;
  }

  #tell(): void {
    this.#moved.resolve();
    this.#moved = Promise.withResolvers();
  }
}
