import { equal, ok } from "node:assert/strict";
import { changeText } from "../../routes/database/change_json.ts";
import { ChangeFeed, type ChangeFeedOptions } from "../../services/database/changes/service.ts";
import { WatchedDriver } from "../../services/database/changes/watched_driver.ts";
import { SqlDatabase } from "../../services/database/database.ts";
import type { SqlDriver } from "../../services/database/driver.ts";
import { RqliteDriver } from "../../services/database/rqlite/driver.ts";
import { Judge } from "../../services/database/rqlite/judge.ts";
import { SqliteDriver } from "../../services/database/sqlite/driver.ts";
import { RqliteCluster } from "../../services/rqlite/client.ts";
import type { SqlArgument } from "../../src/contracts/database.ts";
import type { ChangeEvent, ChangeListener } from "../../src/contracts/database_changes.ts";
import { type ErrorCode, GatewayError } from "../../src/contracts/errors.ts";
import type { RequestContext } from "../../src/contracts/request.ts";
import { engineTest } from "../engines/support/engine_test.ts";

/** Where everything happens. */
export const NAMESPACE = "shop";
/** Who asks. */
export const request: RequestContext = {
  requestId: "test",
  signal: new AbortController().signal,
  clientAddress: "127.0.0.1",
};

/** A namespace's SQL and its feed, as one gateway has them. */
export class FeedSubject {
  readonly feed: ChangeFeed;
  readonly database: SqlDatabase;
  readonly failures: unknown[] = [];

  constructor(readonly driver: SqlDriver, readonly options: Partial<ChangeFeedOptions> = {}) {
    this.feed = new ChangeFeed(driver, {
      poll: { from: 50, to: 100 },
      now: Date.now,
      random: (n) => crypto.getRandomValues(new Uint8Array(n)),
      onError: (_namespace, error) => this.failures.push(error),
      ...options,
    });
    this.database = new SqlDatabase(new WatchedDriver(driver, this.feed));
  }

  /** Another gateway on the same databases. */
  other(options: Partial<ChangeFeedOptions> = {}): FeedSubject {
    return new FeedSubject(this.driver, options);
  }
  async run(...statements: string[]): Promise<void> {
    for (const sql of statements) await this.exec(sql);
  }
  exec(sql: string, ...args: SqlArgument[]) {
    return this.database.execute(NAMESPACE, { sql, args }, request);
  }
  async transaction(...statements: string[]): Promise<void> {
    await this.database.transaction(NAMESPACE, statements.map((sql) => ({ kind: "exec", sql, args: [] })), request);
  }
  on(table: string, columns?: string[]) {
    return this.feed.enable(NAMESPACE, table, columns, request);
  }
  listen(tables: string[], since = "now") {
    return this.feed.listen(NAMESPACE, { tables, since }, request);
  }
  log(since = "0", tables: string[] | undefined = undefined) {
    return this.feed.log(NAMESPACE, { tables, since }, 1_000, request);
  }
  /** Everything that is kept, one short text each. */
  async told(since = "0"): Promise<string[]> {
    return (await this.log(since)).changes.map(brief);
  }
}

/** `insert t {"id":1} null {"id":1,"a":"x"}`. */
export function brief(event: ChangeEvent): string {
  if (event.kind === "truncated") return "truncated";
  const text = changeText(event, "number");
  const [, key, before, after, rest] = /"key":(.*),"before":(.*),"after":(.*?)(,"too_large":true)?}$/.exec(text)!;
  return `${event.kind} ${event.table} ${key} ${before} ${after}${rest ? " too large" : ""}`;
}

/** So many events, or what came within five seconds. */
export async function take(listener: ChangeListener, count: number): Promise<ChangeEvent[]> {
  const events: ChangeEvent[] = [];
  const signal = AbortSignal.timeout(5_000);
  while (events.length < count) {
    const more = await listener.next(signal);
    if (more === undefined) break;
    events.push(...more);
  }
  return events;
}

/** Whether an error is the one that is expected. */
export const is = (code: ErrorCode, sentence = "") => (error: unknown) => {
  ok(error instanceof GatewayError, String(error));
  equal(error.code, code, error.message);
  ok(error.message.includes(sentence), error.message);
  return true;
};
/** The number in a position. */
export const numberOf = (position: string) => Number(position.split("-")[1]);

/** A listener that goes with the test. */
export const disposable = (value: ChangeListener) => ({ value, [Symbol.dispose]: () => value.close() });
/** A gateway that goes with the test. */
export const closing = (value: FeedSubject) => ({ value, [Symbol.dispose]: () => value.feed.close() });

async function check(driver: SqlDriver, scenario: (db: FeedSubject) => Promise<void>): Promise<void> {
  const subject = new FeedSubject(driver);
  try {
    await scenario(subject);
  } finally {
    subject.feed.close();
    await driver.close();
  }
}

/** Runs each scenario on each driver. */
export function feedTests(scenarios: Readonly<Record<string, (db: FeedSubject) => Promise<void>>>): void {
  for (const [name, scenario] of Object.entries(scenarios)) {
    Deno.test(`sqlite: ${name}`, async () => {
      const dir = await Deno.makeTempDir();
      try {
        await check(new SqliteDriver({ dir }), scenario);
      } finally {
        await Deno.remove(dir, { recursive: true });
      }
    });

    engineTest(`rqlite: ${name}`, ["rqlited"], async (engines) => {
      const { urls } = await engines.rqlite({ nodes: 1 });
      const clusters = new Map([["one", new RqliteCluster({ name: "one", urls })]]);
      await check(
        new RqliteDriver({ clusters, clusterOf: () => Promise.resolve("one"), judge: new Judge() }),
        scenario,
      );
    });
  }
}
