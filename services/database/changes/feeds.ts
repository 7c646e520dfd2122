import type { FeedView } from "../../../src/contracts/database_changes.ts";
import { GatewayError, hasCode } from "../../../src/contracts/errors.ts";
import type { GatedStatement } from "../driver.ts";
import { upper } from "../gate/lexer.ts";
import { own } from "../own.ts";
import { keyNames, type Layout, layoutOf } from "./layout.ts";
import { FEED_TRIGGER_PREFIX } from "./names.ts";
import type { OwnCalls, Rows, Waiter } from "./own_calls.ts";
import { madeFrom, type Shape, shapeOf } from "./shape.ts";
import { CREATE_TABLES } from "./tables.ts";
import { createTriggers, dropTriggers } from "./triggers.ts";

/** A feed that is on, beside what its table is now. */
interface LiveFeed {
  readonly feed: number;
  /** Names, as far as they are not all. */
  readonly wanted: readonly string[] | undefined;
  readonly layout: Layout;
  /** What its triggers were made from. */
  readonly madeFrom: string;
  /** The table that its triggers are on; `undefined` when they are gone, and the table with them. */
  readonly table: string | undefined;
  readonly tableMadeFrom: string | null;
}

/** How often something is tried again that another definition came between. */
const TRIES = 5;

const hasTrigger = (feed: string) => `t.type = 'trigger' AND t.name = '${FEED_TRIGGER_PREFIX}' || ${feed} || '_delete'`;
const LIVE = own(
  `SELECT f.feed, f.wanted, l.shape, f.made_from, t.tbl_name, ${madeFrom("t.tbl_name")} FROM _orama_feeds f
JOIN _orama_feed_layouts l ON l.layout = f.layout LEFT JOIN sqlite_schema t ON ${hasTrigger("f.feed")}
WHERE f.ended = 0 ORDER BY f.feed`,
);
const HIGHEST = own(
  "SELECT (SELECT ifnull(max(feed), 0) FROM _orama_feeds), (SELECT ifnull(max(layout), 0) FROM _orama_feed_layouts)",
);

/** Which tables of a namespace have a feed, and the triggers that make it. */
export class Feeds {
  /** @param newEpoch makes the name of a database's life */
  constructor(private readonly calls: OwnCalls, private readonly newEpoch: () => string) {}

  async list(namespace: string, waiter: Waiter): Promise<FeedView[]> {
    const feeds = (await this.#live(namespace, waiter)).filter(({ table }) => table !== undefined);
    return feeds.map(viewOf).toSorted((a, b) => (a.table < b.table ? -1 : 1));
  }

  /** @throws GatewayError as `DatabaseChanges.enable` */
  async enable(
    namespace: string,
    table: string,
    columns: readonly string[] | undefined,
    waiter: Waiter,
  ): Promise<FeedView> {
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const shape = await shapeOf(this.calls, namespace, table, waiter);
      const wanted = columns && known(shape, columns);
      const live = await this.#live(namespace, waiter);
      const same = live.find((feed) => feed.table !== undefined && upper(feed.table) === upper(shape.table));
      if (await this.#make(namespace, shape, wanted, same?.feed, waiter)) {
        return viewOf({ wanted, layout: layoutOf(shape, wanted) });
      }
    }
    throw new GatewayError("CONFLICT", "the table was altered at the same time; try again", { retryAfter: 1 });
  }

  /** @throws GatewayError `NOT_FOUND` */
  async disable(namespace: string, table: string, waiter: Waiter): Promise<void> {
    const live = await this.#live(namespace, waiter);
    const found = live.find((feed) => feed.table !== undefined && upper(feed.table) === upper(table));
    if (!found) throw noFeed(table);
    mustDo(await this.calls.write(namespace, [...dropTriggers(found.feed), ...ending(found.feed)], waiter));
  }

  /** Brings the triggers up to date with their tables, and ends the feeds of those that are gone. */
  async reconcile(namespace: string, waiter: Waiter): Promise<void> {
    for (const feed of await this.#live(namespace, waiter)) {
      if (feed.table === undefined) mustDo(await this.calls.write(namespace, ending(feed.feed), waiter));
      else if (feed.tableMadeFrom !== feed.madeFrom) await this.#remake(namespace, feed, waiter);
    }
  }

  /** Lets go of columns that are about to be dropped: SQLite refuses while a trigger names them. */
  async release(
    namespace: string,
    drops: readonly { readonly table: string; readonly column: string }[],
    waiter: Waiter,
  ): Promise<void> {
    for (const feed of await this.#live(namespace, waiter)) {
      const columns = new Set(
        drops.filter(({ table }) => upper(table) === upper(feed.table ?? "")).map(({ column }) => upper(column)),
      );
      const left = feed.layout.all.filter((name) => !columns.has(upper(name)));
      if (feed.table === undefined || left.length === feed.layout.all.length) continue;
      const shape = await shapeOf(this.calls, namespace, feed.table, waiter);
      // Made from nothing that is: whether the column goes or stays, the next look makes them anew.
      const shown = { ...shape, columns: shape.columns.filter(({ name }) => !columns.has(upper(name))) };
      await this.#make(namespace, shown, feed.wanted, feed.feed, waiter, "");
    }
  }

