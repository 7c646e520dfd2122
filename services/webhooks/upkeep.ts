import type { Clock } from "../clock/clock.ts";
import type { ControlDatabase } from "../control_plane/control_database.ts";
import type { WebhookRulesOf } from "./bounds.ts";
import type { DeliveryRows } from "./delivery_rows.ts";

/** What forgetting needs. */
export interface UpkeepParts {
  readonly control: ControlDatabase;
  readonly deliveries: DeliveryRows;
  readonly clock: Clock;
  /** Names this gateway among those that share the control plane. */
  readonly holder: string;
  readonly rulesOf: WebhookRulesOf;
  /** Milliseconds that a delivery waits at most. */
  readonly waitingLife: number;
  readonly onError: (error: unknown) => void;
}

/** Milliseconds between two rounds, for which a gateway has the right to one, for one statement, and between two of them. */
const PERIOD = 60_000, LEASE = 55_000, PATIENCE = 5_000, PAUSE = 20;
const pause = () => new Promise((resolve) => setTimeout(resolve, PAUSE));
const LEASE_NAME = "webhook-retention";
const TOO_LATE = "it waited for longer than anything may";

/** Gives up what waited for too long and forgets what ended long ago, on one gateway at a time; counts what there is. */
export class Upkeep {
  /** Of all namespaces, at the last round. */
  kept: { readonly waiting: number; readonly dead: number } | undefined;
  readonly #stop = new AbortController();
  #cancel: (() => void) | undefined;
  #working: Promise<void> | undefined;

  constructor(private readonly parts: UpkeepParts) {}

  /** Begins, with a round at once. */
  start(): void {
    if (this.#stop.signal.aborted || this.#working !== undefined) return;
    this.#working = this.#round().catch((error) => {
      if (!this.#stop.signal.aborted) this.parts.onError(error);
    }).finally(() => {
      this.#working = undefined;
      if (!this.#stop.signal.aborted) this.#cancel = this.parts.clock.after(PERIOD, () => this.start(), true);
    });
  }

  /** Ends between two statements. */
  async close(): Promise<void> {
    this.#stop.abort();
    this.#cancel?.();
    await this.#working;
  }

  async #round(): Promise<void> {
    const { deliveries, clock, waitingLife } = this.parts;
    if (await this.#lease()) {
      const now = clock.now();
      await this.#inPages((signal) => deliveries.expire(now - waitingLife, now, TOO_LATE, signal));
      await this.#forget();
    }
    this.kept = await deliveries.counts(this.#patience());
  }

  /** What is forgotten when is each namespace's own. */
  async #forget(): Promise<void> {
    const { deliveries, clock, rulesOf } = this.parts;
    let leasedUntil = clock.monotonic() + LEASE / 2;
    let namespace = await deliveries.namespaceAfter("", this.#patience());
    while (namespace !== undefined && !this.#stop.signal.aborted) {
      const of = namespace;
      const { maxRemembered, deliveredRetention, deadRetention } = await rulesOf(of, { signal: this.#patience() });
      // Where nobody can say how long they are kept, none is given up.
      if (Number.isFinite(maxRemembered + deliveredRetention + deadRetention)) {
        const now = clock.now();
        const remembered = {
          most: maxRemembered,
          deliveredBefore: now - deliveredRetention,
          deadBefore: now - deadRetention,
        };
        await this.#inPages((signal) => deliveries.forget(of, remembered, signal));
      }
      if (clock.monotonic() >= leasedUntil) {
        if (!await this.#lease()) return;
        leasedUntil = clock.monotonic() + LEASE / 2;
      }
      namespace = await deliveries.namespaceAfter(of, this.#patience());
      if (namespace !== undefined) await pause();
    }
  }

  async #inPages(work: (signal: AbortSignal) => Promise<boolean>): Promise<void> {
    while (!this.#stop.signal.aborted && await work(this.#patience())) {
      await pause();
    }
  }

  async #lease(): Promise<boolean> {
    const { control, clock, holder } = this.parts;
    const now = clock.now(), expires_at = now + LEASE;
    const { changes } = await control.run(
      control.db.insertInto("leases").values({ name: LEASE_NAME, holder, expires_at }).onConflict((conflict) =>
        conflict.column("name").doUpdateSet({ holder, expires_at })
          .where((where) => where.or([where("leases.holder", "=", holder), where("leases.expires_at", "<", now)]))
      ),
      this.#patience(),
    );
    return changes === 1;
  }

  #patience(): AbortSignal {
    return AbortSignal.any([this.#stop.signal, AbortSignal.timeout(PATIENCE)]);
  }
}
