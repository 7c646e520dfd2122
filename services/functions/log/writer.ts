import { hasCode } from "../../../src/contracts/errors.ts";
import { abortable } from "../../clock/abortable.ts";
import type { Clock } from "../../clock/clock.ts";
import { atMost } from "../../clock/waiting.ts";
import { type BufferBounds, type BufferedRow, LogBuffer } from "./buffer.ts";
import { LOG_TABLES, type Logged, type LogRows, type LogTable } from "./rows.ts";

/** What the writer works with. */
export interface WriterParts {
  readonly rows: Pick<LogRows, "insert">;
  readonly clock: Clock;
  /** Of each of the two tables. */
  readonly bounds: BufferBounds;
  /** Called when rows were written, or none wait, so that there is room again. */
  readonly onRoom: () => void;
  /** Told when writing begins to fail, and of rows that can never be written. */
  readonly onError: (error: unknown) => void;
}

/** Milliseconds between two rounds, and how many rows that wait begin one at once. */
const PERIOD = 500, MANY = 500;
/** What one statement carries at most: on the embedded control plane nothing else runs meanwhile. */
const BATCH_ROWS = 100, BATCH_BYTES = 256 * 1024;
/** Milliseconds for one statement. */
const PATIENCE = 5_000;
/** Milliseconds that a reader waits for what is not written yet, and that closing does. */
const READER_PATIENCE = 1_000, LAST_PATIENCE = 3_000;
/** Milliseconds to the next try while the control plane is away: twice as long after each, up to the latter. */
const FIRST_PAUSE = 500, LONGEST_PAUSE = 15_000;

/** Writes rows half a second behind, many with one statement. While the control plane is away they wait, as many as may. */
export class LogWriter {
  readonly #buffers: Readonly<Record<LogTable, LogBuffer>>;
  #round: Promise<void> | undefined;
  #stopTimer: (() => void) | undefined;
  #failures = 0;
  #closed = false;

  constructor(private readonly parts: WriterParts) {
    const bufferOf = (table: LogTable) => new LogBuffer(table, parts.bounds, () => parts.clock.monotonic());
    this.#buffers = {
      function_logs: bufferOf("function_logs"),
      function_invocations: bufferOf("function_invocations"),
    };
  }

  /** Rows that wait. */
  get waiting(): number {
    return this.#buffers.function_logs.length + this.#buffers.function_invocations.length;
  }

  /**
   * Takes a row.
   * @param isNotice whether it says of others that they were dropped: such a one is never too fast
   * @returns whether there was room for it
   */
  add(table: LogTable, row: BufferedRow, isNotice = false): boolean {
    if (this.#closed) return false;
    if (!this.#buffers[table].add(row, isNotice)) {
      // A row may be too many where none waits, and then nobody would come to say so.
      this.#schedule();
      return false;
    }
    if (this.#buffers[table].length >= MANY && this.#failures === 0) void this.#write();
    else this.#schedule();
    return true;
  }

  /** Forgets rows that nobody will read. */
  drop(isGone: (row: Logged) => boolean): void {
    for (const table of LOG_TABLES) this.#buffers[table].drop(isGone);
  }

  /** Waits a second at most until what waits of a function is written. While writing fails nobody waits. @throws the signal's reason */
  async settle(functionId: string, signal: AbortSignal): Promise<void> {
    if (this.#failures > 0 || !LOG_TABLES.some((table) => this.#buffers[table].has(functionId))) return;
    // What is under way may have begun before the rows came.
    const written = this.#write().then(() => this.#failures === 0 ? this.#write() : undefined);
    await abortable(atMost(this.parts.clock, READER_PATIENCE, written), signal);
  }

  /** Writes what waits, and takes nothing more. Ends after some seconds in any case. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#stopTimer?.();
    this.#stopTimer = undefined;
    const written = this.#write().then(() => this.waiting > 0 ? this.#write() : undefined);
    await atMost(this.parts.clock, LAST_PATIENCE, written);
  }

  #schedule(): void {
    if (this.#stopTimer !== undefined || this.#round !== undefined) return;
    const pause = this.#failures === 0 ? PERIOD : Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (this.#failures - 1));
    this.#stopTimer = this.parts.clock.after(pause, () => {
      this.#stopTimer = undefined;
      void this.#write();
    }, true);
  }

  #write(): Promise<void> {
    return this.#round ??= this.#writeAll().finally(() => {
      this.#round = undefined;
      if (this.waiting > 0 && !this.#closed) this.#schedule();
    });
  }

  async #writeAll(): Promise<void> {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
    if (this.waiting === 0) this.parts.onRoom();
    for (const table of LOG_TABLES) {
      // Not what comes meanwhile: a loud function would keep the round going for ever.
      for (let left = this.#buffers[table].length; left > 0;) {
        const batch = this.#buffers[table].take(BATCH_ROWS, BATCH_BYTES);
        if (batch.length === 0) break;
        left -= batch.length;
        if (!await this.#insert(table, batch)) return;
        if (left > 0) await new Promise((resolve) => setTimeout(resolve));
      }
    }
  }

  async #insert(table: LogTable, batch: readonly BufferedRow[]): Promise<boolean> {
    const buffer = this.#buffers[table];
    try {
      await this.parts.rows.insert(table, batch.map(({ values }) => values), AbortSignal.timeout(PATIENCE));
    } catch (error) {
      const isLate = error instanceof Error && error.name === "TimeoutError";
      const isPassing = isLate || hasCode(error, "UNAVAILABLE", "OUTCOME_UNKNOWN", "NO_CAPACITY");
      if (this.#failures === 0 || !isPassing) this.parts.onError(error);
      if (isPassing) {
        this.#failures++;
        buffer.failed();
        return false;
      }
      // What is refused now will be refused for ever, and everything behind it would wait.
    }
    this.#failures = 0;
    buffer.written();
    this.parts.onRoom();
    return true;
  }
}
