import { createHmac } from "node:crypto";

/** What a made-up control port answers to a line; `undefined`: it is silent. A text without `\r\n` at its end is left so. */
export type Answering = (line: string) => string | Uint8Array | undefined | "end";

/** Something that listens on the loopback interface and answers lines, for one test. */
export class MadePort implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #open = new Set<Deno.Conn>();
  readonly #serving: Promise<void>;
  /** All lines that came, of all connections. */
  readonly heard: string[] = [];

  /** @param greeting is sent before anything was asked */
  constructor(private readonly answering: Answering, private readonly greeting?: string) {
    this.#serving = this.#serve();
  }

  get port(): number {
    return this.#listener.addr.port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const connection of this.#open) connection.close();
    this.#open.clear();
    await this.#serving;
  }

  async #serve(): Promise<void> {
    const all: Promise<void>[] = [];
    for await (const connection of this.#listener) {
      this.#open.add(connection);
      all.push(
        this.#answer(connection).catch(() => {}).finally(() => {
          if (this.#open.delete(connection)) connection.close();
        }),
      );
    }
    await Promise.all(all);
  }

  async #answer(connection: Deno.Conn): Promise<void> {
    const bytes = new Uint8Array(4_096);
    let text = "";
    if (this.greeting !== undefined) await connection.write(new TextEncoder().encode(this.greeting));
    for (;;) {
      const count = await connection.read(bytes);
      if (count === null) return;
      text += new TextDecoder("latin1").decode(bytes.subarray(0, count));
      for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
        const line = text.slice(0, end).replace(/\r$/, "");
        text = text.slice(end + 1);
        this.heard.push(line);
        const answer = this.answering(line);
        if (answer === "end") return;
        if (answer === undefined) continue;
        const all = typeof answer === "string" ? new TextEncoder().encode(answer) : answer;
        for (let at = 0; at < all.length;) at += await connection.write(all.subarray(at));
      }
    }
  }
}

/** Lines as the control protocol ends them. */
export const said = (...lines: readonly string[]): string => lines.map((line) => `${line}\r\n`).join("");

/** What a made-up `anon` knows and asks for. */
export interface MadeAnon {
  readonly cookieFile: string;
  readonly cookie: Uint8Array;
  /** What `GETINFO` gives, as whole replies. */
  readonly info: Readonly<Record<string, string>>;
}

/** Answers as tor does to whoever proves that it knows the cookie (control-spec, 3.24). */
export function anonOf({ cookieFile, cookie, info }: MadeAnon): Answering {
  const nonce = crypto.getRandomValues(new Uint8Array(32));
  let expected = "", inside = false;
  return (line) => {
    const [command, ...rest] = line.split(" ");
    if (command === "PROTOCOLINFO") {
      return said(
        "250-PROTOCOLINFO 1",
        `250-AUTH METHODS=COOKIE,SAFECOOKIE COOKIEFILE="${cookieFile}"`,
        '250-VERSION Tor="0.4.9.11"',
        "250 OK",
      );
    }
    if (command === "AUTHCHALLENGE") {
      const hmac = (key: string) =>
        createHmac("sha256", key).update(cookie).update(Uint8Array.fromHex(rest[1]!)).update(nonce).digest("hex");
      expected = hmac("Tor safe cookie authentication controller-to-server hash");
      const hash = hmac("Tor safe cookie authentication server-to-controller hash").toUpperCase();
      return said(`250 AUTHCHALLENGE SERVERHASH=${hash} SERVERNONCE=${nonce.toHex().toUpperCase()}`);
    }
    if (command === "AUTHENTICATE") {
      inside = rest[0] === expected;
      return inside ? said("250 OK") : said("515 Authentication failed");
    }
    if (!inside) return said("514 Authentication required.");
    return info[rest.join(" ")] ?? said(`552 Unrecognized key "${rest.join(" ")}"`);
  };
}
