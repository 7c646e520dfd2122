import type { CacheAddress, CacheLease } from "../../../src/contracts/cache.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import type { Clock } from "../../clock/clock.ts";
import { lockLost } from "../failures.ts";
import { COST, nameCost } from "./directory.ts";
import { DueHeap } from "./due_heap.ts";

/** What the locks are made of. */
export interface LocksOptions {
  readonly clock: Pick<Clock, "now" | "monotonic">;
  /** Bytes that cannot be guessed. */
  readonly random: (n: number) => Uint8Array;
  /** Counts bytes that locks take or, below 0, give back. */
  readonly reserve: (bytes: number) => void;
  /** Bytes that the locks of all namespaces may take together. */
  readonly maxBytes: number;
}

/** The locks of one namespace. */
interface LockSpace {
  readonly namespace: string;
  readonly locks: Map<string, Lock>;
}

interface Lock {
  readonly space: LockSpace;
  readonly name: string;
  readonly token: string;
  readonly bytes: number;
  /** Milliseconds by the clock that never jumps. */
  due: number;
  place: number;
}

/** Locks that one namespace may hold at once. Unlike entries they cannot make room for others. */
const MOST = 10_000;

/** Locks of all namespaces. Their leases run by the clock that never jumps. */
export class Locks {
  readonly #options: LocksOptions;
  readonly #spaces = new Map<string, LockSpace>();
  readonly #ends = new DueHeap<Lock>({
    dueOf: ({ due }) => due,
    placeOf: ({ place }) => place,
    setPlace(lock, place) {
      lock.place = place;
    },
  });
  #bytes = 0;
  /** The last number given, for all locks: no lock has to be remembered for the sake of its own. */
  #fencing = 0;

  constructor(options: LocksOptions) {
    this.#options = options;
  }

  /** Whether any is held, or its end was not noticed yet. */
  get changing(): boolean {
    return this.#ends.size > 0;
  }

  /** @returns `undefined` when somebody has it @throws GatewayError `QUOTA_EXCEEDED`, `NO_CAPACITY` for too many locks */
  tryLock(namespace: string, at: CacheAddress, lease: number): CacheLease | undefined {
    const { clock, random } = this.#options;
    if (this.#held(namespace, at) !== undefined) return undefined;
    const name = nameOf(at);
    const bytes = COST.lock + nameCost(name);
    const space = this.#spaceFor(namespace, bytes);
    const lock = { space, name, token: random(16).toHex(), bytes, due: clock.monotonic() + lease, place: 0 };
    space.locks.set(name, lock);
    this.#ends.add(lock);
    this.#count(bytes);
    // The clock makes them grow beyond those of a process before this one.
    this.#fencing = Math.max(this.#fencing + 1, Math.floor(clock.now() * 1_000));
    return { token: lock.token, fencing: this.#fencing, expiresAt: clock.now() + lease };
  }

  /** @returns Unix milliseconds at which it ends @throws GatewayError `LOCK_LOST` */
  renew(namespace: string, at: CacheAddress, token: string, lease: number): number {
    const { clock } = this.#options;
    const lock = this.#heldBy(namespace, at, token);
    this.#ends.remove(lock);
    lock.due = clock.monotonic() + lease;
    this.#ends.add(lock);
    return clock.now() + lease;
  }

  /** @throws GatewayError `LOCK_LOST` */
  unlock(namespace: string, at: CacheAddress, token: string): void {
    this.#remove(this.#heldBy(namespace, at, token));
  }

  /** Frees all locks of a namespace. */
  purge(namespace: string): void {
    for (const lock of this.#spaces.get(namespace)?.locks.values() ?? []) this.#remove(lock);
  }

  /** Clears away locks whose leases are over. @param most how many @returns whether there may be more */
  clear(most: number): boolean {
    const now = this.#options.clock.monotonic();
    for (let left = most; left > 0; left--) {
      const { first } = this.#ends;
      if (first === undefined || first.due > now) return false;
      this.#remove(first);
    }
    return true;
  }

  #held(namespace: string, at: CacheAddress): Lock | undefined {
    const lock = this.#spaces.get(namespace)?.locks.get(nameOf(at));
    if (lock === undefined || lock.due > this.#options.clock.monotonic()) return lock;
    this.#remove(lock);
    return undefined;
  }

  #heldBy(namespace: string, at: CacheAddress, token: string): Lock {
    const lock = this.#held(namespace, at);
    if (lock?.token !== token) throw lockLost();
    return lock;
  }

  #spaceFor(namespace: string, bytes: number): LockSpace {
    const { maxBytes } = this.#options;
    const isFull = () => this.#bytes + bytes > maxBytes;
    const hasAll = () => (this.#spaces.get(namespace)?.locks.size ?? 0) >= MOST;
    if (isFull() || hasAll()) this.clear(MOST);
    if (hasAll()) {
      throw new GatewayError("QUOTA_EXCEEDED", `this namespace holds ${MOST} locks already, which is the most`);
    }
    if (isFull()) throw new GatewayError("NO_CAPACITY", "there is no room for another lock; try again later");
    let space = this.#spaces.get(namespace);
    if (space === undefined) {
      space = { namespace, locks: new Map() };
      this.#spaces.set(space.namespace, space);
    }
    return space;
  }

  #remove(lock: Lock): void {
    const { space: { namespace, locks }, name, bytes } = lock;
    this.#ends.remove(lock);
    locks.delete(name);
    if (locks.size === 0) this.#spaces.delete(namespace);
    this.#count(-bytes);
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    this.#options.reserve(bytes);
  }
}

/** No two addresses have one. */
const nameOf = ({ map, key }: CacheAddress) => `${map.length}:${map}${key}`;
