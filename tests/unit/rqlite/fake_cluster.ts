/** What a fake node answers to a database request; `hang` never does, `reset` breaks off. */
export type FakeAnswer = { readonly status?: number; readonly body: string } | "hang" | "reset";

/** A request that a fake node got. */
export interface FakeRequest {
  readonly path: string;
  readonly parameters: URLSearchParams;
  readonly statements: readonly (readonly unknown[])[];
  readonly authorization: string | null;
}

/** The answer of rqlite to a write of one row. */
export const written: FakeAnswer = { body: `{"results":[{"last_insert_id":1,"rows_affected":1}]}` };
/** The answer of rqlite to `SELECT 1`. */
export const one: FakeAnswer = { body: `{"results":[{"columns":["1"],"types":["integer"],"values":[[1]]}]}` };
/** The answer of rqlite that fails as a whole. */
export const whole = (error: string): FakeAnswer => ({ body: JSON.stringify({ results: [], error }) });

/** A real HTTP server on loopback that answers as one node of rqlite v8 does. */
export class FakeNode implements AsyncDisposable {
  readonly requests: FakeRequest[] = [];
  /** What it says to requests for the database. */
  answer: (request: FakeRequest, count: number) => FakeAnswer = ({ path }) => path === "/db/query" ? one : written;
  /** Requests for the database are answered after this. */
  wait: Promise<void> = Promise.resolve();
  #hangs = false;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #hanging = Promise.withResolvers<void>();
  #closed = false;

  constructor(
    readonly id: string,
    private readonly members: () => readonly { id: string; url: string; leader: boolean }[],
  ) {
    const onListen = () => {};
    this.#server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen }, (request) => this.#handle(request));
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  /** From now on it accepts connections and answers nothing at all, as a stopped process does. */
  hang(): void {
    this.#hangs = true;
  }

  /** Ends it: connections to it are refused from now on. */
  async kill(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#hanging.resolve();
    await this.#server.shutdown();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }

  async #handle(request: Request): Promise<Response> {
    if (this.#hangs) await this.#hanging.promise;
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/nodes") {
      const nodes = this.members().map(({ id, url, leader }) => ({
        id,
        api_addr: url,
        leader,
        voter: true,
        reachable: true,
      }));
      return Response.json({ nodes });
    }
    if (pathname === "/readyz") return new Response("[+]node ok");
    const seen: FakeRequest = {
      path: pathname,
      parameters: searchParams,
      statements: statementsIn(await request.bytes()),
      authorization: request.headers.get("authorization"),
    };
    this.requests.push(seen);
    const answer = this.answer(seen, this.requests.length);
    await this.wait;
    if (answer === "hang") await this.#hanging.promise;
    if (answer === "reset") return new Response(ReadableStream.from([]), { headers: { "content-length": "9" } });
    return answer === "hang" ? new Response() : new Response(answer.body, { status: answer.status ?? 200 });
  }
}

/** The statements of a request; what is none, such as a whole database, holds none. */
function statementsIn(body: Uint8Array): FakeRequest["statements"] {
  const text = new TextDecoder().decode(body);
  return text.startsWith("[") ? JSON.parse(text) : [];
}

/** So many fake nodes; the first one leads until told otherwise. */
export class FakeCluster implements AsyncDisposable {
  readonly nodes: readonly FakeNode[];
  /** The id of the leader as all nodes tell it. */
  leader: string | undefined = "n0";

  constructor(count: number) {
    const members = () => this.nodes.map(({ id, url }) => ({ id, url, leader: id === this.leader }));
    this.nodes = Array.from({ length: count }, (_, i) => new FakeNode(`n${i}`, members));
  }

  get urls(): string[] {
    return this.nodes.map(({ url }) => url);
  }

  /** How many requests for the database each node got. */
  get counts(): number[] {
    return this.nodes.map(({ requests }) => requests.length);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill()));
  }
}
