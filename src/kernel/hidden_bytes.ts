import type { KernelConnection } from "./tcp.ts";

/** How {@link HiddenBytes} watches. */
export interface HiddenBytesOptions {
  /** Bytes that may have come without having become a message. */
  readonly limit: number;
  /** Milliseconds in which each connection is looked at once. Default 500. */
  readonly interval?: number;
  /** Calls again and again. @returns what ends it. Default: a timer of the system, for which the process does not stay */
  readonly every?: (milliseconds: number, run: () => void) => () => void;
}

/** One connection that is watched. */
export interface WatchedConnection {
  /** A message came from it: nothing that came before is hidden any more. */
  delivered(): void;
  stop(): void;
}

interface Entry {
  readonly connection: KernelConnection;
  readonly tooMuch: () => void;
  /** Bytes that had come when it was last known that nothing was hidden. */
  since: number;
  /** Whether there was a message since it was last looked at. */
  spoke: boolean;
}

/** Looks at a tenth of them at a time, so that nobody waits for a look at ten thousand. */
const SLICES = 10;

/**
 * Ends connections that send and never finish a message. A WebSocket of the runtime (Deno 2.9) collects the fragments of a message
 * in memory without a bound, and tells nobody before it is whole: but the system counts what comes. Between two looks a connection
 * can bring what the network carries in {@link HiddenBytesOptions.interval}.
 */
export class HiddenBytes {
  readonly #limit: number;
  readonly #entries = new Set<Entry>();
  readonly #stop: () => void;
  #next: IterableIterator<Entry> = this.#entries.values();

  constructor({ limit, interval = 500, every = systemTimer }: HiddenBytesOptions) {
    this.#limit = limit;
    this.#stop = every(interval / SLICES, () => this.#look());
  }

  /** @param tooMuch called at most once, when more is hidden than may be; it should cut the connection */
  watch(connection: KernelConnection, tooMuch: () => void): WatchedConnection {
    const entry: Entry = { connection, tooMuch, since: connection.received() ?? 0, spoke: false };
    this.#entries.add(entry);
    return {
      delivered: () => void (entry.spoke = true),
      stop: () => void this.#entries.delete(entry),
    };
  }

  close(): void {
    this.#stop();
    this.#entries.clear();
  }

  #look(): void {
    for (let left = Math.ceil(this.#entries.size / SLICES); left > 0; left--) {
      const { done, value } = this.#next.next();
      if (done) return void (this.#next = this.#entries.values());
      this.#judge(value);
    }
  }

  #judge(entry: Entry): void {
    const received = entry.connection.received();
    if (received === undefined) return;
    if (entry.spoke) {
      entry.spoke = false;
      entry.since = received;
    } else if (received - entry.since > this.#limit) {
      this.#entries.delete(entry);
      entry.tooMuch();
    }
  }
}

function systemTimer(milliseconds: number, run: () => void): () => void {
  const timer = setInterval(run, milliseconds);
  Deno.unrefTimer(timer);
  return () => clearInterval(timer);
}
