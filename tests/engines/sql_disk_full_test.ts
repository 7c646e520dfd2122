import { deepEqual, equal, match, ok } from "node:assert/strict";
import { statfs } from "node:fs/promises";
import { newOwner, type SignedIn, tryToSignIn } from "../support/accounts.ts";
import type { Answer } from "../support/client.ts";
import { TestGateway } from "../support/gateway.ts";
import { SqlCaller } from "../support/sql.ts";
import { type Own, ownTest } from "./support/own.ts";
import { until } from "./support/wait.ts";

const MB = 2 ** 20;
const PLACE = "/run";
const DISK: Own = {
  what: "disk",
  variable: "TEST_HAS_OWN_DISK",
  options: [],
  prepare: `mount -t tmpfs -o size=96m none ${PLACE}`,
};
/** Of a disk of this size, what is kept for the databases is a twentieth. */
const LITTLE = 10 * MB;

const free = async () => {
  const { bavail, bsize } = await statfs(PLACE);
  return bavail * bsize;
};

/** Writes a file until so much is free. */
async function leave(bytes: number, name: string): Promise<void> {
  using file = await Deno.open(`${PLACE}/${name}`, { create: true, write: true });
  const piece = new Uint8Array(MB).fill(1);
  try {
    for (let left; (left = await free() - bytes) > 0;) await file.write(piece.subarray(0, Math.min(MB, left)));
  } catch (error) {
    // The last of it.
    if (!(error instanceof Error && "code" in error && error.code === "ENOSPC")) throw error;
  }
}

/** Rows of a megabyte each. */
const megabytes = (count: number) =>
  `INSERT INTO t (v) WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT ${count}) ` +
  "SELECT randomblob(1048576) FROM c";

const lines = (count: number) => `{"table":"t","columns":["v"]}\n${`["${"x".repeat(1_000)}"]\n`.repeat(count)}`;

/** What makes or takes a file, each of which is too much for a disk that has little room. */
class Copies {
  constructor(private readonly gateway: TestGateway, private readonly key: string) {}

  bulk(rows: number): Promise<Answer> {
    const headers = { "content-type": "application/x-ndjson" };
    return this.gateway.call("POST", "/v1/rqlite/bulk", { key: this.key, raw: lines(rows), headers });
  }
  restore(raw: string | Uint8Array<ArrayBuffer>, type: "sql" | "vnd.sqlite3"): Promise<Answer> {
    const headers = { "content-type": `application/${type}` };
    return this.gateway.call("POST", "/v1/rqlite/restore", { key: this.key, raw, headers });
  }
  copy(format: string): Promise<Answer> {
    return this.gateway.call("GET", `/v1/rqlite/backup?format=${format}`, { key: this.key });
  }
  /** The bytes of a backup. */
  async backup(): Promise<Uint8Array<ArrayBuffer>> {
    const response = await fetch(`${this.gateway.url}/v1/rqlite/backup`, { headers: { "x-api-key": this.key } });
    equal(response.status, 200);
    return new Uint8Array(await response.arrayBuffer());
  }
}

function isFull(answer: Answer, what: string, code = "NO_CAPACITY"): void {
  deepEqual([answer.status, answer.get("code")], [503, code], `${what}: ${answer.text.slice(0, 500)}`);
  ok(Number(answer.headers.get("retry-after")) > 0, what);
}

/** A disk with little room takes nothing large, and what was begun leaves it again. */
async function takesNothingLarge(gateway: TestGateway, { apiKey }: SignedIn): Promise<number> {
  const copies = new Copies(gateway, apiKey);
  await leave(LITTLE, "ballast");
  const before = await free();
  const refused: Readonly<Record<string, () => Promise<Answer>>> = {
    "a load whose rows have no room": () => copies.bulk(12_000),
    "a load whose rows have room, and not in the database": () => copies.bulk(4_700),
    "a file": () => copies.restore(new Uint8Array(12 * MB), "vnd.sqlite3"),
    "a text": () => copies.restore(" ".repeat(12 * MB), "sql"),
    "a text that makes more than it is": () => copies.restore(`CREATE TABLE t (v);${megabytes(40)};`, "sql"),
    "a backup": () => copies.copy("sqlite"),
    "an export": () => copies.copy("sql"),
  };
  for (const [what, call] of Object.entries(refused)) {
    isFull(await call(), what);
    await until(`${what} has left the disk`, async () => await free() >= before - MB / 2);
  }
  return Object.keys(refused).length;
}

/** A disk without any room takes no write that needs some, and answers what is there. */
async function answersWhatIsThere(gateway: TestGateway, owner: SignedIn): Promise<void> {
  const db = new SqlCaller(gateway, { key: owner.apiKey });
  await leave(0, "last");
  isFull(await db.exec(megabytes(20)), "a write", "UNAVAILABLE");
  deepEqual(await db.rows("SELECT count(*) AS n FROM t"), [{ n: 8 }]);
  const small = await db.exec("INSERT INTO small (v) VALUES (1)");
  if (small.status !== 200) isFull(small, "a small write", "UNAVAILABLE");
  deepEqual(await db.rows("SELECT count(*) AS n FROM small"), [{ n: small.status === 200 ? 1 : 0 }]);
  // The control plane's log may have room for some.
  let signedIn: Answer | undefined;
  for (let tries = 0; tries < 100 && signedIn?.status !== 503; tries++) {
    signedIn = await tryToSignIn(gateway, owner.wallet, owner.namespace);
    if (signedIn.status !== 503) signedIn.expect(200);
  }
  isFull(signedIn!, "a sign-in", "UNAVAILABLE");
  const token = owner.accessToken;
  (await gateway.call("GET", "/v1/auth/whoami", { token })).expect(200);
}

ownTest(
  DISK,
  import.meta.url,
  "a disk that is full refuses loads, copies, restores and writes, answers reads, and takes all of them when there is room",
  [],
  async () => {
    const folder = await Deno.makeTempDir({ prefix: "orama-disk-full-" });
    // The log of the gateway is not on that disk.
    await Deno.mkdir(`${PLACE}/data`, { mode: 0o700 });
    await Deno.symlink(`${PLACE}/data`, `${folder}/data`);
    try {
      await using gateway = await TestGateway.start({ driver: "sqlite", cacheDriver: "memory", folder });
      await using owner = await newOwner(gateway);
      const db = new SqlCaller(gateway, { key: owner.apiKey });
      const copies = new Copies(gateway, owner.apiKey);
      await db.run("CREATE TABLE t (id INTEGER PRIMARY KEY, v)", "CREATE TABLE small (v)", megabytes(8));
      const refused = await takesNothingLarge(gateway, owner);
      await answersWhatIsThere(gateway, owner);

      for (const name of ["ballast", "last"]) await Deno.remove(`${PLACE}/${name}`);
      (await tryToSignIn(gateway, owner.wallet, owner.namespace)).expect(200);
      (await db.exec(megabytes(1))).expect(200);
      const kept = await copies.backup();
      ok(kept.length > 9 * MB);
      match((await copies.copy("sql")).expect(200).text.slice(-20), /COMMIT;\n$/);
      equal((await copies.bulk(4_700)).expect(200).get("rows"), 4_700);
      equal((await copies.restore(kept, "vnd.sqlite3")).expect(200).get("tables"), 2);
      deepEqual(await db.rows("SELECT count(*) AS n FROM t"), [{ n: 9 }]);

      const log = gateway.log();
      const causes = log.split("\n").filter((line) => line.includes("request failed") && line.includes("NO_CAPACITY"));
      equal(causes.length, refused, "the log has the cause of each");
      equal(/unexpected failure/.test(log), false, log);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);
