import { type Clock, SYSTEM_CLOCK } from "../clock/clock.ts";

/** What the keeper of connections is built on. */
export interface KeeperOptions {
  /** The peer id of this gateway. */
  readonly self: string;
  /** Connects; rejects when that fails. @param addresses multiaddresses that end with the id */
  readonly dial: (peer: string, addresses: readonly string[]) => Promise<void>;
  readonly isConnected: (peer: string) => boolean;
  /** From 0 up to 1. */
  readonly chance: () => number;
  /** Default: that of this machine. */
  readonly clock?: Pick<Clock, "after">;
}

/** Milliseconds: the first pause between two attempts, and the longest. */
const FIRST = 500, LONGEST = 30_000;
/** Milliseconds by which one of two lets the other begin: two connections where one would do are a waste. */
const COURTESY = 1_000;

interface Wanted {
  addresses: readonly string[];
  /** Whether an operator named it: what the control plane says does not take it away. */
  pinned: boolean;
  failures: number;
  dialling: boolean;
  cancel: (() => void) | undefined;
}

/** Keeps a gateway connected to those that are named: dials them until it is, with pauses that grow. */
export class Keeper {
  readonly #wanted = new Map<string, Wanted>();
  #closed = false;

  constructor(private readonly options: KeeperOptions) {}

  /** Keeps a connection to one more, whatever {@link know} says. */
  keep(peer: string, addresses: readonly string[]): void {
    this.#want(peer, addresses, true);
  }

  /** Keeps connections to these, and no longer to those that were named here before and are not now. */
  know(peers: ReadonlyMap<string, readonly string[]>): void {
    for (const [peer, wanted] of this.#wanted) {
      if (wanted.pinned || peers.has(peer)) continue;
      wanted.cancel?.();
      this.#wanted.delete(peer);
    }
    for (const [peer, addresses] of peers) {
      if (this.#wanted.get(peer)?.pinned !== true) this.#want(peer, addresses, false);
    }
  }

  /** Somebody is connected now, whoever dialled. */
  connected(peer: string): void {
    const wanted = this.#wanted.get(peer);
    if (wanted === undefined) return;
    wanted.failures = 0;
    wanted.cancel?.();
    wanted.cancel = undefined;
  }

  /** Somebody is connected no longer. */
  disconnected(peer: string): void {
    const wanted = this.#wanted.get(peer);
    if (wanted !== undefined) this.#plan(peer, wanted, this.#courtesy(peer) + FIRST * this.options.chance());
  }

  /** Dials nobody any more. */
  close(): void {
    this.#closed = true;
    for (const wanted of this.#wanted.values()) wanted.cancel?.();
    this.#wanted.clear();
  }

  #want(peer: string, addresses: readonly string[], pinned: boolean): void {
    if (peer === this.options.self || addresses.length === 0) return;
    const known = this.#wanted.get(peer);
    if (known === undefined) {
      const wanted: Wanted = { addresses, pinned, failures: 0, dialling: false, cancel: undefined };
      this.#wanted.set(peer, wanted);
      this.#plan(peer, wanted, this.#courtesy(peer));
      return;
    }
    known.pinned ||= pinned;
    if (addresses.join() === known.addresses.join()) return;
    known.addresses = addresses;
    known.failures = 0;
    this.#plan(peer, known, this.#courtesy(peer));
  }

  #courtesy(peer: string): number {
    return this.options.self < peer ? 0 : COURTESY;
  }

  #plan(peer: string, wanted: Wanted, ms: number): void {
    if (this.#closed || wanted.dialling) return;
    wanted.cancel?.();
    const { clock = SYSTEM_CLOCK } = this.options;
    wanted.cancel = clock.after(ms, () => void this.#dial(peer, wanted));
  }

  async #dial(peer: string, wanted: Wanted): Promise<void> {
    wanted.cancel = undefined;
    if (this.options.isConnected(peer)) return;
    wanted.dialling = true;
    try {
      await this.options.dial(peer, wanted.addresses);
    } catch {
      wanted.failures++;
    } finally {
      wanted.dialling = false;
    }
    // It may have been forgotten meanwhile, or have gone again.
    if (this.#wanted.get(peer) !== wanted || this.options.isConnected(peer)) return;
    const pause = Math.min(LONGEST, FIRST * 2 ** Math.max(0, wanted.failures - 1));
    this.#plan(peer, wanted, pause * (0.5 + this.options.chance() / 2));
  }
}
