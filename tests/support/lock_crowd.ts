import { RUNS_ALONE } from "./alone.ts";
import { awaitedLater } from "./awaited_later.ts";

/** Files that a process may have open, less what it needs beside connections (Linux; elsewhere it is taken to be many). */
function room(): number {
  try {
    const [, files] = /^Max open files +(\d+)/m.exec(Deno.readTextFileSync("/proc/self/limits")) ?? [];
    return files === undefined ? Infinity : Number(files) - 1_000;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return Infinity;
    throw error;
  }
}

/** How many callers contend: ten thousand, or as many as may be connected at once. */
export const CROWD = Math.min(RUNS_ALONE ? 10_000 : 1_500, room());

/** Which lock is wanted, where, and by whom. */
export interface WantedLock {
  /** Of the gateway. */
  readonly url: string;
  /** API key. */
  readonly key: string;
  readonly dmap: string;
  readonly name: string;
}

/**
 * Many callers who want one lock of one gateway at once, each with a request of its own. Not by a `Client`, which remembers every
 * token that it sees, in order to search for each of them in the log.
 */
export class LockCrowd implements Disposable {
  /** How often there was each status. */
  readonly statuses: Record<number, number> = {};
  /** Numbers of the holders (fencing), in the order in which they had the lock. */
  readonly numbers: number[] = [];
  /** Answers that say what nobody expected. */
  readonly odd: string[] = [];
  #holders = 0;
  readonly #client = Deno.createHttpClient({ poolIdleTimeout: 1_000 });

  constructor(private readonly wanted: WantedLock) {}

  /**
   * Each waits for the lock for ten minutes at most, and frees it as soon as it has it.
   * @param isPatient whether who is refused because too many wait asks again
   */
  async contend(count: number, isPatient: boolean): Promise<void> {
    const all: Promise<void>[] = [];
    for (let i = 0; i < count; i++) {
      all.push(awaitedLater(this.#contend(isPatient)));
      // So many connections at the same moment would have to be tried again.
      if (i % 100 === 99) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await Promise.all(all);
  }

  async #contend(isPatient: boolean): Promise<void> {
    for (;;) {
      const response = await this.#call("lock", { lease: "1m", wait: "10m" });
      const { token, fencing, code } = await response.json() as { token: string; fencing: number; code: string };
      if (response.status === 429 && isPatient) continue;
      this.statuses[response.status] = (this.statuses[response.status] ?? 0) + 1;
      if (response.status === 429) {
        if (code !== "TOO_MANY_WAITERS" || !response.headers.has("retry-after")) this.odd.push(`429 ${code}`);
      } else if (response.status === 200) {
        if (++this.#holders > 1) this.odd.push(`${this.#holders} holders`);
        // Some keep it for a moment, so that another holder would be seen. All of them would take long.
        if (this.numbers.push(fencing) % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
        this.#holders--;
        const freed = await this.#call("unlock", { token });
        const text = await freed.text();
        if (freed.status !== 200) this.odd.push(`unlock: ${freed.status} ${text}`);
      } else this.odd.push(`${response.status} ${code}`);
      return;
    }
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }

  #call(operation: string, more: Readonly<Record<string, string>>): Promise<Response> {
    const { url, key, dmap, name } = this.wanted;
    return fetch(`${url}/v1/cache/${operation}`, {
      method: "POST",
      headers: { "x-api-key": key, "content-type": "application/json" },
      body: JSON.stringify({ dmap, key: name, ...more }),
      client: this.#client,
    });
  }
}

/** Milliseconds for a crowd on a machine that does other things, too. */
const PATIENCE = 300_000;

/** Does something again and again until enough is done, and bears no failure meanwhile. @throws Error what it throws, or after minutes */
export async function meanwhile(what: string, work: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + PATIENCE;
  while (!await work()) {
    if (performance.now() > end) throw new Error(`waited ${PATIENCE} ms in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
