import type { Cluster, TopicKey } from "./cluster/cluster.ts";
import type { TopicLog } from "./log.ts";

/** Topics whose heads are remembered though nothing else of them is, by default. */
const MOST = 100_000;
/** Topics in a row that are looked at for one that may be forgotten. */
const LOOKS = 32;

/** What heads are forgotten by. */
export interface ForgottenHeadsOptions {
  /** The epoch under which this gateway publishes now; 0 while it has none. */
  readonly epoch: () => number;
  /** Whether other gateways follow a topic from the head that they were told. */
  readonly isWatched: (key: TopicKey) => boolean;
  /** How many are remembered exactly. Default 100,000. */
  readonly most?: number | undefined;
}

/**
 * Heads of this gateway's epoch in topics that it holds nothing else of. An offset must never be given twice, or who has the first
 * would be told that nothing is missing before the second. Those that are forgotten are at most {@link floor}: a topic of which nothing
 * is remembered goes on behind that, so that whoever stands before it is told that its messages have expired.
 */
export class ForgottenHeads {
  readonly #heads = new Map<TopicKey, number>();
  readonly #options: ForgottenHeadsOptions;
  /** The epoch that they are of. */
  #epoch = 0;
  readonly #epochs = new Set<number>();
  #floor = 0;
  /** The view of the cluster for which {@link prune} was done. */
  #pruned: Cluster["view"] | undefined;

  constructor(options: ForgottenHeadsOptions) {
    this.#options = options;
  }

  /** No topic that is not remembered has a head above this. */
  get floor(): number {
    this.#look();
    return this.#floor;
  }

  /** Whether an epoch is one of this process. */
  isOwn(epoch: number): boolean {
    this.#look();
    return this.#epochs.has(epoch);
  }

  /** Epochs that have ended are forgotten by the logs that keep nothing of them. Does nothing twice for one view. */
  prune(view: Cluster["view"], topics: Iterable<{ readonly log: TopicLog }>): void {
    if (this.#pruned === view) return;
    this.#pruned = view;
    for (const { log } of topics) log.prune((epoch) => view.open.has(epoch) || this.isOwn(epoch));
  }

  /** Remembers the head of a topic, unless that is what it would be taken for all the same. */
  put(key: TopicKey, head: number): void {
    this.#look();
    if (head > 0 || this.#floor > 0 || this.#options.isWatched(key)) this.#put(key, head);
  }

  /** The head of a topic that is in use again. */
  take(key: TopicKey): number {
    const head = this.get(key);
    this.#heads.delete(key);
    return head;
  }

  /** The head of a topic, from now on remembered like others: somebody was told. */
  told(key: TopicKey): number {
    const head = this.get(key);
    if (!this.#heads.has(key)) this.#put(key, head);
    return head;
  }

  /** The head of a topic. */
  get(key: TopicKey): number {
    this.#look();
    return this.#heads.get(key) ?? this.#floor;
  }

  /** Topics in which something was published. */
  *keys(): Generator<TopicKey> {
    this.#look();
    for (const [key, head] of this.#heads) if (head > 0) yield key;
  }

  /** What was published under another epoch has offsets of its own. */
  #look(): void {
    const epoch = this.#options.epoch();
    if (this.#epoch === epoch) return;
    this.#epoch = epoch;
    this.#epochs.add(epoch);
    this.#heads.clear();
    this.#floor = 0;
  }

  #put(key: TopicKey, head: number): void {
    this.#heads.delete(key);
    this.#heads.set(key, head);
    if (this.#heads.size > (this.#options.most ?? MOST)) this.#forgetOne();
  }

  #forgetOne(): void {
    let looks = 0;
    for (const [key, head] of this.#heads) {
      this.#heads.delete(key);
      if (++looks < LOOKS && this.#options.isWatched(key)) {
        this.#heads.set(key, head);
        continue;
      }
      this.#floor = Math.max(this.#floor, head);
      return;
    }
  }
}
