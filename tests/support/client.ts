import { SecretBook } from "./secrets.ts";

/** What goes with a call. */
export interface CallOptions {
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Sent as it is, in place of `body`. */
  readonly raw?: string | Uint8Array<ArrayBuffer>;
  /** API key, as `X-API-Key`. */
  readonly key?: string;
  /** Access token, as `Authorization: Bearer`. */
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A whole answer. */
export class Answer {
  constructor(readonly status: number, readonly headers: Headers, readonly text: string) {}

  /** The JSON object of the body. @throws Error with the text when it is none */
  get body(): Readonly<Record<string, unknown>> {
    try {
      return JSON.parse(this.text);
    } catch {
      throw new Error(`${this.status} without JSON: ${this.text.slice(0, 500)}`);
    }
  }

  /** A member by its path, such as `app.wallet` or `keys.0.id`. */
  get(path: string): unknown {
    return path.split(".").reduce<unknown>(
      (value, name) =>
        typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined,
      this.body,
    );
  }

  /** The same for a text. @throws Error when there is none */
  string(path: string): string {
    const value = this.get(path);
    if (typeof value !== "string") throw new Error(`${path} is no text in ${this.status} ${this.text.slice(0, 500)}`);
    return value;
  }

  /** The same for a list. @throws Error when there is none */
  list(path: string): readonly Readonly<Record<string, unknown>>[] {
    const value = this.get(path);
    if (!Array.isArray(value)) throw new Error(`${path} is no list in ${this.status} ${this.text.slice(0, 500)}`);
    return value;
  }

  /** Itself, when the status is the expected one. @throws Error with the body otherwise */
  expect(status: number): this {
    if (this.status === status) return this;
    throw new Error(`expected ${status}, got ${this.status}: ${this.text.slice(0, 1000)}`);
  }
}

/** How often a call is repeated at a limit, on a gateway whose limits are not the tests' to set. */
const PATIENCE = 20;

/** Calls one gateway, and remembers every secret that goes over the wire. */
export class Client {
  /**
   * @param url without a slash at the end
   * @param patient whether a 429 is waited for
   */
  constructor(readonly url: string, readonly secrets = new SecretBook(), private readonly patient = false) {}

  /** Calls, and follows no redirect. */
  async call(method: string, path: string, options: CallOptions = {}): Promise<Answer> {
    for (let attempt = 0;; attempt++) {
      const answer = await this.#once(method, path, options);
      if (!this.patient || answer.status !== 429 || attempt === PATIENCE) return answer;
      const seconds = Number(answer.headers.get("retry-after") ?? 1);
      await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    }
  }

  async #once(method: string, path: string, { body, raw, key, token, headers }: CallOptions): Promise<Answer> {
    const payload = raw ?? (body === undefined ? undefined : JSON.stringify(body));
    if (typeof payload === "string") this.secrets.read(payload);
    if (key !== undefined) this.secrets.note(key);
    if (token !== undefined) this.secrets.note(token);
    const response = await fetch(this.url + path, {
      method,
      redirect: "manual",
      headers: {
        ...(payload !== undefined && { "content-type": "application/json" }),
        ...(key !== undefined && { "x-api-key": key }),
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...headers,
      },
      ...(payload !== undefined && { body: payload }),
    });
    const text = await textOf(response);
    this.secrets.read(text);
    return new Answer(response.status, response.headers, text);
  }
}

/** The body of an answer; of a stream of events, which has no end, the first piece. */
async function textOf(response: Response): Promise<string> {
  if (response.headers.get("content-type") !== "text/event-stream" || response.body === null) {
    return await response.text();
  }
  for await (const piece of response.body.pipeThrough(new TextDecoderStream())) return piece;
  return "";
}
