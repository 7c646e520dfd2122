import type { CID } from "multiformats/cid";
import { GatewayError } from "../../../src/contracts/errors.ts";
import type { PinState } from "../../../src/contracts/storage.ts";
import { keyOf } from "../car/cids.ts";
import type { PinOptions, Waiter } from "../driver.ts";
import { fateOf, unavailable } from "./failures.ts";
import type { KuboNode } from "./kubo.ts";
import type { Nodes } from "./nodes.ts";
import { type PeerState, sentenceOf, stateOf, UNPINNED } from "./pin_state.ts";
import type { Pins } from "./pins.ts";

/** Milliseconds that a pin is waited for: what is there already is pinned by then. */
const AT_ONCE = 1_000;
/** How many failures are remembered. */
const MAX_FAILURES = 10_000;

/** What {@link KuboPins} needs. Times in milliseconds. */
export interface KuboPinsOptions {
  readonly nodes: Nodes<KuboNode>;
  /** For one question. */
  readonly timeout: number;
  /** Until a node gives up to find what it is to pin. */
  readonly pinTimeout: number;
  /** Fires when the driver ends. */
  readonly closing: AbortSignal;
}

/** A pin that a node is at. */
interface Running {
  readonly done: Promise<void>;
  readonly abort: AbortController;
}

/**
 * Pins at the Kubo nodes themselves, without a Cluster: every node keeps everything, whatever number of copies is wanted. What a node
 * is still looking for is known to this process alone.
 */
export class KuboPins implements Pins {
  readonly #options: KuboPinsOptions;
  /** By node and CID. */
  readonly #running = new Map<string, Running>();
  readonly #failures = new Map<string, string>();

  constructor(options: KuboPinsOptions) {
    this.#options = options;
  }

  /** @inheritdoc */
  async pin(cid: CID, { name }: PinOptions, { signal }: Waiter): Promise<void> {
    signal.throwIfAborted();
    const { nodes } = this.#options;
    const running = nodes.all.map((node) => this.#start(node, cid, name));
    const gone = Promise.withResolvers<void>();
    const timer = setTimeout(gone.resolve, AT_ONCE), leave = () => gone.resolve();
    signal.addEventListener("abort", leave, { once: true });
    await Promise.race([Promise.all(running), gone.promise]);
    clearTimeout(timer);
    signal.removeEventListener("abort", leave);
    signal.throwIfAborted();
    const failures = nodes.all.map((node) => this.#failures.get(keyAt(node, cid)));
    if (failures.every((failure) => failure !== undefined)) throw unavailable(new Error(failures.join("; ")));
  }

  /** @inheritdoc */
  async unpin(cid: CID, { signal }: Waiter): Promise<void> {
    const { nodes, timeout } = this.#options;
    const results = await Promise.allSettled(nodes.all.map(async (node) => {
      const key = keyAt(node, cid), running = this.#running.get(key);
      running?.abort.abort();
      await running?.done;
      this.#failures.delete(key);
      try {
        await node.unpin(cid, { signal, timeout });
      } catch (error) {
        if (fateOf(error) !== "unpinned") throw error;
      }
    }));
    signal.throwIfAborted();
    const failed = results.find((result) => result.status === "rejected");
    if (failed !== undefined) throw unavailable(failed.reason);
  }

  /** @inheritdoc */
  async state(cid: CID, { signal }: Waiter): Promise<PinState> {
    const peers = await Promise.all(this.#options.nodes.all.map((node, i) => this.#stateAt(node, i, cid, signal)));
    if (peers.every(({ status }) => status === "unknown")) throw unavailable(new Error("no node answers"));
    if (peers.every(({ status }) => status === "unpinned" || status === "unknown")) return UNPINNED;
    const open = peers.map((peer): PeerState =>
      peer.status === "unknown" ? { ...peer, status: "error", error: "the peer cannot be reached" } : peer
    );
    return stateOf(open, -1);
  }

  /** @inheritdoc */
  async recover(cid: CID, waiter: Waiter): Promise<void> {
    if (!await this.knows(cid, waiter)) throw new GatewayError("NOT_FOUND", "this content is not pinned");
    await this.pin(cid, { name: "", replication: { min: -1, max: -1 } }, waiter);
  }

  /** @inheritdoc */
  async knows(cid: CID, waiter: Waiter): Promise<boolean> {
    return (await this.state(cid, waiter)).status !== "unpinned";
  }

  async #stateAt(node: KuboNode, i: number, cid: CID, signal: AbortSignal): Promise<PeerState> {
    const key = keyAt(node, cid), peer = { id: String(i), name: `node ${i + 1}` };
    if (this.#running.has(key)) return { ...peer, status: "pinning" };
    try {
      await node.pinned(cid, { signal, timeout: this.#options.timeout });
      return { ...peer, status: "pinned" };
    } catch (error) {
      signal.throwIfAborted();
      if (fateOf(error) !== "unpinned") return { ...peer, status: "unknown" };
    }
    const failure = this.#failures.get(key);
    if (failure === undefined) return { ...peer, status: "unpinned" };
    return { ...peer, status: "error", error: sentenceOf("pin_error", failure) };
  }

  /** Never throws. */
  #start(node: KuboNode, cid: CID, name: string): Promise<void> {
    const key = keyAt(node, cid), running = this.#running.get(key);
    if (running !== undefined) return running.done;
    const { pinTimeout: timeout, closing, nodes } = this.#options;
    const abort = new AbortController();
    this.#failures.delete(key);
    const done = node.pin(cid, name, { signal: AbortSignal.any([abort.signal, closing]), timeout }).catch((error) => {
      if (abort.signal.aborted || closing.aborted) return;
      if (fateOf(error) === "failed") nodes.failed(node);
      this.#failures.set(key, String(error));
      for (const old of this.#failures.keys()) {
        if (this.#failures.size <= MAX_FAILURES) break;
        this.#failures.delete(old);
      }
    }).finally(() => this.#running.delete(key));
    this.#running.set(key, { done, abort });
    return done;
  }
}

const keyAt = (node: KuboNode, cid: CID) => `${node.url} ${keyOf(cid)}`;
