import { deepEqual, ok } from "node:assert/strict";
import { awaitedLater } from "../support/awaited_later.ts";
import { CacheCaller } from "../support/cache.ts";
import type { Answer } from "../support/client.ts";
import { TestGateway } from "../support/gateway.ts";
import { engineTest } from "./support/engine_test.ts";
import type { OlricTestCluster } from "./support/olric.ts";
import { until } from "./support/wait.ts";

const CALLERS = 6, KEYS = 40;
/**
 * Milliseconds without a failure after which all is well, and within which it must be. What a change that failed had locked stays so for
 * twice the time of an operation.
 */
const QUIET = 5_000, BACK_WITHIN = 40_000;
/** Milliseconds for which a lock may be held by nobody that a member did not hear to be free: as long as its lease, and a while. */
const LONGEST_LOCK = 6_000;
/** Milliseconds after which an answer does not come any more: a request has 2 s for each of a few trips, on a busy machine. */
const GIVEN_UP = 20_000;
const MAP = "m";

type Operation = (cache: CacheCaller, key: string, value: string) => Promise<Answer>;

/** Everything that a cache can be asked, of entries that many ask about at once. */
const OPERATIONS: Readonly<Record<string, Operation>> = {
  "put": (cache, key, value) => cache.call("put", { dmap: MAP, key, value }),
  "put for a while": (cache, key, value) => cache.call("put", { dmap: MAP, key, value, ttl: "1h" }),
  "put where nothing is": (cache, key, value) => cache.call("put", { dmap: MAP, key, value, nx: true }),
  "put where something is": (cache, key, value) => cache.call("put", { dmap: MAP, key, value, xx: true }),
  "put over a version": async (cache, key, value) => {
    const found = await cache.get(MAP, key);
    if (found.status !== 200) return found;
    return await cache.call("put", { dmap: MAP, key, value, if_version: found.get("version") });
  },
  "get": (cache, key) => cache.get(MAP, key),
  "getset": (cache, key, value) => cache.call("getset", { dmap: MAP, key, value }),
  "delete": (cache, key) => cache.call("delete", { dmap: MAP, key }),
  "expire": (cache, key) => cache.call("expire", { dmap: MAP, key, ttl: "1h" }),
  "ttl": (cache, key) => cache.call("ttl", { dmap: MAP, key }),
  "touch": (cache, key) => cache.call("touch", { dmap: MAP, keys: [key] }),
  "mget": (cache, key) => cache.call("mget", { dmap: MAP, keys: [key, "k0", "k1"] }),
  "mput": (cache, key, value) => cache.call("mput", { dmap: MAP, entries: [{ key, value }] }),
  "mdelete": (cache, key) => cache.call("mdelete", { dmap: MAP, keys: [key] }),
  "incr": (cache, key) => cache.call("incr", { dmap: "counters", key }),
  "scan": (cache) => cache.call("scan", { dmap: MAP, limit: 20 }),
  "maps": (cache) => cache.raw("GET", []),
  "lock and unlock": async (cache, key) => {
    const locked = await cache.call("lock", { dmap: "locks", key, lease: "2s", wait: "100ms" });
    if (locked.status !== 200) return locked;
    const token = locked.get("token");
    const renewed = await cache.call("renew", { dmap: "locks", key, lease: "2s", token });
    const unlocked = await cache.call("unlock", { dmap: "locks", key, token });
    return renewed.status === 200 ? unlocked : renewed;
  },
  "PUT": (cache, key, value) =>
    cache.raw("PUT", [MAP, key], { raw: JSON.stringify(value), headers: { "content-type": "application/json" } }),
  "GET": (cache, key) => cache.raw("GET", [MAP, key]),
};

/** What is no failure: done, not there, somebody else's, changed meanwhile. */
const DONE = [200, 201, 204, 404, 409, 412];

/** Callers that never stop, each asking everything in turn, and what they were told. */
class Load {
  answers = 0;
  unavailable = 0;
  lastFailure = -Infinity;
  longest = 0;
  /** What no fault of a member excuses. */
  readonly odd: string[] = [];
  readonly #loops: Promise<void>[];
  #over = false;

  constructor(private readonly cache: CacheCaller) {
    this.#loops = awaitedLater(Array.from({ length: CALLERS }, (_, caller) => this.#call(caller)));
  }

  /** Waits until harm that was done is felt, and nothing fails any more. */
  async recovers(): Promise<void> {
    const before = this.unavailable;
    await until("the harm is felt", () => this.unavailable > before);
    await this.isQuiet();
  }

