import type { FunctionRules } from "../../../src/contracts/settings.ts";
import type { Clock } from "../../clock/clock.ts";
import { pause } from "../../clock/waiting.ts";
import type { ControlDatabase } from "../../control_plane/control_database.ts";
import { firstIdAt } from "./ids.ts";
import { LOG_TABLES, type Logged, type LogRows, type LogTable } from "./rows.ts";

/** What forgetting needs. */
export interface RetentionParts {
  readonly control: ControlDatabase;
  readonly rows: LogRows;
  readonly clock: Clock;
  /** Names this gateway among those that share the control plane. */
  readonly holder: string;
  readonly rulesOf: (
    namespace: string,
    request: { readonly signal: AbortSignal },
  ) => Pick<FunctionRules, "logRetention"> | Promise<Pick<FunctionRules, "logRetention">>;
  /** Rows of each table that are kept of one function. */
  readonly maxRows: number;
  /** Told what failed; it is tried again. */
  readonly onError: (error: unknown) => void;
}

/** Milliseconds between two rounds, and for which a gateway has the right to one. */
const PERIOD = 60_000, LEASE = 60_000;
/** Rows that one statement deletes, and milliseconds between two: on the embedded control plane nothing else runs meanwhile. */
const PAGE = 200, PAUSE = 20;
/** Milliseconds for one statement. */
const PATIENCE = 5_000;
const LEASE_NAME = "function-log-retention";

/** Forgets what is too old or too much, on one gateway of those that share the control plane at a time. */
export class LogRetention {
  readonly #stop = new AbortController();
  #stopTimer: (() => void) | undefined;
  #working: Promise<void> | undefined;
  /** Until when this gateway need not ask for the right. */
  #leased = -Infinity;

  constructor(private readonly parts: RetentionParts) {}

  /** Looks from time to time, the first time in a while. */
  start(): void {
    if (this.#stop.signal.aborted || this.#stopTimer !== undefined) return;
    this.#stopTimer = this.parts.clock.after(PERIOD, () => {
      this.#stopTimer = undefined;
      this.#working ??= this.#round().finally(() => this.#working = undefined);
      this.start();
    }, true);
  }

  /** Removes all rows of a namespace while it is being deleted. @throws the signal's reason, GatewayError `UNAVAILABLE` */
  async purge(namespace: string, signal: AbortSignal): Promise<void> {
    for (const table of LOG_TABLES) {
      await this.#inPages((limit) => this.parts.rows.deleteOf(table, namespace, limit, signal), signal);
    }
  }

  /** Ends what is under way between two statements. */
  async close(): Promise<void> {
    this.#stop.abort();
    this.#stopTimer?.();
    await this.#working;
  }

  async #round(): Promise<void> {
    try {
      await this.#everybody();
    } catch (error) {
      if (!this.#stop.signal.aborted) this.parts.onError(error);
    }
  }

  async #everybody(): Promise<void> {
    for (const table of LOG_TABLES) {
      let next = await this.parts.rows.next(table, undefined, this.#patience());
      while (next !== undefined && await this.#lease()) {
        if (next.lives) await this.#tooOldOrMuch(table, next);
        else await this.#upTo(table, next, LAST);
        await this.#pause(this.#stop.signal);
        next = await this.parts.rows.next(table, next, this.#patience());
      }
    }
  }

  async #tooOldOrMuch(table: LogTable, of: Logged): Promise<void> {
    const { clock, rows, rulesOf, maxRows } = this.parts;
    const { logRetention } = await rulesOf(of.namespace, { signal: this.#patience() });
    // Where nobody can say how long they are kept, none is given up.
    if (Number.isFinite(logRetention)) await this.#upTo(table, of, firstIdAt(clock.now() - logRetention));
    const beyond = await rows.beyond(table, of, maxRows, this.#patience());
    if (beyond !== undefined) await this.#upTo(table, of, beyond);
  }

  async #upTo(table: LogTable, of: Logged, id: string): Promise<void> {
    const { signal } = this.#stop;
    await this.#inPages((limit) => this.parts.rows.deleteUpTo(table, of, id, limit, this.#patience()), signal);
  }

  async #inPages(remove: (limit: number) => Promise<number>, signal: AbortSignal): Promise<void> {
    while (await remove(PAGE) === PAGE) await this.#pause(signal);
  }

  /** Whether this gateway may go on: it has the right to, or takes it where nobody has. */
  async #lease(): Promise<boolean> {
    const { control, clock, holder } = this.parts;
    if (this.#stop.signal.aborted) return false;
    const now = clock.now(), expires_at = now + LEASE;
    if (clock.monotonic() < this.#leased) return true;
    const { changes } = await control.run(
      control.db.insertInto("leases").values({ name: LEASE_NAME, holder, expires_at }).onConflict((conflict) =>
        conflict.column("name").doUpdateSet({ holder, expires_at })
          .where((where) => where.or([where("leases.holder", "=", holder), where("leases.expires_at", "<", now)]))
      ),
      this.#patience(),
    );
    // Asked for again in good time, and not for each function.
    if (changes === 1) this.#leased = clock.monotonic() + LEASE / 2;
    return changes === 1;
  }

  /** @throws the signal's reason, or this gateway's end */
  async #pause(signal: AbortSignal): Promise<void> {
    await pause(this.parts.clock, PAUSE, AbortSignal.any([signal, this.#stop.signal]));
  }

  #patience(): AbortSignal {
    return AbortSignal.any([this.#stop.signal, AbortSignal.timeout(PATIENCE)]);
  }
}

/** Behind every id. */
const LAST = "g";
