import type { Host } from "./host.ts";

/** Hosts that were started ahead and belong to nobody yet. */
export class Spares {
  #hosts: Host[] = [];
  #filling: ReturnType<typeof setTimeout> | undefined;
  #failures = 0;
  #closed = false;

  constructor(private readonly wanted: number, private readonly start: () => Host) {}

  /** How many there are. */
  get count(): number {
    return this.#hosts.length;
  }

  /** One of them, if there is one; another one is started in its place a little later. */
  take(): Host | undefined {
    const host = this.#hosts.shift();
    // The program can be started after all: what failed before says nothing any more.
    if (host?.open) this.#failures = 0;
    this.#fillIn(REPLACE);
    return host;
  }

  /** Starts as many as are wanted, a little later: whoever starts up itself goes first. */
  warm(): void {
    this.#fillIn(WARM);
  }

  #fill(): void {
    this.#filling = undefined;
    while (!this.#closed && this.#hosts.length < this.wanted) {
      let host;
      try {
        host = this.start();
      } catch {
        // There is no descriptor, or no process, to be had now. Whoever needs one meanwhile is told.
        return this.#fillIn(this.#pause());
      }
      this.#hosts.push(host);
      void host.ended.then(() => this.#lost(host));
    }
  }

  /** Ends all of them. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#filling);
    await Promise.all(this.#hosts.map((host) => host.end("closed")));
  }

  #lost(host: Host): void {
    const at = this.#hosts.indexOf(host);
    if (at < 0) return;
    this.#hosts.splice(at, 1);
    // A program that cannot start at all must not be started in a circle.
    this.#fillIn(this.#pause());
  }

  #pause(): number {
    return Math.min(10_000, 100 * 2 ** this.#failures++);
  }

  #fillIn(wait: number): void {
    if (this.#closed || this.wanted === 0) return;
    this.#filling ??= setTimeout(() => this.#fill(), wait);
    Deno.unrefTimer(Number(this.#filling));
  }
}

/** Milliseconds before the first spares are started. */
const WARM = 200;
/** Milliseconds before a spare is replaced: whoever took it goes first. */
const REPLACE = 5;
