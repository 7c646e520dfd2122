/** A request as it came. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** What the server does with a request: text is sent as it is, then the connection ends unless it says `keep-alive`. */
export type Script = (request: SeenRequest, connection: Deno.TcpConn, count: number) => string | Promise<string>;

/** A server that answers whatever a script says, well-formed or not, and remembers what it was asked. */
export class ScriptedServer implements AsyncDisposable {
  readonly requests: SeenRequest[] = [];
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #serving: Promise<void>;

  constructor(private readonly script: Script) {
    this.#serving = this.#serve();
  }

  get url(): string {
    return `http://127.0.0.1:${this.#listener.addr.port}`;
  }

  /** The body of a request as JSON. */
  sent(at = 0): Readonly<Record<string, unknown>> {
    return JSON.parse(this.requests[at]?.body ?? "");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#serving;
  }

  async #serve(): Promise<void> {
    const answering: Promise<void>[] = [];
    for await (const connection of this.#listener) answering.push(this.#answer(connection));
    await Promise.all(answering);
  }

  async #answer(connection: Deno.TcpConn): Promise<void> {
    try {
      for (let goesOn = true; goesOn;) {
        const request = await readRequest(connection);
        if (request === undefined) return;
        const text = await this.script(request, connection, this.requests.push(request));
        const bytes = new TextEncoder().encode(text);
        for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
        goesOn = text.includes("connection: keep-alive\r\n");
      }
      await connection.closeWrite();
      // Until the client has closed as well: a reset would take the answer away.
      while (await connection.read(new Uint8Array(1024)) !== null);
    } catch {
      // The client left, which is what some tests are about.
    } finally {
      connection.close();
    }
  }
}

/** A well-formed answer. */
export function answer(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): string {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const all = {
    "content-type": "application/json",
    "content-length": new TextEncoder().encode(text).length,
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} X\r\n${lines.join("")}\r\n${text}`;
}

/** The gateway's form of an error. */
export const failure = (
  status: number,
  code: string,
  headers?: Readonly<Record<string, string>>,
  details?: unknown,
): string => answer(status, { error: `it is ${code}`, code, request_id: "r-1", status, details }, headers);

async function readRequest(connection: Deno.TcpConn): Promise<SeenRequest | undefined> {
  const decoder = new TextDecoder("latin1");
  const buffer = new Uint8Array(64 * 1024);
  let text = "";
  for (;;) {
    const end = text.indexOf("\r\n\r\n");
    if (end >= 0) {
      const [first = "", ...lines] = text.slice(0, end).split("\r\n");
      const headers = new Map(lines.map((line) => {
        const colon = line.indexOf(":");
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
      }));
      const body = text.slice(end + 4);
      if (body.length >= Number(headers.get("content-length") ?? 0)) {
        const [method = "", path = ""] = first.split(" ");
        const bytes = Uint8Array.from(body, (letter) => letter.charCodeAt(0));
        return { method, path, headers, body: new TextDecoder().decode(bytes) };
      }
    }
    const count = await connection.read(buffer);
    if (count === null) return undefined;
    text += decoder.decode(buffer.subarray(0, count));
  }
}
