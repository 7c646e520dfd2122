import type { Message } from "../../src/contracts/pubsub.ts";
import { gapText } from "../../src/http/live/encodings.ts";
import { type Piece, pieceOf } from "../../src/http/live/outbox.ts";
import { partOf } from "./parts.ts";

/** Bytes that wait in all replays of a socket: of what was missed, and of what is new. */
export interface Waiting {
  missed: number;
  live: number;
}

/** What one topic still owes its reader of what that has missed, and what is new meanwhile: that comes behind it. */
export class Replay {
  readonly #topic: string;
  readonly #missed: readonly Message[];
  readonly #waiting: Waiting;
  #next: number;
  #live: Piece[] = [];
  /** Where the reader stands who has what was dropped of what is new. */
  #gap: { readonly position: string | undefined } | undefined;

  /** @param from which message on, one at least @param waiting is kept up to date */
  constructor(topic: string, missed: readonly Message[], from: number, waiting: Waiting) {
    this.#topic = topic;
    this.#missed = missed;
    this.#next = from;
    this.#waiting = waiting;
    waiting.missed += bytesOf(missed, from, missed.length);
  }

  /** Keeps what is new until it is its turn. */
  add(piece: Piece): void {
    this.#live.push(piece);
    this.#waiting.live += piece.bytes;
  }

  /** How much waits here of what is new. */
  get live(): number {
    return this.#live.length;
  }

  /** Drops what is new, and remembers to say so. */
  drop(): void {
    const last = this.#live.findLast(({ position }) => position !== undefined);
    // Joins and leaves have none.
    this.#gap = { position: last?.position ?? this.#gap?.position ?? this.#missed.at(-1)!.position };
    this.#takeLive();
  }

  /** Forgets all of it. */
  close(): void {
    this.#waiting.missed -= bytesOf(this.#missed, this.#next, this.#missed.length);
    this.#next = this.#missed.length;
    this.#takeLive();
    this.#gap = undefined;
  }

  #takeLive(): readonly Piece[] {
    const live = this.#live;
    this.#live = [];
    this.#waiting.live -= live.reduce((sum, { bytes }) => sum + bytes, 0);
    return live;
  }

  /** What comes next. @param room bytes that may wait for the reader @returns nothing once all has come */
  take(room: number): readonly Piece[] {
    if (this.#next < this.#missed.length) {
      const from = this.#next, { texts, next } = partOf(this.#topic, this.#missed, from, room);
      this.#next = next;
      this.#waiting.missed -= bytesOf(this.#missed, from, next);
      const text = texts.join("\n");
      // One that is large may be dropped like any other: otherwise a reader for whom it is too much would never get past it.
      const topic = text.length > room / 4 ? this.#topic : undefined;
      return [pieceOf(text, topic, this.#missed[next - 1]!.position)];
    }
    const live = this.#takeLive();
    if (this.#gap === undefined) return live;
    const { position } = this.#gap;
    this.#gap = undefined;
    return [pieceOf(gapText(this.#topic, "slow", position), this.#topic, position), ...live];
  }

  /** Whether all has come. */
  get isOver(): boolean {
    return this.#next === this.#missed.length && this.#live.length === 0 && this.#gap === undefined;
  }
}

function bytesOf(messages: readonly Message[], from: number, to: number): number {
  let bytes = 0;
  for (let i = from; i < to; i++) bytes += messages[i]!.data.length;
  return bytes;
}
