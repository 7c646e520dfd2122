import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { HttpPool, NoAnswer, type PoolRequest, type PoolStream } from "../../../services/rqlite/http_pool.ts";
import { until } from "../../engines/support/wait.ts";

/** A server that answers every connection by what `serve` writes. */
class RawServer implements Disposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #connections = new Set<Deno.Conn>();
  /** Bytes that were written. */
  written = 0;
  /** Connections that the other end has closed. */
  lost = 0;

  constructor(private readonly serve: (say: (text: string) => Promise<void>) => Promise<void>) {
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
    for await (const connection of this.#listener) this.#converse(connection).catch(() => this.lost++);
  }

  async #converse(connection: Deno.Conn): Promise<void> {
    this.#connections.add(connection);
    try {
      await connection.read(new Uint8Array(65_536));
      await this.serve(async (text) => {
        const bytes = new TextEncoder().encode(text);
        for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
        this.written += bytes.length;
      });
    } finally {
      this.#connections.delete(connection);
      connection.close();
    }
  }
}

async function withStream(
  server: RawServer,
  run: (stream: PoolStream, pool: HttpPool) => Promise<void>,
  more: Partial<PoolRequest> = {},
): Promise<void> {
  const pool = new HttpPool();
  try {
    const request = {
      method: "POST",
      url: server.url,
      path: "/",
      body: "[]",
      timeout: 5_000,
      maxBytes: 1_000,
    } as const;
    await run(await pool.stream({ ...request, ...more }), pool);
  } finally {
    pool.close();
  }
}

async function textOf(stream: PoolStream): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for (let bytes; (bytes = await stream.next()) !== undefined;) text += decoder.decode(bytes, { stream: true });
  return text;
}

const CHUNKED = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

Deno.test("a stream gives the body as it comes, with a length and in chunks, however they are cut", async () => {
  const body = "äöü".repeat(1_000);
  const length = new TextEncoder().encode(body).length;
  const answers = [
    [`HTTP/1.1 200 OK\r\ncontent-length: ${length}\r\n\r\n`, body],
    [CHUNKED, `${length.toString(16)};x=y\r\n`, body, "\r\n0\r\n\r\n"],
    [CHUNKED, "2", "\r", "\nab\r", "\n3\r\nc", "de", "\r\n", "0\r\n\r\n"],
    ["HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", body],
  ];
  for (const [at, parts] of answers.entries()) {
    using server = new RawServer(async (say) => {
      for (const part of parts) {
        await say(part);
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    });
    await withStream(server, async (stream) => {
      equal(stream.status, 200);
      equal(await textOf(stream), at === 2 ? "abcde" : body);
      equal(await stream.next(), undefined);
    });
  }
});

Deno.test("a stream that breaks off says so", async () => {
  for (
    const parts of [
      ["HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n", "half"],
      [CHUNKED, "10\r\nhalf"],
      [CHUNKED, "4\r\nhalf\r\n"],
      [CHUNKED, "zz\r\n"],
      [CHUNKED, "4\r\nhalf and more\r\n0\r\n\r\n"],
    ]
  ) {
    using server = new RawServer(async (say) => {
      for (const part of parts) await say(part);
    });
    await withStream(server, (stream) => rejects(textOf(stream)));
  }
});

Deno.test("what is no answer at all is NoAnswer, as for other requests", async () => {
  using server = new RawServer((say) => say("SMTP\r\n\r\n"));
  await rejects(withStream(server, () => Promise.resolve()), (error) => error instanceof NoAnswer && error.sent);
  await rejects(
    withStream({ url: "http://127.0.0.1:1" } as RawServer, () => Promise.resolve()),
    (error) => error instanceof NoAnswer && !error.sent,
  );
});

Deno.test("a stream that does not begin in time is given up", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  using server = new RawServer(() => promise);
  await rejects(
    withStream(server, () => Promise.resolve(), { timeout: 50 }),
    (error) => error instanceof NoAnswer && error.reason === "timeout",
  );
  resolve();
});

Deno.test("nobody sends further than the reader reads, and whoever ends early closes the connection", async () => {
  const endless = async (say: (text: string) => Promise<void>) => {
    await say("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
    for (;;) await say("x".repeat(1_000_000));
  };
  using server = new RawServer(endless);
  using other = new RawServer(endless);
  await withStream(server, async (stream) => {
    for (let n = 0; n < 5; n++) ok((await stream.next())!.length > 0);
    // While this one is read, that one could send as much, if anybody took it.
    await withStream(other, async (read) => {
      for (let bytes = 0; bytes < 200_000_000;) bytes += (await read.next())!.length;
    });
    ok(server.written < 20_000_000, String(server.written));
    stream.close();
    await until("the server sees the end", () => server.lost === 1);
    await rejects(async () => {
      for (;;) if (await stream.next() === undefined) throw new Error("over");
    });
  });
});

Deno.test("a stream ends with whoever waits for it, and with its pool", async () => {
  using server = new RawServer(async (say) => {
    await say("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nx");
    await new Promise(() => {});
  });
  const leaving = new AbortController();
  await withStream(server, async (stream) => {
    deepEqual(await stream.next(), new TextEncoder().encode("x"));
    const next = rejects(async () => {
      if (await stream.next() === undefined) throw new Error("over");
    });
    leaving.abort();
    await next;
  }, { waiter: { signal: leaving.signal } });
  await withStream(server, async (stream, pool) => {
    const next = rejects(async () => {
      for (;;) if (await stream.next() === undefined) throw new Error("over");
    });
    pool.close();
    await next;
  });
});