  async #remake(namespace: string, { feed, wanted, layout, table }: LiveFeed, waiter: Waiter): Promise<void> {
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const shape = await shapeOf(this.calls, namespace, table!, waiter).catch(unlessGone);
      // Renamed or dropped since: whoever did that looks behind it.
      if (!shape || await this.#make(namespace, shape, wanted && renamed(wanted, layout, shape), feed, waiter)) return;
    }
  }

  /**
   * Makes the triggers of a feed, a new one without a number.
   * @returns false when the table has changed meanwhile
   */
  async #make(
    namespace: string,
    shape: Shape,
    wanted: readonly string[] | undefined,
    existing: number | undefined,
    waiter: Waiter,
    made = shape.madeFrom,
  ): Promise<boolean> {
    const [[highest] = []] = await this.calls.read(namespace, [HIGHEST], waiter) ?? [];
    const [feeds = 0, layouts = 0] = highest ?? [];
    const feed = existing ?? Number(feeds) + 1, number = Number(layouts) + 1;
    const layout = layoutOf(shape, wanted);
    const wish = wanted ? JSON.stringify(wanted) : null;
    const fault = await this.calls.write(namespace, [
      ...CREATE_TABLES,
      own("INSERT OR IGNORE INTO _orama_feed_state (one, epoch) VALUES (1, ?)", this.newEpoch()),
      // Breaks the rule that there is one row when the table is not what was looked at, and so undoes everything.
      own(
        `INSERT INTO _orama_feed_state (one, epoch) SELECT 0, '' WHERE ${madeFrom("?")} IS NOT ?`,
        shape.table,
        shape.madeFrom,
      ),
      ...dropTriggers(feed),
      own(
        "INSERT INTO _orama_feed_layouts (layout, feed, tbl, shape) VALUES (?, ?, ?, ?)",
        number,
        feed,
        shape.table,
        JSON.stringify(layout),
      ),
      existing === undefined
        ? own(
          "INSERT INTO _orama_feeds (feed, wanted, layout, made_from) VALUES (?, ?, ?, ?)",
          feed,
          wish,
          number,
          made,
        )
        : own("UPDATE _orama_feeds SET wanted = ?, layout = ?, made_from = ? WHERE feed = ?", wish, number, made, feed),
      ...createTriggers(shape, layout, { feed, layout: number }),
    ], waiter);
    if (!fault) return true;
    // The rule above, or a number that another gateway was faster to take.
    if (fault.kind === "constraint") return false;
    throw new GatewayError("CONFLICT", "a feed cannot follow this table", { cause: new Error(fault.message) });
  }

  async #live(namespace: string, waiter: Waiter): Promise<LiveFeed[]> {
    const [rows = []]: Rows[] = await this.calls.read(namespace, [LIVE], waiter) ?? [];
    return rows.map(([feed, wanted, shape, made, table, tableMadeFrom]) => ({
      feed: Number(feed),
      wanted: typeof wanted === "string" ? JSON.parse(wanted) as string[] : undefined,
      layout: JSON.parse(String(shape)) as Layout,
      madeFrom: String(made),
      table: typeof table === "string" ? table : undefined,
      tableMadeFrom: typeof tableMadeFrom === "string" ? tableMadeFrom : null,
    }));
  }
}

/** Ends a feed whose triggers are gone, and tells of it once. */
const ending = (feed: number): GatedStatement[] => [
  own(
    `INSERT INTO _orama_changes (layout, op) SELECT f.layout, 'dropped' FROM _orama_feeds f
WHERE f.feed = ? AND f.ended = 0 AND NOT EXISTS (SELECT 1 FROM sqlite_schema t WHERE ${hasTrigger("f.feed")})`,
    feed,
  ),
  own(
    `UPDATE _orama_feeds SET ended = 1 WHERE feed = ? AND NOT EXISTS
(SELECT 1 FROM sqlite_schema t WHERE ${hasTrigger("_orama_feeds.feed")})`,
    feed,
  ),
  own("DELETE FROM _orama_feed_replaced WHERE feed = ?", feed),
];

function unlessGone(error: unknown): undefined {
  if (hasCode(error, "NOT_FOUND")) return undefined;
  throw error;
}

/** What a client is told about a table without one. */
export const noFeed = (table: string): GatewayError =>
  new GatewayError(
    "NOT_FOUND",
    `the table ${table.slice(0, 200)} has no feed: POST /v1/rqlite/changes/tables switches it on`,
  );

function viewOf({ wanted, layout }: Pick<LiveFeed, "wanted" | "layout">): FeedView {
  const { table, columns } = layout;
  return { table, columns: wanted && columns.map(({ name }) => name), key: keyNames(layout) };
}

/** @throws GatewayError `INVALID_REQUEST` for a column that the table does not have */
function known({ columns }: Shape, wanted: readonly string[]): string[] {
  return wanted.map((name, at) => {
    const found = columns.find((column) => upper(column.name) === upper(name));
    if (found) return found.name;
    const problem = `the table has no column ${name.slice(0, 100)}`;
    throw new GatewayError("INVALID_REQUEST", `columns.${at}: ${problem}`, {
      details: [{ field: `columns.${at}`, problem }],
    });
  });
}

/** Where the number of columns stayed, a name that is gone became what stands in its place now. */
function renamed(wanted: readonly string[], { all }: Layout, { columns }: Shape): string[] {
  const now = columns.map(({ name }) => name);
  const there = new Set(now);
  return wanted.flatMap((name) => {
    if (there.has(name)) return [name];
    const after = all.length === now.length ? now[all.indexOf(name)] : undefined;
    return after === undefined || all.includes(after) ? [] : [after];
  });
}

function mustDo(fault: { readonly message: string } | undefined): void {
  if (!fault) return;
  throw new GatewayError("UNAVAILABLE", "the feed cannot be changed now", { cause: new Error(fault.message) });
}
