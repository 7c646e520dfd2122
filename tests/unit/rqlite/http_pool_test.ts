import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { HttpPool, NoAnswer, type PoolRequest } from "../../../services/rqlite/http_pool.ts";
import { until } from "../../engines/support/wait.ts";
import { awaitedLater } from "../../support/awaited_later.ts";

/** A server that says nothing but what `serve` writes, on each connection in turn. */
class RawServer implements Disposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #connections = new Set<Deno.Conn>();
  readonly requests: string[] = [];

  constructor(
    private readonly serve: (say: (text: string) => Promise<unknown>, request: number) => Promise<"keep" | "close">,
  ) {
    this.#accept();
  }

  get url(): string {
    return `http://127.0.0.1:${this.#listener.addr.port}`;
  }

  [Symbol.dispose](): void {
    this.#listener.close();
    for (const connection of this.#connections) connection.close();
  }

  async #accept(): Promise<void> {
    for await (const connection of this.#listener) this.#converse(connection).catch(() => {});
  }

  async #converse(connection: Deno.Conn): Promise<void> {
    this.#connections.add(connection);
    const buffer = new Uint8Array(65_536);
    for (let read; (read = await connection.read(buffer)) !== null;) {
      this.requests.push(new TextDecoder().decode(buffer.subarray(0, read)).split("\r\n\r\n")[1] ?? "");
      const say = (text: string) => connection.write(new TextEncoder().encode(text));
      if (await this.serve(say, this.requests.length) === "close") break;
    }
    this.#connections.delete(connection);
    connection.close();
  }
}

const answer = (body: string) => `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`;

async function withPool(
  run: (send: (url: string, more?: Partial<PoolRequest>) => ReturnType<HttpPool["send"]>) => Promise<void>,
) {
  const pool = new HttpPool();
  try {
    await run((url, more) =>
      pool.send({ method: "POST", url, path: "/", body: "[]", timeout: 5_000, maxBytes: 1_000, ...more })
    );
  } finally {
    pool.close();
  }
}

const noAnswer = (reason: NoAnswer["reason"], sent: boolean) => (error: unknown) => {
  ok(error instanceof NoAnswer, String(error));
  deepEqual([error.reason, error.sent], [reason, sent]);
  return true;
};

Deno.test("the pool sends on one connection, one request after the other", async () => {
  using server = new RawServer(async (say, n) => (await say(answer(`n${n}`)), "keep"));
  await withPool(async (send) => {
    for (const n of [1, 2, 3]) deepEqual(await send(server.url, { body: `[${n}]` }), { status: 200, text: `n${n}` });
    deepEqual(server.requests, ["[1]", "[2]", "[3]"]);
  });
});

Deno.test("the pool never sends a request twice: a reused connection that closes without an answer is an error", async () => {
  using server = new RawServer(async (say, n) => {
    if (n % 2 === 0) return "close";
    await say(answer("ok"));
    return "keep";
  });
  await withPool(async (send) => {
    await send(server.url, { body: "[1]" });
    await rejects(send(server.url, { body: "[2]" }), noAnswer("connection", true));
    await send(server.url, { body: "[3]" });
    await rejects(send(server.url, { body: "[4]" }), noAnswer("connection", true));
    deepEqual(server.requests, ["[1]", "[2]", "[3]", "[4]"]);
  });
});

Deno.test("the pool knows that a refused connection and an unknown host got nothing", async () => {
  await withPool(async (send) => {
    await rejects(send("http://127.0.0.1:1"), noAnswer("connection", false));
    await rejects(send("http://nowhere.invalid"), noAnswer("connection", false));
  });
});

Deno.test("the pool gives up at its time-out, before and within an answer", async () => {
  using silent = new RawServer(() => Promise.resolve("keep"));
  using stuck = new RawServer(async (say) => (await say("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"), "keep"));
  await withPool(async (send) => {
    const start = performance.now();
    await rejects(send(silent.url, { timeout: 100 }), noAnswer("timeout", true));
    await rejects(send(stuck.url, { timeout: 100 }), noAnswer("timeout", true));
    ok(performance.now() - start < 2_000);
  });
});

Deno.test("the pool asks whether a slow node lives, and gives up as soon as it does not", async () => {
  using silent = new RawServer(() => Promise.resolve("keep"));
  await withPool(async (send) => {
    let asked = 0;
    const ask = () => ++asked < 3 ? Promise.resolve() : Promise.reject(new Error("dead"));
    const start = performance.now();
    await rejects(send(silent.url, { timeout: 5_000, alive: { every: 50, ask } }), noAnswer("timeout", true));
    equal(asked, 3);
    ok(performance.now() - start < 2_000);
  });
});

Deno.test("the pool does not ask whether a node lives that has answered", async () => {
  using server = new RawServer(async (say) => (await say(answer("ok")), "keep"));
  using silent = new RawServer(() => Promise.resolve("keep"));
  await withPool(async (send) => {
    let asked = 0, askedLater = 0;
    await send(server.url, { alive: { every: 20, ask: () => Promise.resolve(++asked) } });
    // A request that begins later is asked about three times, and so the one before would have been as well.
    const ask = () => ++askedLater < 3 ? Promise.resolve() : Promise.reject(new Error("dead"));
    await rejects(send(silent.url, { alive: { every: 20, ask } }), noAnswer("timeout", true));
    deepEqual([asked, askedLater], [0, 3]);
  });
});

Deno.test("the pool counts the wait for a connection, and knows that what waited was not sent", async () => {
  using silent = new RawServer(() => Promise.resolve("keep"));
  await withPool(async (send) => {
    const first = awaitedLater(Array.from({ length: 128 }, () => send(silent.url, { timeout: 500 })));
    const waiting = [send(silent.url, { timeout: 100 }), send(silent.url, { timeout: 100 })];
    await Promise.all(waiting.map((one) => rejects(one, noAnswer("timeout", false))));
    for (const one of await Promise.allSettled(first)) {
      ok(one.status === "rejected" && noAnswer("timeout", true)(one.reason));
    }
    equal(silent.requests.length, 128);
  });
});

Deno.test("the pool takes a half answer, a broken one and no HTTP for no answer", async () => {
  for (
    const bytes of [
      "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf",
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
      "hello\r\n\r\n",
    ]
  ) {
    using server = new RawServer(async (say) => (await say(bytes), "close"));
    await withPool(async (send) => {
      await rejects(send(server.url), noAnswer("connection", true));
    });
  }
});

Deno.test("the pool stops reading an answer that is too large", async () => {
  using server = new RawServer(async (say) => (await say(answer("x".repeat(2_000))), "keep"));
  await withPool(async (send) => {
    await rejects(send(server.url), noAnswer("too_large", true));
  });
});

Deno.test("the pool passes an abort on, with its reason", async () => {
  using server = new RawServer(() => Promise.resolve("keep"));
  await withPool(async (send) => {
    const reason = new Error("the client left");
    const controller = new AbortController();
    const pending = send(server.url, { waiter: controller });
    const aborted = awaitedLater(
      rejects(pending, (error) => noAnswer("aborted", true)(error) && (error as Error).cause === reason),
    );
    await until("the request has arrived", () => server.requests.length === 1);
    controller.abort(reason);
    await aborted;
    equal(server.requests.length, 1);
  });
});
