import { deepEqual, equal, ok } from "node:assert/strict";
import { until } from "../engines/support/wait.ts";
import { awaitedLater } from "../support/awaited_later.ts";
import { TestGateway } from "../support/gateway.ts";
import { SqlCaller } from "../support/sql.ts";
import { chosenDriver } from "../support/test_database.ts";

const WRITERS = 8;
/** Milliseconds before a write is repeated: less than clients should wait, or the test would take long. */
const PAUSE = 25;

/** Writers that repeat each write with its key until it is acknowledged. */
class Load {
  /** What each acknowledged write was answered. */
  readonly acknowledged = new Map<number, Readonly<Record<string, unknown>>>();
  readonly strange: string[] = [];
  replays = 0;
  repetitions = 0;
  /** Writes that are sent and not answered. */
  underWay = 0;
  #next = 0;
  #stopped = false;
  readonly #loops: Promise<void>[];

  /** @param caller of the gateway that serves now */
  constructor(private readonly caller: () => SqlCaller) {
    this.#loops = awaitedLater(Array.from({ length: WRITERS }, () => this.#write()));
  }

  async acknowledges(count: number): Promise<void> {
    const before = this.acknowledged.size;
    await until(
      `${count} writes are acknowledged`,
      () => this.acknowledged.size >= before + count || this.strange.length > 0,
      60_000,
    );
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#loops);
  }

  async #write(): Promise<void> {
    while (!this.#stopped) {
      const id = this.#next++;
      while (!await this.#once(id)) this.repetitions++;
    }
  }

  async #once(id: number): Promise<boolean> {
    this.underWay++;
    const answer = await write(this.caller(), id).catch(() => undefined).finally(() => this.underWay--);
    if (answer?.status === 200) {
      if (answer.get("replayed") === true) this.replays++;
      this.acknowledged.set(id, answer.body);
      return true;
    }
    const mayComeLater = answer === undefined || answer.get("code") === "IDEMPOTENCY_KEY_IN_USE" ||
      answer.status === 503 && answer.headers.get("retry-after") !== null;
    if (!mayComeLater) {
      this.strange.push(`${answer.status} ${answer.text}`);
      return true;
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
    return false;
  }
}

/** One write, in two halves that must not come apart. */
const write = (db: SqlCaller, id: number) =>
  db.once(`write-${id}`, "transaction", {
    statements: [`INSERT INTO log (write) VALUES (${id})`, "UPDATE total SET n = n + 1"],
    return_results: true,
  });

async function check(db: SqlCaller, load: Load): Promise<void> {
  deepEqual(load.strange, []);
  const rows = await db.rows("SELECT write, count(*) AS times, min(id) AS id FROM log GROUP BY write");
  const ids = new Map(rows.map(({ write, times, id }) => {
    equal(times, 1, `write ${String(write)}`);
    return [Number(write), id];
  }));
  deepEqual(ids.size, load.acknowledged.size);
  deepEqual(await db.rows("SELECT n FROM total"), [{ n: load.acknowledged.size }]);
  for (const [id, first] of load.acknowledged) {
    const again = (await write(db, id)).expect(200);
    equal(again.get("replayed"), true);
    deepEqual(again.get("results"), first["results"]);
    equal(again.get("results.0.last_insert_id"), ids.get(id));
  }
}

const prepare = (db: SqlCaller) =>
  db.run(
    "CREATE TABLE log (id INTEGER PRIMARY KEY, write INTEGER)",
    "CREATE TABLE total (n INTEGER)",
    "INSERT INTO total VALUES (0)",
  );

const ignore = chosenDriver() !== "sqlite" || Deno.env.has("TEST_BASE_URL");

Deno.test({
  name: "with keys, no write is lost or doubled when the gateway is killed and started again",
  ignore,
  async fn() {
    const folder = await Deno.makeTempDir({ prefix: "orama-gateway-" });
    let gateway = await TestGateway.start({ folder });
    try {
      const key = await gateway.defaultKey();
      const caller = () => new SqlCaller(gateway, { key });
      await prepare(caller());
      const load = new Load(caller);
      for (let kill = 0; kill < 2; kill++) {
        await load.acknowledges(30);
        gateway.signal("SIGKILL");
        await gateway[Symbol.asyncDispose]();
        gateway = await TestGateway.start({ folder });
      }
      await load.acknowledges(30);
      await load.stop();
      await check(caller(), load);
      ok(load.repetitions > 0);
    } finally {
      await gateway[Symbol.asyncDispose]();
      await Deno.remove(folder, { recursive: true });
    }
  },
});

/** The processes that a process has started, and those that they have. */
function descendants(pid: number): number[] {
  const children: number[] = [];
  try {
    for (const { name } of Deno.readDirSync(`/proc/${pid}/task`)) {
      const text = Deno.readTextFileSync(`/proc/${pid}/task/${name}/children`);
      children.push(...text.split(" ").filter(Boolean).map(Number));
    }
  } catch {
    // It has just ended.
  }
  return children.flatMap((child) => [child, ...descendants(child)]);
}

Deno.test({
  name: "with keys, no write is lost or doubled when the processes that run SQL are killed",
  ignore: ignore || Deno.build.os !== "linux",
  async fn() {
    await using gateway = await TestGateway.start();
    const db = new SqlCaller(gateway, { key: await gateway.defaultKey() });
    await prepare(db);
    const load = new Load(() => db);
    const killed = new Set<number>();
    let interrupted = 0;
    for (let kill = 0; kill < 8; kill++) {
      await load.acknowledges(15);
      await until("there are processes that run SQL", () => descendants(gateway.pid).some((pid) => !killed.has(pid)));
      interrupted += load.underWay;
      for (const pid of descendants(gateway.pid)) {
        killed.add(pid);
        try {
          Deno.kill(pid, "SIGKILL");
        } catch {
          // It has just ended.
        }
      }
    }
    await load.acknowledges(15);
    await load.stop();
    await check(db, load);
    // Whether any had to be repeated is a matter of luck: the outcome of most is found out.
    ok(interrupted > 0, "no write was under way when a process was killed");
  },
});
