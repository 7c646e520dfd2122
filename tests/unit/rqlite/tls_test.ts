import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { RqliteCluster } from "../../../services/rqlite/client.ts";
import { HttpPool, NoAnswer } from "../../../services/rqlite/http_pool.ts";
import type { TlsOptions } from "../../../services/rqlite/options.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { until } from "../../engines/support/wait.ts";
import { awaitedLater } from "../../support/awaited_later.ts";
import { CERTIFICATES } from "../../support/certificates/index.ts";
import { written } from "./fake_cluster.ts";

const { authority: ca, key } = CERTIFICATES;
const write = [{ sql: "INSERT INTO t VALUES (1)", args: [] }];

/** A node that answers by `handle`, over TLS with a certificate, or without TLS. */
function node(cert: string | undefined, handle: (request: Request, from: Deno.NetAddr) => Response) {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {}, ...(cert !== undefined && { cert, key }) },
    (request, { remoteAddr }) => handle(request, remoteAddr),
  );
  const url = `${cert === undefined ? "http" : "https"}://127.0.0.1:${server.addr.port}`;
  return { url, [Symbol.asyncDispose]: () => server.shutdown() };
}

async function withPool(tls: TlsOptions, run: (ask: (url: string) => Promise<string>) => Promise<void>): Promise<void> {
  const pool = new HttpPool(tls);
  const request = { method: "POST", path: "/", body: "[]", timeout: 2_000, maxBytes: 1_000 } as const;
  try {
    await run(async (url) => (await pool.send({ ...request, url })).text);
  } finally {
    pool.close();
  }
}

const notSent = (reason: NoAnswer["reason"], cause: RegExp) => (error: unknown) => {
  ok(error instanceof NoAnswer, String(error));
  deepEqual([error.reason, error.sent], [reason, false]);
  match(String(error.cause), cause);
  return true;
};

Deno.test("an expired certificate gets nothing", async () => {
  await using expired = node(CERTIFICATES.expired, () => new Response("never"));
  await withPool(
    { ca },
    (ask) => rejects(ask(expired.url), notSent("connection", /certificate expired/)),
  );
});

Deno.test("a certificate authority that cannot be read is an error of each connection, and not of the process", async () => {
  await using well = node(CERTIFICATES.node, () => new Response("never"));
  const broken = ca.replace(/\n.{20}/, "\nAAAAAAAAAAAAAAAAAAAA");
  await withPool({ ca: broken }, (ask) => rejects(ask(well.url), notSent("connection", /certificate/)));
});

Deno.test("a node that does not get through the handshake in time was sent nothing", async () => {
  using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepted = silent.accept();
  await withPool({ ca }, async (ask) => {
    const asking = awaitedLater(rejects(ask(`https://127.0.0.1:${silent.addr.port}`), notSent("timeout", /undefined/)));
    const connection = await accepted;
    await asking;
    connection.close();
  });
});

Deno.test("requests to a node share one connection over TLS", async () => {
  const ports = new Set<number>();
  await using well = node(CERTIFICATES.node, (_request, { port }) => (ports.add(port), new Response("ok")));
  await withPool({ ca }, async (ask) => {
    for (let n = 0; n < 3; n++) equal(await ask(well.url), "ok");
  });
  equal(ports.size, 1);
});

/** A cluster of which one node is known, and that names a leader without TLS. */
async function withPlainLeader(
  cert: string | undefined,
  run: (cluster: RqliteCluster, asked: { readonly lists: number; readonly plain: readonly string[] }) => Promise<void>,
): Promise<void> {
  const asked = { lists: 0, plain: [] as string[] };
  const answers = (request: Request) =>
    new Response(new URL(request.url).pathname === "/readyz" ? "ok" : (written as { body: string }).body);
  await using plain = node(undefined, (request) => {
    asked.plain.push(request.url);
    return answers(request);
  });
  await using known = node(cert, (request) => {
    if (new URL(request.url).pathname !== "/nodes") return answers(request);
    asked.lists++;
    const seen = { voter: true, reachable: true };
    return Response.json({
      nodes: [
        { id: "known", api_addr: known.url, leader: false, ...seen },
        { id: "plain", api_addr: plain.url, leader: true, ...seen },
      ],
    });
  });
  const user = { username: "gateway", password: "secret" };
  const cluster = new RqliteCluster({ name: "test", urls: [known.url], tls: { ca }, ...user });
  try {
    await run(cluster, asked);
  } finally {
    await cluster.close();
  }
}

Deno.test("a node that says of itself that it is without TLS gets no password where the others have TLS", async () => {
  await withPlainLeader(CERTIFICATES.node, async (cluster, asked) => {
    await until("members were asked for twice", async () => {
      await cluster.execute(write, { transaction: false });
      return asked.lists >= 2;
    });
    deepEqual(asked.plain, []);
    deepEqual((await cluster.nodes()).map(({ id }) => id), ["known", "plain"]);
  });
  // The same without TLS, or the test above could pass by accident.
  await withPlainLeader(undefined, async (cluster, asked) => {
    await until("the leader was asked", async () => {
      await cluster.execute(write, { transaction: false });
      return asked.plain.some((url) => url.includes("/db/execute"));
    });
  });
});

Deno.test("a redirect is not followed, wherever it leads", async () => {
  const followed: string[] = [];
  await using plain = node(undefined, (request) => (followed.push(request.url), new Response("{}")));
  await using known = node(CERTIFICATES.node, () => Response.redirect(`${plain.url}/db/execute`, 301));
  const cluster = new RqliteCluster({ name: "test", urls: [known.url], tls: { ca }, patience: 100 });
  try {
    await rejects(
      cluster.execute(write, { transaction: false }),
      (error) => error instanceof GatewayError && error.code === "UNAVAILABLE" && !error.message.includes("127.0.0.1"),
    );
    deepEqual(followed, []);
  } finally {
    await cluster.close();
  }
});
