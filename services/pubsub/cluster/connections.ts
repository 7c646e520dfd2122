import type { LocalMember } from "./cluster.ts";

/** A connection, and that which came before it and that which came behind it. */
interface Link {
  readonly member: LocalMember;
  before: Link | undefined;
  behind: Link | undefined;
}

/**
 * The connections of one member, in the order in which they came. None of it takes longer where there are many: of a `Map`, the first
 * is behind all that have left before it.
 */
export class Connections {
  readonly #links = new Map<number, Link>();
  #first: Link | undefined;
  #last: Link | undefined;

  /** How many there are. */
  get size(): number {
    return this.#links.size;
  }

  /** The one that came first of those that are still there. */
  get first(): LocalMember | undefined {
    return this.#first?.member;
  }

  /** Whether one is there. */
  has({ connection }: LocalMember): boolean {
    return this.#links.has(connection);
  }

  /** Takes one in that is not there. */
  add(member: LocalMember): void {
    const link: Link = { member, before: this.#last, behind: undefined };
    if (this.#last === undefined) this.#first = link;
    else this.#last.behind = link;
    this.#last = link;
    this.#links.set(member.connection, link);
  }

  /** Takes one out. @returns whether it was there */
  delete({ connection }: LocalMember): boolean {
    const link = this.#links.get(connection);
    if (link === undefined) return false;
    this.#links.delete(connection);
    if (link.before === undefined) this.#first = link.behind;
    else link.before.behind = link.behind;
    if (link.behind === undefined) this.#last = link.before;
    else link.behind.before = link.before;
    return true;
  }
}
