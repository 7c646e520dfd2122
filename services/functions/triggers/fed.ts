import type { RequestContext } from "../../../src/contracts/request.ts";
import type { TriggerSource } from "../../../src/contracts/function_triggers.ts";
import type { Clock } from "../../clock/clock.ts";
import { pause } from "../../clock/waiting.ts";
import { backoff } from "./backoff.ts";
import { sentenceOf } from "./failures.ts";
import type { Firing } from "./firing.ts";
import type { LeaseRows } from "./lease_rows.ts";
import type { LastNotes } from "./notes.ts";
import { sourceOf, type TriggerRow } from "./rows.ts";

/** What a trigger that follows something needs. */
export interface FedParts {
  readonly leases: LeaseRows;
  readonly firing: Firing;
  readonly notes: LastNotes;
  readonly clock: Clock;
  readonly random: (n: number) => Uint8Array;
  readonly onError: (error: unknown) => void;
}

/** Nothing of this trigger is to be called here any more: it is gone or disabled, or another gateway follows for it. */
export class NotOurs extends Error {
  override readonly name = "NotOurs";
}

/**
 * Calls a second that one trigger makes on the long run, and calls that it may make at once before that holds. What a function itself
 * publishes or writes may begin its next call: this bounds what such a circle costs.
 */
export const RATE = { second: 100, burst: 200 };
/** Milliseconds between two notes of the position. After a crash so much is told again. */
const SAVE = 1_000;
/** Milliseconds that the control plane has to say whether a call is to be made. */
const PATIENCE = 5_000;
/** Milliseconds between two tries of a call for which there was no place. */
const RETRY = { first: 200, most: 15_000 };
/** Milliseconds for which a trouble is told beside calls that end well. */
const TOLD = 60_000;

/** One trigger of a topic or a table while this gateway follows for it: calls in order, one at a time. */
export class Fed {
  readonly source: TriggerSource;
  readonly #stopping = new AbortController();
  readonly #breaking = new AbortController();
  #position: string | undefined;
  #saved: string | undefined;
  #saver: (() => void) | undefined;
  #tokens = RATE.burst;
  #filledAt: number;
  #trouble: { readonly text: string; readonly until: number } | undefined;

  constructor(private readonly parts: FedParts, readonly row: TriggerRow) {
    this.source = sourceOf(row);
    this.#position = this.#saved = row.position ?? undefined;
    this.#filledAt = parts.clock.monotonic();
  }

  get id(): string {
    return this.row.id;
  }

  /** Up to where it was told; `undefined`: from now on. */
  get position(): string | undefined {
    return this.#position;
  }

  /** Fires when nothing new is to begin. */
  get signal(): AbortSignal {
    return this.#stopping.signal;
  }

  /** For what is asked in its name. */
  get context(): RequestContext {
    return { requestId: this.row.id, signal: this.signal, clientAddress: "" };
  }

  /** Nothing new begins; a call that runs goes on. */
  stop(): void {
    this.#saver?.();
    this.#stopping.abort(new NotOurs());
  }

  /** Breaks off a call that runs, too. */
  breakOff(): void {
    this.stop();
    this.#breaking.abort(new NotOurs());
  }

  /** Tells whoever looks at the trigger what is wrong, for a while, also beside calls that end well. */
  tell(trouble: string): void {
    const { clock, notes } = this.parts;
    this.#trouble = { text: trouble, until: clock.monotonic() + TOLD };
    notes.note(this.id, trouble);
  }

  /** Whether the function is to be called here. @throws NotOurs; GatewayError `UNAVAILABLE` */
  async check(): Promise<void> {
    this.signal.throwIfAborted();
    const patience = AbortSignal.any([this.signal, AbortSignal.timeout(PATIENCE)]);
    const isOurs = await this.parts.leases.holds(this.id, patience);
    this.signal.throwIfAborted();
    if (!isOurs) throw new NotOurs();
  }

  /**
   * Calls the function, again and again while there is no place for it, and moves on behind what it was called for.
   * @param position of that; `undefined` where it has none
   * @throws NotOurs when it is not to be called here any more; then nothing moved
   */
  async call(input: Uint8Array, position: string | undefined): Promise<void> {
    const { firing, notes } = this.parts;
    await this.#turn();
    for (let tries = 0;; tries++) {
      const problem = await this.#tryCheck();
      const { kind, error } = problem ?? await firing.fire(this.row, input, this.#breaking.signal);
      if (kind === "broken_off") throw new NotOurs();
      if (kind === "ended") {
        notes.note(this.id, error ?? this.#troubleNow());
        return this.moveTo(position ?? this.#position);
      }
      notes.note(this.id, error);
      await this.rest(tries, RETRY);
    }
  }

  /** Stands behind something; written down a second later, with what came until then. */
  moveTo(position: string | undefined): void {
    this.#position = position;
    if (position === this.#saved || this.#saver !== undefined || this.signal.aborted) return;
    this.#saver = this.parts.clock.after(SAVE, () => {
      this.#saver = undefined;
      void this.save();
    }, true);
  }

  /** Writes down where it stands, if that can be done now, and stops where another gateway follows. Never rejects. */
  async save(): Promise<void> {
    const position = this.#position;
    if (position === this.#saved) return;
    try {
      if (!await this.parts.leases.moveTo(this.id, position)) return this.breakOff();
      this.#saved = position;
      // It may have moved on meanwhile.
      this.moveTo(this.#position);
    } catch (error) {
      // The next time it may be written: until then more would be told again.
      this.parts.onError(error);
      this.moveTo(position);
    }
  }

  /** Waits before another try. @throws NotOurs when it stops meanwhile */
  async rest(tries: number, times: { readonly first: number; readonly most: number }): Promise<void> {
    const { clock, random } = this.parts;
    await pause(clock, backoff(tries, times, random(1)[0]! / 256), this.signal);
  }

  async #tryCheck(): Promise<{ readonly kind: "later"; readonly error: string } | undefined> {
    try {
      return void await this.check();
    } catch (error) {
      if (error instanceof NotOurs || this.signal.aborted) throw new NotOurs();
      return { kind: "later", error: sentenceOf(error) };
    }
  }

  #troubleNow(): string | undefined {
    if (this.#trouble !== undefined && this.#trouble.until < this.parts.clock.monotonic()) this.#trouble = undefined;
    return this.#trouble?.text;
  }

  async #turn(): Promise<void> {
    const { clock } = this.parts;
    const fill = () => {
      const now = clock.monotonic();
      this.#tokens = Math.min(RATE.burst, this.#tokens + (now - this.#filledAt) * RATE.second / 1_000);
      this.#filledAt = now;
    };
    fill();
    if (this.#tokens < 1) {
      this.tell(
        `it is called as often as may be, ${RATE.second} times a second: does the function cause its own calls?`,
      );
      await pause(clock, Math.ceil((1 - this.#tokens) * 1_000 / RATE.second), this.signal);
      fill();
    }
    this.#tokens--;
  }
}
