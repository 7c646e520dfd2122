import { LRUCache } from "lru-cache";
import type { RowChange } from "../../../src/contracts/database_changes.ts";
import { upper } from "../gate/lexer.ts";
import { own } from "../own.ts";
import { type Layout, readRow } from "./layout.ts";
import type { OwnCalls, Rows, Waiter } from "./own_calls.ts";
import { positionText } from "./position.ts";

/** A change as it stands in the log. */
export interface LoggedChange {
  readonly id: number;
  readonly feed: number;
  readonly change: RowChange;
  /** Roughly what it takes in memory. */
  readonly size: number;
}

/** Some of the log. */
export interface LogPage {
  readonly epoch: string;
  /** Changes up to this one are not kept any more. */
  readonly lost: number;
  /** The highest one. */
  readonly top: number;
  /** Changes with the schema. */
  readonly schemaVersion: number;
  readonly changes: readonly LoggedChange[];
  /** Up to where it was read; {@link top} when nothing was left. */
  readonly end: number;
}

/** A feed by one of the names that its table has had. */
export interface NamedFeed {
  readonly feed: number;
  readonly table: string;
  readonly live: boolean;
}

/** How much of the log is read at once. */
export interface PageSize {
  readonly changes: number;
  /** Bytes of rows, beyond which a page ends; a single row may be larger. Default 2 MiB. */
  readonly bytes?: number;
}

const page = (after: number, { changes, bytes = 2 * 2 ** 20 }: PageSize) =>
  own(
    `SELECT s.epoch, (SELECT ifnull(min(id) - 1, 0) FROM _orama_changes), (SELECT ifnull(max(id), 0) FROM _orama_changes),
(SELECT schema_version FROM pragma_schema_version()), c.id, c.layout, c.op, c."before", c."after"
FROM _orama_feed_state s LEFT JOIN (SELECT c.* FROM (
SELECT id, sum(size) OVER (ORDER BY id) - size AS ahead FROM (
SELECT id, ifnull(octet_length("before"), 0) + ifnull(octet_length("after"), 0) AS size
FROM _orama_changes WHERE id > ? ORDER BY id LIMIT ?)) p JOIN _orama_changes c ON c.id = p.id WHERE p.ahead < ?) c
ORDER BY c.id`,
    after,
    changes,
    bytes,
  );
const NAMED = own(
  `SELECT f.feed, l.tbl, l.layout = f.layout AND f.ended = 0 FROM _orama_feed_layouts l JOIN _orama_feeds f ON f.feed = l.feed`,
);

/** Reads the logs of the namespaces. */
export class ChangeLog {
  readonly #layouts = new LRUCache<string, LayoutOfFeed>({ max: 5_000 });

  constructor(private readonly calls: OwnCalls) {}

  /** @returns `undefined` where there has never been a feed */
  async read(namespace: string, after: number, size: PageSize, waiter: Waiter): Promise<LogPage | undefined> {
    const [rows = []] = await this.calls.read(namespace, [page(after, size)], waiter) ?? [];
    const [first] = rows;
    if (first === undefined) return undefined;
    const [epoch, lost, top, schemaVersion] = first;
    const written = rows.filter(([, , , , id]) => id !== null);
    const layouts = await this.#layoutsOf(namespace, String(epoch), written, waiter);
    const changes = written.map((row) => logged(String(epoch), layouts, row));
    const end = changes.at(-1)?.id ?? Math.max(Number(top), after);
    return {
      epoch: String(epoch),
      lost: Number(lost),
      top: Number(top),
      schemaVersion: Number(schemaVersion),
      changes,
      end,
    };
  }

  /** Every feed by every name it has had. */
  async feeds(namespace: string, waiter: Waiter): Promise<NamedFeed[]> {
    const [rows = []] = await this.calls.read(namespace, [NAMED], waiter) ?? [];
    return rows.map(([feed, table, live]) => ({ feed: Number(feed), table: upper(String(table)), live: live === 1 }));
  }

  async #layoutsOf(
    namespace: string,
    epoch: string,
    rows: Rows,
    waiter: Waiter,
  ): Promise<(layout: number) => LayoutOfFeed> {
    const known = (layout: number) => this.#layouts.get(`${namespace}/${epoch}/${layout}`);
    const missing = new Set(rows.map(([, , , , , layout]) => Number(layout)).filter((layout) => !known(layout)));
    if (missing.size > 0) {
      const wanted = own(
        "SELECT layout, feed, shape FROM _orama_feed_layouts WHERE layout IN (SELECT value FROM json_each(?))",
        JSON.stringify([...missing]),
      );
      const [found = []] = await this.calls.read(namespace, [wanted], waiter) ?? [];
      for (const [layout, feed, shape] of found) {
        const entry = { feed: Number(feed), layout: JSON.parse(String(shape)) as Layout };
        this.#layouts.set(`${namespace}/${epoch}/${String(layout)}`, entry);
      }
    }
    return (layout) => {
      const found = known(layout);
      if (!found) throw new Error(`the change feed of ${namespace} has no layout ${layout}`);
      return found;
    };
  }
}

interface LayoutOfFeed {
  readonly feed: number;
  readonly layout: Layout;
}

function logged(epoch: string, layoutOf: (layout: number) => LayoutOfFeed, row: Rows[number]): LoggedChange {
  const [, , , , number, layoutNumber, op, before, after] = row;
  const id = Number(number);
  const { feed, layout } = layoutOf(Number(layoutNumber));
  const old = typeof before === "string" ? readRow(layout, before) : undefined;
  const now = typeof after === "string" ? readRow(layout, after) : undefined;
  return {
    id,
    feed,
    size: 200 + String(before ?? "").length + String(after ?? "").length,
    change: {
      kind: String(op) as RowChange["kind"],
      position: positionText({ epoch, id }),
      table: layout.table,
      key: (now ?? old)?.key,
      before: old?.row,
      after: now?.row,
      tooLarge: (old !== undefined && !old.row) || (now !== undefined && !now.row),
    },
  };
}
