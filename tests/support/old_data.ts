import { ChangeFeed } from "../../services/database/changes/service.ts";
import { WatchedDriver } from "../../services/database/changes/watched_driver.ts";
import { SqlDatabase } from "../../services/database/database.ts";
import type { SqlDriver } from "../../services/database/driver.ts";
import type { Migration } from "../../src/contracts/database_migrations.ts";

/** The namespace in all fixtures. */
export const NAMESPACE = "shop";
/** When they were made. Unix milliseconds. */
export const MADE_AT = 1_800_000_000_000;
/** Versions of the control database of which there is one. */
export const CONTROL_VERSIONS = [1, 2, 3, 4] as const;
/** The write with a key that is in the namespace's fixture. */
export const KEYED = { sql: "INSERT INTO orders (item) VALUES (?), (?)", args: ["tea", "milk"], key: "order-4711" };
/** The migrations of the application that were applied. */
export const APPLIED: readonly Migration[] = [
  {
    version: 1,
    name: "orders",
    statements: ["CREATE TABLE orders (id INTEGER PRIMARY KEY, item TEXT, paid BOOLEAN)"],
  },
];

/** What opens a control database of the fixtures, and nothing else. */
export interface OldCredentials {
  readonly apiKey: string;
  readonly walletKey: string;
  readonly refreshToken: string;
  readonly accessToken: string;
}

/** What is known of the fixtures beside what is in them. */
export interface OldData {
  /** By version. */
  readonly control: Readonly<Record<string, OldCredentials>>;
  /** Behind the first change of the feed. */
  readonly position: string;
}

const FIXTURES = new URL("../fixtures/", import.meta.url);

/** Where a fixture lies. */
export const fixture = (name: string): string => new URL(name, FIXTURES).pathname;

/** What `tests/fixtures/make.ts` noted. */
export const oldData = async (): Promise<OldData> => JSON.parse(await Deno.readTextFile(fixture("data.json")));

/** SQL and change feed of a gateway, as of a moment. */
export function servicesOn(driver: SqlDriver, now: () => number) {
  const feed = new ChangeFeed(driver, {
    poll: undefined,
    now,
    random: (n) => crypto.getRandomValues(new Uint8Array(n)),
    onError: () => {},
  });
  return { feed, database: new SqlDatabase(new WatchedDriver(driver, feed), { now }) };
}
