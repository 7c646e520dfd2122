import type { Space } from "./space.ts";
import type { Topic } from "./topic.ts";

/** What history is bounded by. */
export interface RetentionOptions {
  /** Bytes of all namespaces together. */
  readonly maxBytes: number;
  /** Milliseconds that never run backwards. */
  readonly now: () => number;
  /** Told of a topic of which nothing is kept any more. */
  readonly emptied: (topic: Topic) => void;
}

/**
 * How much is kept: of each topic, of the topics of each namespace, and of all on this gateway. Where it is too much, the topic loses
 * first that was published in longest ago, its oldest messages before the others.
 */
export class Retention {
  readonly #filled = new Set<Topic>();
  readonly #options: RetentionOptions;
  /** The one that was published in last, which is nearly always the next one, too. */
  #last: Topic | undefined;
  #bytes = 0;
  #messages = 0;

  constructor(options: RetentionOptions) {
    this.#options = options;
  }

  /** Bytes that are kept. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Messages that are kept. */
  get messages(): number {
    return this.#messages;
  }

  /** Something was kept of a topic. @param now milliseconds that never run backwards */
  kept(topic: Topic, now: number): void {
    const { space } = topic;
    this.trim(topic, now);
    topic.counted.at = now;
    this.#use(topic);
    this.#hold(space.filled, () => space.bytes > space.rules.maxHistoryBytes);
    this.#hold(this.#filled, () => this.#bytes > this.#options.maxBytes);
  }

  /** Drops what is too old of a topic, or too many. */
  trim(topic: Topic, now = this.#options.now()): void {
    const { log, space: { rules, keeps } } = topic;
    if (log.messages > 0) log.trim(keeps ? rules.historySize : 0, now - rules.historyTtl);
    this.#count(topic);
  }

  /** Drops all of a topic. */
  clear(topic: Topic): void {
    topic.log.trim(0, Infinity);
    this.#count(topic);
  }

  /** Drops what is too old in a namespace, of the topics in which nothing was published since. */
  expire({ filled, rules }: Space): void {
    const after = this.#options.now() - rules.historyTtl;
    for (const topic of filled) {
      if (topic.counted.at > after) return;
      this.clear(topic);
    }
  }

  #hold(filled: ReadonlySet<Topic>, isTooMuch: () => boolean): void {
    if (!isTooMuch()) return;
    for (const topic of filled) {
      while (topic.log.messages > 0 && isTooMuch()) {
        topic.log.dropOldest();
        this.#sum(topic);
      }
      this.#count(topic);
      if (!isTooMuch()) return;
    }
  }

  #use(topic: Topic): void {
    if (this.#last === topic || topic.log.messages === 0) return;
    this.#last = topic;
    for (const set of [this.#filled, topic.space.filled]) {
      set.delete(topic);
      set.add(topic);
    }
  }

  #count(topic: Topic): void {
    this.#sum(topic);
    if (topic.log.messages > 0 || !this.#filled.delete(topic)) return;
    topic.space.filled.delete(topic);
    if (this.#last === topic) this.#last = undefined;
    this.#options.emptied(topic);
  }

  #sum({ log, counted, space }: Topic): void {
    const bytes = log.bytes - counted.bytes, messages = log.messages - counted.messages;
    counted.bytes += bytes;
    counted.messages += messages;
    space.bytes += bytes;
    space.messages += messages;
    this.#bytes += bytes;
    this.#messages += messages;
  }
}
