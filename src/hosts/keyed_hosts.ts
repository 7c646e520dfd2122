import { Backoff } from "./backoff.ts";
import { type EndReason, Host } from "./host.ts";
import { NoHost, Places } from "./places.ts";
import { Spares } from "./spares.ts";
import type { HostProgram } from "./spawn.ts";

export { NoHost } from "./places.ts";

/** A key's host, and what its opening gave. */
export interface Seat<Opened> {
  readonly host: Host;
  readonly opened: Opened;
}

/** What happens to hosts, for metrics and log. All are called at once and must not throw. */
export interface HostWatch {
  readonly started?: (() => void) | undefined;
  readonly ended?: ((reason: EndReason) => void) | undefined;
  /** A line of a host's standard error. @param key undefined for a spare */
  readonly line?: ((line: string, key: string | undefined) => void) | undefined;
}

/** How hosts are kept. */
export interface KeyedHostsOptions<Opened> {
  readonly program: HostProgram;
  /** Makes a fresh host the one of a key, by its first request. Throwing ends it. */
  readonly open: (host: Host, key: string) => Promise<Opened>;
  /** Called with each spare when it is started, which then has the time to get ready. Must not throw. */
  readonly warm?: (host: Host) => void;
  /** Hosts of keys at once. */
  readonly max: number;
  /** Started ahead, beyond `max`. */
  readonly spares: number;
  /** Milliseconds after which a host that nobody asks ends. */
  readonly idle: number;
  /** Milliseconds that a request waits for a host while all belong to others. Default 10,000. */
  readonly patience?: number;
  readonly watch?: HostWatch;
}

interface Entry<Opened> {
  readonly key: string;
  readonly ready: Promise<Seat<Opened>>;
  host?: Host;
  seat?: Seat<Opened>;
  /** Milliseconds of the clock. */
  since: number;
  used: number;
  /** Its host takes no new requests, and resolves when it is gone. */
  leaving?: Promise<void>;
}

/** Milliseconds of waiting after crashes that a request bears; for longer ones it is refused. */
const BEARABLE = 1_000;
/** Milliseconds that a busy host stays when others wait for one. */
const SLICE = 100;

/**
 * Hosts by key: one key has one host at a time, and a host serves one key for its life. When there are as many as may be, the one
 * idle for longest ends for another key's; when all are busy, the one that has been there longest finishes what it was asked and
 * goes. A key whose hosts crash one after the other waits longer each time; no other key notices.
 */
export class KeyedHosts<Opened> {
  readonly #options: KeyedHostsOptions<Opened>;
  readonly #entries = new Map<string, Entry<Opened>>();
  /** Hosts that end, by key: the next one of the key begins when it is gone. */
  readonly #ending = new Map<string, Promise<unknown>>();
  readonly #held = new Map<string, Promise<void>>();
  readonly #backoff = new Backoff();
  readonly #spares: Spares;
  readonly #places: Places;
  #sweeper: ReturnType<typeof setInterval> | undefined;
  #slice: ReturnType<typeof setTimeout> | undefined;
  #killed = 0;
  #closed = false;

