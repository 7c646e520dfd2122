import type { PubSubCaller } from "../../src/contracts/pubsub.ts";
import type { PubSubRules } from "../../src/contracts/settings.ts";
import type { Figures } from "./figures.ts";
import { RecentPublishes } from "./idempotency.ts";
import { PublishRate } from "./publish_rate.ts";
import { Share } from "./share.ts";
import type { Topic } from "./topic.ts";

/** What a gateway has of one namespace. */
export class Space {
  readonly topics = new Map<string, Topic>();
  /** Topics that nobody is subscribed to, the one that was used longest ago first. */
  readonly vacant = new Set<Topic>();
  /** Topics of which something is kept, the one that was published in longest ago first. */
  readonly filled = new Set<Topic>();
  /** Bytes and messages that are kept. */
  bytes = 0;
  messages = 0;
  subscriptions = 0;
  /** Subscriptions that are present under a name. */
  members = 0;
  readonly rate = new PublishRate();
  readonly #shares = new Map<string, Share>();
  #recent: RecentPublishes | undefined;

  /** @param rules what holds in it, as far as is known; they may change */
  constructor(readonly namespace: string, public rules: PubSubRules, private readonly figures: Figures) {}

  /** Whether anything of its topics is to be kept. */
  get keeps(): boolean {
    return this.rules.historySize > 0 && this.rules.historyTtl > 0;
  }

  /** What was published with a key. */
  get recent(): RecentPublishes {
    return this.#recent ??= new RecentPublishes(this.figures.forgotten);
  }

  /** What a caller has of it. */
  shareOf(caller: PubSubCaller): Share {
    return this.#shares.get(caller.caller) ?? this.sharing(new Share(this, caller));
  }

  /** What whoever had a share has now: it may have been forgotten since. */
  sharing(share: Share): Share {
    const known = this.#shares.get(share.name);
    if (known === undefined) this.#shares.set(share.name, share);
    return known ?? share;
  }

  /** Forgets callers that have nothing of it. */
  tidy(now: number): void {
    for (const [name, share] of this.#shares) if (share.isIdle(now)) this.#shares.delete(name);
  }

  /** Whether nothing would be lost with it, once it is tidied. */
  isOver(now: number): boolean {
    const isPaid = this.rate.isIdle(now) && this.#shares.size === 0;
    return this.topics.size === 0 && isPaid && this.#recent?.isOver(now) !== false;
  }
}
