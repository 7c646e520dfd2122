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
  /** Fails unless the node at `url` answers. */
  probe(url: string, signal: AbortSignal): Promise<void>;
}

/** How old the knowledge of the leader may get while the cluster is used, in milliseconds. */
const STALE_AFTER = 5_000;
/** The least time between two looks for a lost leader. */
const LOOK_AGAIN_AFTER = 100;
/** How long a node that did not answer is left alone: doubled each time, in milliseconds. */
const FIRST_REST = 500;
const LONGEST_REST = 8_000;

interface Rest {
  /** Not before this moment. */
  readonly until: number;
  readonly length: number;
}

/**
 * Knows the nodes of a cluster, which of them leads, and which do not answer. Never makes a request wait: it looks for the
 * leader beside the traffic, and any node takes anything meanwhile, because rqlite passes it on.
 */
export class Members {
  readonly #configured: readonly string[];
  #urls: readonly string[];
  #leader: string | undefined = undefined;
  #turn = 0;
  readonly #rests = new Map<string, Rest>();
  #lookedAt = -Infinity;
  #looking: AbortController | undefined = undefined;

  /**
   * @param configured addresses known from the start, without a slash at the end
   * @param now milliseconds that never run backwards
   */
  constructor(configured: readonly string[], readonly network: MembersNetwork, readonly now: () => number) {
    this.#configured = configured;
    this.#urls = configured;
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
    if (now - this.#lookedAt > STALE_AFTER) this.#look();
    if (!anyNode && this.#leader !== undefined && !tried.has(this.#leader)) return this.#leader;
    const rested = this.#urls.filter((url) => !this.#isResting(url, now));
    const fresh = rested.filter((url) => !tried.has(url));
    const choice = fresh.length > 0 ? fresh : rested.length > 0 ? rested : this.#urls;
    return choice[this.#turn++ % choice.length]!;
  }

  /** The node answered: whatever was held against it is forgotten. */
  answered(url: string): void {
    if (this.#rests.size > 0) this.#rests.delete(url);
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
    if (url === this.#leader) this.leaderLost();
  }

  /** A node said that there is no leader, or that it cannot reach it. */
  leaderLost(): void {
    this.#leader = undefined;
    if (this.now() - this.#lookedAt > LOOK_AGAIN_AFTER) this.#look();
  }

  /** Stops looking. */
  close(): void {
    this.#lookedAt = Infinity;
    this.#looking?.abort();
  }

  #isResting(url: string, now: number): boolean {
    const rest = this.#rests.get(url);
    return rest !== undefined && rest.until > now;
  }

  #look(): void {
    if (this.#looking !== undefined || this.#lookedAt === Infinity) return;
    this.#lookedAt = this.now();
    const looking = this.#looking = new AbortController();
    Promise.any(this.#urls.map((url) => this.#leaderFrom(url, looking.signal))).then(({ urls, leader }) => {
      if (looking.signal.aborted) return;
      this.#urls = [...new Set([...this.#configured, ...urls])];
      this.#leader = leader;
      this.answered(leader);
    }, () => {
      // Nobody knows a leader that answers: the requests will find out, and ask for another look.
    }).finally(() => {
      this.#looking = undefined;
      looking.abort();
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
