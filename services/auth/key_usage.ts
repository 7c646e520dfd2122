import type { ControlDatabase } from "../control_plane/control_database.ts";

/** Milliseconds between two writes. */
const PERIOD = 60_000;
/** Keys per write; the others wait for the next one. */
const BATCH = 500;

/** When keys were last used, gathered here and written once a minute: a request never writes. */
export class KeyUsage {
  readonly #lastUsed = new Map<string, number>();
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(private readonly control: ControlDatabase, private readonly now: () => number) {}

  /** Notes one use. */
  used(keyId: string): void {
    this.#lastUsed.set(keyId, this.now());
  }

  /** Begins to write regularly. @param onError told of a write that failed; its uses are written with the next one */
  start(onError: (error: unknown) => void): void {
    this.#timer = setInterval(() => void this.flush().catch(onError), PERIOD);
  }

  /** Writes what was gathered. */
  async flush(): Promise<void> {
    const batch = [...this.#lastUsed].slice(0, BATCH);
    if (batch.length === 0) return;
    await this.control.atomically(
      batch.map(([id, at]) =>
        this.control.db.updateTable("api_keys").set({ last_used_at: at }).where("id", "=", id)
          .where((where) => where.or([where("last_used_at", "is", null), where("last_used_at", "<", at)]))
      ),
    );
    for (const [id, at] of batch) {
      if (this.#lastUsed.get(id) === at) this.#lastUsed.delete(id);
    }
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
