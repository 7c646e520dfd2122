import { setImmediate } from "node:timers/promises";
import { sql } from "kysely";
import type { FunctionTrigger } from "../../../src/contracts/function_triggers.ts";
import type { Clock } from "../../clock/clock.ts";
import type { ControlDatabase } from "../../control_plane/control_database.ts";

/** What writing down needs. */
export interface NotesParts {
  readonly control: ControlDatabase;
  readonly clock: Clock;
  readonly onError: (error: unknown) => void;
}

type Note = NonNullable<FunctionTrigger["last"]>;

/** Milliseconds between two notes of one trigger in the control plane. */
const PAUSE = 3_000;
/** Milliseconds that one page of them has. */
const PATIENCE = 5_000;
const PAGE = 100;
/** Characters of a note: traps may say a lot. */
const LONGEST = 500;

/** When triggers fired last and how that ended. The newest is known here at once, and to others a few seconds later. */
export class LastNotes {
  #pending = new Map<string, Note>();
  #writing: Promise<void> | undefined;
  #cancel: (() => void) | undefined;
  #closed = false;

  constructor(private readonly parts: NotesParts) {}

  /** Notes what happened to a trigger now. @param error a public sentence */
  note(id: string, error: string | undefined): void {
    const cut = error !== undefined && error.length > LONGEST ? `${error.slice(0, LONGEST - 1)}…` : error;
    // A half of a pair has no UTF-8.
    this.#pending.set(id, { at: this.parts.clock.now(), error: cut?.toWellFormed().replaceAll("\0", "�") });
    this.#schedule();
  }

  /** What is not written yet. */
  of(id: string): Note | undefined {
    return this.#pending.get(id);
  }

  /** Writes down what there is, and nothing any more. Resolves within some seconds. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel?.();
    await this.#writing;
    await this.#write();
  }

  #schedule(): void {
    if (this.#cancel !== undefined || this.#writing !== undefined || this.#closed) return;
    this.#cancel = this.parts.clock.after(PAUSE, () => {
      this.#cancel = undefined;
      this.#writing = this.#write().finally(() => {
        this.#writing = undefined;
        if (this.#pending.size > 0) this.#schedule();
      });
    }, true);
  }

  /** Writes all that there is when it begins, page by page. What comes meanwhile is newer, and is written the next time. */
  async #write(): Promise<void> {
    const pending = [...this.#pending.keys()];
    for (let at = 0; at < pending.length; at += PAGE) {
      // The control plane may be in this process.
      if (at > 0) await setImmediate();
      if (!await this.#writePage(pending.slice(at, at + PAGE))) return;
    }
  }

  /** @returns whether it could be written */
  async #writePage(ids: readonly string[]): Promise<boolean> {
    const { control, onError } = this.parts;
    const page = ids.map((id) => [id, this.#pending.get(id)!] as const);
    const text = JSON.stringify(page.map(([id, { at, error }]) => ({ id, at, error: error ?? null })));
    try {
      await control.run(
        // What another gateway wrote later stays.
        sql`UPDATE function_triggers SET last_at = n.at, last_error = n.error
          FROM (SELECT value ->> 'id' AS id, value ->> 'at' AS at, value ->> 'error' AS error FROM json_each(${text})) AS n
          WHERE function_triggers.id = n.id AND coalesce(last_at, 0) <= n.at`.compile(control.db),
        AbortSignal.timeout(PATIENCE),
      );
    } catch (error) {
      onError(error);
      return false;
    }
    for (const [id, note] of page) {
      const newer = this.#pending.get(id)!;
      this.#pending.delete(id);
      // Behind those that wait for longer: triggers that fire all the time would hide them else.
      if (newer !== note) this.#pending.set(id, newer);
    }
    return true;
  }
}