  constructor(options: KeyedHostsOptions<Opened>) {
    this.#options = options;
    this.#places = new Places(options.max, options.patience ?? 10_000);
    this.#spares = new Spares(options.spares, () => {
      const host = this.#start();
      options.warm?.(host);
      return host;
    });
  }

  /** Starts the spares, a little later. Nothing waits for them. */
  warm(): void {
    this.#spares.warm();
  }

  /** The key's host when it is there at once. */
  peek(key: string): Seat<Opened> | undefined {
    const entry = this.#entries.get(key);
    if (entry?.seat === undefined || entry.leaving || !entry.seat.host.open) return undefined;
    entry.used = performance.now();
    return entry.seat;
  }

  /**
   * The key's host, started if need be.
   * @throws NoHost when the key must wait after crashes, when no place becomes free in time, and after {@link close}; what `open`
   *   throws
   */
  async take(key: string): Promise<Seat<Opened>> {
    for (;;) {
      if (this.#closed) throw new NoHost("the hosts are closed");
      const hold = this.#held.get(key);
      const entry = this.#entries.get(key);
      if (hold) await hold;
      else if (entry?.leaving) await entry.leaving;
      else if (entry?.host && !entry.host.open) await entry.host.ended;
      else return await (entry ?? this.#enter(key)).ready;
    }
  }

  /**
   * Ends the key's host and runs something while it has none. What is asked meanwhile waits; streams are cut.
   * @throws what `run` throws
   */
  async without<T>(key: string, run: () => Promise<T>): Promise<T> {
    while (this.#held.has(key)) await this.#held.get(key);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#held.set(key, promise);
    try {
      await this.#entries.get(key)?.ready.catch(() => {});
      const entry = this.#entries.get(key);
      if (entry) await this.#leave(entry, "closed");
      await this.#ending.get(key);
      return await run();
    } finally {
      // What kept its hosts from living may be over.
      this.#backoff.forget(key);
      this.#held.delete(key);
      resolve();
    }
  }

  /** A host without a key, which ends with what is done in it. It counts for nothing. */
  async once<T>(program: HostProgram, run: (host: Host) => Promise<T>): Promise<T> {
    const host = Host.start(program, { onLine: (line) => this.#options.watch?.line?.(line, undefined) });
    try {
      return await run(host);
    } finally {
      host.kill("closed");
      await host.ended;
    }
  }

  /** Every key with a host, and the host. */
  *seats(): Iterable<readonly [string, Seat<Opened>]> {
    for (const { key, seat } of this.#entries.values()) if (seat?.host.open) yield [key, seat];
  }

  /** How many there are now, and how many were killed or crashed so far. */
  figures(): { readonly running: number; readonly spare: number; readonly killed: number } {
    return { running: this.#places.taken, spare: this.#spares.count, killed: this.#killed };
  }

  /** Ends all of them. Whoever waits for one gets NoHost. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#sweeper);
    clearTimeout(this.#slice);
    await this.#spares.close();
    this.#places.open();
    await Promise.all([...this.#entries.values()].map(async (entry) => {
      await entry.ready.catch(() => {});
      await entry.host?.end("closed");
    }));
    await Promise.all(this.#ending.values());
  }

  #enter(key: string): Entry<Opened> {
    const { promise: ready, resolve, reject } = Promise.withResolvers<Seat<Opened>>();
    // Whoever asked for the host hears of it; an entry itself needs nobody to listen.
    ready.catch(() => {});
    const entry: Entry<Opened> = { key, ready, since: performance.now(), used: performance.now() };
    this.#entries.set(key, entry);
    this.#seat(entry).then(resolve, (error) => {
      if (this.#entries.get(key) === entry) this.#entries.delete(key);
      reject(error);
    });
    return entry;
  }

  async #seat(entry: Entry<Opened>): Promise<Seat<Opened>> {
    await this.#ending.get(entry.key);
    const wait = this.#backoff.wait(entry.key);
    if (wait > BEARABLE) throw new NoHost("its hosts crash one after the other", wait);
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    await this.#places.take(() => this.#makeRoom());
    if (this.#closed) {
      this.#places.free();
      throw new NoHost("the hosts are closed");
    }
    const host = entry.host = this.#spares.take() ?? this.#start();
    entry.since = performance.now();
    this.#follow(entry, host);
    try {
      const seat = { host, opened: await this.#options.open(host, entry.key) };
      this.#sweeper ??= this.#sweep();
      return entry.seat = seat;
    } catch (error) {
      // Each try costs a process.
      if (host.open) this.#backoff.crashed(entry.key, 0);
      host.kill("closed");
      await host.ended;
      throw error;
    }
  }

  #start(): Host {
    const { program, watch } = this.#options;
    const host: Host = Host.start(program, {
      onLine: (line) => watch?.line?.(line, this.#keyOf(host)),
      onIdle: () => this.#places.waiting > 0 && this.#makeRoom(),
      onEnd: (reason) => watch?.ended?.(reason),
    });
    watch?.started?.();
    return host;
  }

  #keyOf(host: Host): string | undefined {
    return [...this.#entries.values()].find((entry) => entry.host === host)?.key;
  }

  /** Everything that hangs on the end of a key's host. */
  #follow(entry: Entry<Opened>, host: Host): void {
    const { key } = entry;
    const gone = host.ended.then((reason) => {
      if (reason === "crashed") this.#backoff.crashed(key, performance.now() - entry.since);
      if (reason === "crashed" || reason === "deadline") this.#killed++;
      if (this.#entries.get(key) === entry) this.#entries.delete(key);
      if (this.#ending.get(key) === gone) this.#ending.delete(key);
      this.#places.free();
    });
    this.#ending.set(key, gone);
  }

  /** Sends away as many hosts as are waited for, those idle for longest first, then those that have been there for longest. */
  #makeRoom(): void {
    const entries = [...this.#entries.values()];
    const staying = entries.filter(({ seat, leaving }) => seat?.host.open && !leaving);
    let wanted = this.#places.waiting - entries.filter(({ leaving }) => leaving).length;
    const idle = staying.filter(({ host }) => host?.pending === 0).sort((a, b) => a.used - b.used);
    for (const entry of idle) if (wanted-- > 0) void this.#leave(entry, "evicted");
    if (wanted <= 0) return;
    const now = performance.now();
    const [longest] = staying.filter(({ leaving }) => !leaving).sort((a, b) => a.since - b.since);
    if (longest && now - longest.since >= SLICE) void this.#leave(longest, "evicted");
    clearTimeout(this.#slice);
    this.#slice = setTimeout(() => this.#places.waiting > 0 && this.#makeRoom(), SLICE);
  }

  /** Lets a host finish what it was asked, and end. */
  #leave(entry: Entry<Opened>, reason: EndReason): Promise<void> {
    return entry.leaving ??= (async () => {
      await entry.host?.settled();
      await entry.host?.end(reason);
    })();
  }

  #sweep(): ReturnType<typeof setInterval> {
    const { idle } = this.#options;
    const timer = setInterval(() => {
      const before = performance.now() - idle;
      for (const entry of this.#entries.values()) {
        if (entry.seat && entry.host?.pending === 0 && entry.used < before) void this.#leave(entry, "idle");
      }
    }, Math.max(10, idle / 4));
    Deno.unrefTimer(Number(timer));
    return timer;
  }
}
