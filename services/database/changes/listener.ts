import type { ChangeEvent, ChangeListener } from "../../../src/contracts/database_changes.ts";
import { upper } from "../gate/lexer.ts";
import type { ChangeHub } from "./hub.ts";
import type { ChangeLog, LoggedChange, LogPage, NamedFeed, PageSize } from "./log.ts";
import { type Position, positionText } from "./position.ts";

/**
 * What one listener takes at once, from the hub or, far behind, from the log. It stays in memory until the last of it is sent,
 * and there are many listeners, each of them slow in its own way.
 */
const PAGE: Required<PageSize> = { changes: 200, bytes: 256 * 2 ** 10 };

/** Which changes are wanted: those of tables by name, and of what these are called since a rename. */
export class TableFilter {
  readonly #names: ReadonlySet<string> | undefined;
  readonly #feeds: Set<number>;

  constructor(readonly tables: readonly string[] | undefined, feeds: readonly NamedFeed[]) {
    this.#names = tables && new Set(tables.map(upper));
    this.#feeds = new Set(feeds.filter(({ table }) => this.#names?.has(table)).map(({ feed }) => feed));
  }

  matches({ feed, change }: LoggedChange): boolean {
    return this.#names === undefined || this.#feeds.has(feed) || this.#names.has(upper(change.table));
  }

  /** In another life of the database numbers mean other feeds. */
  forgetNumbers(): void {
    this.#feeds.clear();
  }
}

/** Where a listener's changes come from, and who is told of them. */
export interface ListenerParts {
  readonly namespace: string;
  readonly hub: ChangeHub;
  readonly log: Pick<ChangeLog, "read">;
  readonly filter: TableFilter;
  readonly delivered: (events: number) => void;
  readonly closed: () => void;
}

/** One listener: it keeps a place and nothing else, and reads at its own pace. */
export class HubListener implements ChangeListener {
  #ended = false;
  #closed = false;

  constructor(private readonly parts: ListenerParts, private at: Position) {}

  get position(): string {
    return positionText(this.at);
  }

  async next(signal: AbortSignal): Promise<readonly ChangeEvent[] | undefined> {
    const { hub } = this.parts;
    while (!this.#ended) {
      signal.throwIfAborted();
      const events = hub.epoch !== this.at.epoch || this.at.id > hub.to
        ? this.#inAnotherLife()
        : this.at.id === hub.to
        ? []
        : await this.#further(signal);
      if (events.length > 0) {
        this.parts.delivered(events.length);
        return events;
      }
      if (!this.#ended && hub.epoch === this.at.epoch && this.at.id === hub.to) await hub.moved(signal);
    }
    return undefined;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.parts.closed();
  }

  async #further(signal: AbortSignal): Promise<ChangeEvent[]> {
    const { hub, log, namespace } = this.parts;
    const atHand = hub.after(this.at.id, PAGE);
    if (atHand) return this.#taken(atHand);
    const page = await log.read(namespace, this.at.id, PAGE, { signal });
    if (page?.epoch !== this.at.epoch) {
      await hub.look();
      return [];
    }
    if (page.lost > this.at.id) return this.#lost(page.epoch, page.top);
    return this.#taken(page);
  }

  #taken({ changes, end }: Pick<LogPage, "changes" | "end">): ChangeEvent[] {
    this.at = { epoch: this.at.epoch, id: end };
    return changes.filter((one) => this.parts.filter.matches(one)).map(({ change }) => change);
  }

  /** Emptied, restored, or without any feed: what was is not what is. */
  #inAnotherLife(): ChangeEvent[] {
    const { hub, filter } = this.parts;
    if (hub.epoch !== undefined) {
      filter.forgetNumbers();
      return this.#lost(hub.epoch, hub.to);
    }
    this.#ended = true;
    const { position } = this;
    return (filter.tables ?? []).map((table) => ({ kind: "dropped", position, table, tooLarge: false }));
  }

  #lost(epoch: string, id: number): ChangeEvent[] {
    this.at = { epoch, id };
    return [{ kind: "truncated", position: this.position }];
  }
}