  async isQuiet(): Promise<void> {
    await until(`nothing fails for ${QUIET} ms`, () => performance.now() - this.lastFailure > QUIET, BACK_WITHIN);
  }

  async stop(): Promise<void> {
    this.#over = true;
    await Promise.all(this.#loops);
  }

  async #call(caller: number): Promise<void> {
    const operations = Object.entries(OPERATIONS);
    for (let turn = caller; !this.#over; turn++) {
      const [name, operation] = operations[turn % operations.length]!;
      const key = `k${Math.floor(Math.random() * KEYS)}`, since = performance.now();
      const answer = await inTime(operation(this.cache, key, `${key} of ${caller}`));
      this.longest = Math.max(this.longest, performance.now() - since);
      this.answers++;
      const problem = this.#judge(name, key, answer);
      if (problem !== undefined) this.odd.push(`${name} of ${key}: ${problem}`);
    }
  }

  /** What is wrong with an answer, if anything is. */
  #judge(name: string, key: string, answer: Answer | undefined): string | undefined {
    if (answer === undefined) return `no answer for ${GIVEN_UP} ms`;
    const { status, text, headers } = answer;
    if (status === 503) {
      this.unavailable++;
      this.lastFailure = performance.now();
      if (answer.get("code") === "UNAVAILABLE" && /^[1-9]\d*$/.test(headers.get("retry-after") ?? "")) return undefined;
      return `503 with ${headers.get("retry-after")}: ${text}`;
    }
    if (!DONE.includes(status)) return `${status} ${text}`;
    const values = [...text.matchAll(/"(k\d+) of \d+"/g)].map(([, of]) => of);
    const asked = [key, "k0", "k1"].slice(0, name === "mget" ? 3 : 1);
    return values.every((of) => asked.includes(of!)) ? undefined : `the value of another entry: ${text}`;
  }
}

const inTime = async (answer: Promise<Answer>): Promise<Answer | undefined> => {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), GIVEN_UP);
  return await Promise.race([answer, promise]).finally(() => clearTimeout(timer));
};

/** A gateway on three members, asked over HTTP all the time, while something happens to one of them. */
function faultTest(name: string, run: (load: Load, cluster: OlricTestCluster) => Promise<void>): void {
  engineTest(name, ["olric-server"], async (engines) => {
    const cluster = await engines.olric({ members: 3 });
    const config = { cache: { driver: "olric", olric: { addresses: cluster.addresses } } };
    await using gateway = await TestGateway.start({
      driver: "sqlite",
      cache: { driver: "olric", config, cluster, [Symbol.asyncDispose]: () => Promise.resolve() },
    });
    const cache = new CacheCaller(gateway, { key: await gateway.defaultKey() });
    const load = new Load(cache);
    try {
      await until("every operation was done", () => load.answers > 20 * Object.keys(OPERATIONS).length);
      deepEqual([load.unavailable, load.odd], [0, []], "nothing fails before");
      await run(load, cluster);
      const isWhole = async () => (await gateway.call("GET", "/v1/status")).get("services.cache.status") === "ok";
      await until("the status says that all is well", isWhole, BACK_WITHIN);
      await load.isQuiet();
    } finally {
      await load.stop();
    }
    deepEqual(load.odd, []);
    for (const [operation, ask] of Object.entries(OPERATIONS)) {
      for (let i = 0; i < KEYS; i++) {
        await until(`${operation} works in the end`, async () => {
          const { status, text } = await ask(cache, `k${i}`, `k${i} of 0`);
          ok(DONE.includes(status), `${status} ${text}`);
          return true;
        }, LONGEST_LOCK);
      }
    }
    deepEqual(gateway.log().split("\n").filter((line) => /"level":"(error|fatal)"/.test(line)), []);
    await Deno.stdout.write(new TextEncoder().encode(
      `${load.answers} answers, ${load.unavailable} of them 503, the longest took ${Math.round(load.longest)} ms\n`,
    ));
  });
}

faultTest(
  "over HTTP, kill -9 of one of three members and its start anew, empty, under load: 503 meanwhile, nothing worse, and all is well",
  async (load, cluster) => {
    const victim = cluster.nodes[2]!;
    await victim.kill();
    await load.recovers();
    await victim.start();
    await cluster.ready();
  },
);

faultTest(
  "over HTTP, a member that is stopped until the others have given it up, and goes on: 503 meanwhile, nothing worse, and all is well",
  async (load, cluster) => {
    const [one, two, victim] = cluster.nodes;
    victim!.pause();
    try {
      await load.recovers();
      await cluster.ready([one!, two!], 2);
    } finally {
      victim!.resume();
    }
    await cluster.ready();
  },
);
