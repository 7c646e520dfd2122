import type { CID } from "multiformats/cid";
import { GatewayError } from "../../../src/contracts/errors.ts";
import type { PinState } from "../../../src/contracts/storage.ts";
import type { PinOptions, Waiter } from "../driver.ts";
import { keyOf } from "../car/cids.ts";
import type { Cluster } from "./cluster.ts";
import { QUEUED, stateInCluster, UNPINNED } from "./pin_state.ts";
import type { Pins } from "./pins.ts";

const pauseFor = (ms: number, signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done, { once: true });
  });

/**
 * Milliseconds in which a peer may not know of a pin yet, or not of its end: it writes changes down together, of which it knows nothing
 * before (`batching.max_batch_age`, which is to be 100 ms), and another peer learns of them after that.
 */
const SETTLING = 300;
/** Milliseconds between two looks at whether it has settled, and in which an end must have. */
const LOOK = 60, PATIENCE = 3_000;
/** How many changes are remembered. */
const MAX_RECENT = 10_000;

/** Pins in an IPFS Cluster. It has one record for each CID, which it replaces. */
export class ClusterPins implements Pins {
  /** What was changed from here, and when: it may not show yet. */
  readonly #recent = new Map<string, { readonly wanted: boolean; readonly at: number }>();

  constructor(private readonly cluster: Cluster, private readonly now: () => number) {}

  /** @inheritdoc */
  async pin(cid: CID, options: PinOptions, waiter: Waiter): Promise<void> {
    await this.cluster.pin(cid, options, waiter);
    this.#remember(cid, true);
  }

  /**
   * Comes back when it is certain. An end is lost when it comes before its pin was written down: the peer says that there is no such
   * pin, and then it appears. So it is said until there has been none for long enough.
   */
  async unpin(cid: CID, waiter: Waiter): Promise<void> {
    const begin = this.now();
    for (let gone = 0;;) {
      if (await this.cluster.unpin(cid, waiter)) gone = 0;
      else gone ||= this.now();
      const now = this.now();
      if (gone > 0 && now - begin >= SETTLING && now - gone >= LOOK) break;
      if (now - begin > PATIENCE) {
        const cause = new Error(`the cluster still has ${cid}`);
        throw new GatewayError("UNAVAILABLE", "the cluster does not let the content go yet", { cause, retryAfter: 1 });
      }
      await pauseFor(LOOK, waiter.signal);
      waiter.signal.throwIfAborted();
    }
    this.#remember(cid, false);
  }

  /** @inheritdoc */
  async state(cid: CID, waiter: Waiter): Promise<PinState> {
    const [allocation, status] = await Promise.all([
      this.cluster.allocation(cid, waiter),
      this.cluster.status(cid, waiter),
    ]);
    if (allocation !== undefined) return stateInCluster(allocation, status);
    return this.#lately(cid) === true ? QUEUED : UNPINNED;
  }

  /**
   * Copies at peers that are gone are moved to others, too: the Cluster tries that once, when it notices their end, and then never again.
   */
  async recover(cid: CID, waiter: Waiter): Promise<void> {
    const [wanted, status] = await Promise.all([
      this.cluster.allocation(cid, waiter),
      this.cluster.status(cid, waiter),
    ]);
    if (wanted === undefined) {
      if (this.#lately(cid) === true) return;
      throw new GatewayError("NOT_FOUND", "this content is not pinned");
    }
    const isGone = (peer: string) => status.peer_map[peer]?.status === "cluster_error";
    if (wanted.allocations?.some(isGone)) {
      const { name, replication_factor_min: min, replication_factor_max: max, origins } = wanted;
      await this.pin(cid, { name, replication: { min, max }, origins: origins ?? [] }, waiter);
    }
    await this.cluster.recover(cid, waiter);
  }

  /** @inheritdoc */
  async knows(cid: CID, waiter: Waiter): Promise<boolean> {
    return await this.cluster.allocation(cid, waiter) !== undefined || this.#lately(cid) === true;
  }

  #remember(cid: CID, wanted: boolean): void {
    const key = keyOf(cid);
    this.#recent.delete(key);
    this.#recent.set(key, { wanted, at: this.now() });
    for (const [old, { at }] of this.#recent) {
      if (this.#recent.size <= MAX_RECENT && this.now() - at < SETTLING * 4) break;
      this.#recent.delete(old);
    }
  }

  #lately(cid: CID): boolean | undefined {
    const recent = this.#recent.get(keyOf(cid));
    return recent !== undefined && this.now() - recent.at < SETTLING * 4 ? recent.wanted : undefined;
  }
}
