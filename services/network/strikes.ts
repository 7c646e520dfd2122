/** Why something of a peer was refused, or its connections were cut. */
export const REFUSALS = [
  /** Bytes that mean nothing: no frame, no message, a signature that is none. */
  "garbage",
  /** More than fits a message, a frame or a question. */
  "oversize",
  /** More than a peer may send in a time. */
  "flood",
  /** Streams beyond those that the protocol has. */
  "streams",
  /** It takes nothing, or does not answer in time. */
  "stalled",
  /** Somebody without the key of the network. */
  "stranger",
] as const;
/** One of {@link REFUSALS}. */
export type Refusal = typeof REFUSALS[number];

/** Milliseconds for which a peer is shut out the first time, and at most. */
const FIRST = 5_000, LONGEST = 300_000;
/** Milliseconds after which what it did is forgotten. */
const MEMORY = 600_000;
/** Peers that are remembered. */
const MOST = 10_000;

interface Shut {
  strikes: number;
  until: number;
  last: number;
}

/** Remembers who is shut out for a while: each time for longer. */
export class Strikes {
  readonly #records = new Map<string, Shut>();

  /** @param monotonic milliseconds on a clock that never jumps */
  constructor(private readonly monotonic: () => number) {}

  /** Shuts a peer out for having done what no gateway does. */
  strike(peer: string): void {
    const now = this.monotonic();
    const strikes = (this.#alive(peer)?.strikes ?? 0) + 1;
    this.#set(peer, { strikes, until: now + Math.min(LONGEST, FIRST * 2 ** (strikes - 1)), last: now });
  }

  /** Shuts a peer out because an operator says so. @param ms for how long */
  shut(peer: string, ms: number): void {
    const now = this.monotonic();
    this.#set(peer, { strikes: this.#alive(peer)?.strikes ?? 0, until: now + ms, last: now + ms });
  }

  /** Lets a peer in again. */
  forgive(peer: string): void {
    this.#records.delete(peer);
  }

  /** Whether a peer is shut out now. */
  isOut(peer: string): boolean {
    return (this.#records.get(peer)?.until ?? -Infinity) > this.monotonic();
  }

  #alive(peer: string): Shut | undefined {
    const record = this.#records.get(peer);
    return record && record.last + MEMORY > this.monotonic() ? record : undefined;
  }

  #set(peer: string, record: Shut): void {
    this.#records.delete(peer);
    this.#records.set(peer, record);
    const [oldest] = this.#records.keys();
    if (this.#records.size > MOST) this.#records.delete(oldest!);
  }
}
