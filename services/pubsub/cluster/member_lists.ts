import type { Member } from "../../../src/contracts/pubsub.ts";
import type { TopicKey } from "./cluster.ts";

/** Those who came first in front, and of several at once by id. */
export const byArrival = (a: Member, b: Member): number => a.joinedAt - b.joinedAt || (a.id < b.id ? -1 : 1);

/** Topics whose lists are kept. */
const KEPT = 64;

/** Who is in the topics that were asked for last, for as long as nothing changes: many ask for the same, and to put it in order takes time. */
export class MemberLists {
  readonly #lists = new Map<TopicKey, readonly Member[]>();

  /** Those in a topic. @param find finds them out anew */
  of(key: TopicKey, find: () => readonly Member[]): readonly Member[] {
    const list = this.#lists.get(key) ?? find();
    this.#lists.delete(key);
    this.#lists.set(key, list);
    if (this.#lists.size > KEPT) {
      const [oldest] = this.#lists.keys();
      this.#lists.delete(oldest!);
    }
    return list;
  }

  /** Somebody came to a topic, left it or is another. */
  forget(key: TopicKey): void {
    this.#lists.delete(key);
  }
}
