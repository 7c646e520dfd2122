/** One node as the cluster describes it. */
export interface RqliteNode {
  readonly id: string;
  /** Where its HTTP API answers. */
  readonly url: string;
  readonly voter: boolean;
  readonly reachable: boolean;
  readonly leader: boolean;
}

/** What {@link Members} needs of the network. Both give up by themselves. */
export interface MembersNetwork {
  /** The members as the node at `url` sees them. */
  list(url: string, signal: AbortSignal): Promise<readonly RqliteNode[]>;
  /** Fails unless the node at `url` answers, is in touch with a leader, and has caught up with it. */
  probe(url: string, signal: AbortSignal): Promise<void>;
}

/** Milliseconds between two looks for the leader while the cluster is used: with a leader, and without one. */
const LOOK_WITH_LEADER = 5_000;
const LOOK_WITHOUT_LEADER = 1_000;
/** The least time between two looks, when a node has just said that the leader is gone. */
const LOOK_AGAIN_AFTER = 100;
/** How long a node that did not answer is left alone before it is probed: doubled each time, in milliseconds. */
const FIRST_REST = 500;
const LONGEST_REST = 8_000;

interface Rest {
  readonly until: number;
  readonly length: number;
}

/** To be probed at once. */
const UNPROVEN: Rest = { until: -Infinity, length: FIRST_REST / 2 };

/**
 * Knows the nodes of a cluster, which of them leads, and which do not answer. Never makes a request wait: it looks for the
 * leader beside the traffic, and any node takes anything meanwhile, because rqlite passes it on. A node that did not answer,
 * or was never asked, is passed over until a probe says that it is whole: one that was just started answers as if its
 * database were empty.
 */
export class Members {
  readonly #configured: readonly string[];
  #urls: readonly string[];
  #leader: string | undefined = undefined;
  #turn = 0;
  readonly #rests = new Map<string, Rest>();
  #lookedAt = -Infinity;
  #looking = false;
  readonly #probing = new Set<string>();
  readonly #closed = new AbortController();

  /**
   * @param configured addresses known from the start, without a slash at the end
   * @param now milliseconds that never run backwards
   */
  constructor(configured: readonly string[], readonly network: MembersNetwork, readonly now: () => number) {
    this.#configured = configured;
    this.#urls = configured;
    for (const url of configured) this.#rests.set(url, UNPROVEN);
  }

  /** The leader's address, when it is known and answers. */
  get leader(): string | undefined {
    return this.#leader;
  }

  /** All known addresses. */
  get urls(): readonly string[] {
    return this.#urls;
  }

  /**
   * The node to ask next.
   * @param anyNode the leader is not preferred
   * @param tried nodes that this call has asked already: the others come first
   */
  pick(anyNode: boolean, tried: ReadonlySet<string>): string {
    const now = this.now();
    if (now - this.#lookedAt > (this.#leader === undefined ? LOOK_WITHOUT_LEADER : LOOK_WITH_LEADER)) this.#look();
    if (!anyNode && this.#leader !== undefined && !tried.has(this.#leader)) return this.#leader;
    this.#probeRested(now);
    const awake = this.#urls.filter((url) => !this.#rests.has(url));
    const fresh = awake.filter((url) => !tried.has(url));
    const choice = fresh.length > 0 ? fresh : awake.length > 0 ? awake : this.#urls;
    return choice[this.#turn++ % choice.length]!;
  }

  /** The node did not answer. */
  silent(url: string): void {
    const now = this.now();
    const before = this.#rests.get(url);
    // Requests that were sent together fail together, and count once.
    if (before === undefined || before.until <= now) {
      const length = Math.min(before === undefined ? FIRST_REST : before.length * 2, LONGEST_REST);
      this.#rests.set(url, { until: now + length, length });
    }
    this.leaderless(url);
  }

  /** The node at `url` is not the leader, or knows none, or cannot reach it. */
  leaderless(url: string): void {
    if (url === this.#leader) this.#leader = undefined;
    if (this.#leader === undefined && this.now() - this.#lookedAt > LOOK_AGAIN_AFTER) this.#look();
  }

  /** Stops looking and probing. */
  close(): void {
    this.#closed.abort();
  }

  #probeRested(now: number): void {
    for (const [url, rest] of this.#rests) {
      if (rest.until > now || this.#probing.has(url) || this.#closed.signal.aborted) continue;
      this.#probing.add(url);
      this.network.probe(url, this.#closed.signal)
        .then(() => this.#rests.delete(url), () => this.silent(url))
        .finally(() => this.#probing.delete(url));
    }
  }

  #look(): void {
    if (this.#looking || this.#closed.signal.aborted) return;
    this.#looking = true;
    this.#lookedAt = this.now();
    const enough = new AbortController();
    const signal = AbortSignal.any([enough.signal, this.#closed.signal]);
    Promise.any(this.#urls.map((url) => this.#leaderFrom(url, signal))).then(({ urls, leader }) => {
      for (const url of urls) if (!this.#urls.includes(url)) this.#rests.set(url, UNPROVEN);
      this.#urls = [...new Set([...this.#configured, ...urls])];
      this.#leader = leader;
      this.#rests.delete(leader);
    }, () => {
      // Nobody knows a leader that answers: the requests will find out, and ask for another look.
    }).finally(() => {
      this.#looking = false;
      enough.abort();
    });
  }

  /** Fails unless that node names a leader and the leader answers us: during an election others still name the dead one. */
  async #leaderFrom(url: string, signal: AbortSignal): Promise<{ urls: string[]; leader: string }> {
    const nodes = await this.network.list(url, signal);
    const leader = nodes.find((node) => node.leader && node.reachable && node.url !== "")?.url;
    if (leader === undefined) throw new Error("no leader");
    if (leader !== url) await this.network.probe(leader, signal);
    return { urls: nodes.map((node) => node.url).filter((known) => known !== ""), leader };
  }
}
