import { equal, ok } from "node:assert/strict";
import type { Answer, Client } from "./client.ts";

/** SQL of one namespace, called with one credential. */
export class SqlCaller {
  constructor(
    private readonly client: Client,
    private readonly credential: { readonly key?: string; readonly token?: string },
  ) {}

  /** Calls `/v1/rqlite/<operation>`, whatever comes of it. */
  call(operation: string, body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
    return this.client.call("POST", `/v1/rqlite/${operation}`, { ...this.credential, body, headers });
  }

  /** The same with an `Idempotency-Key`. */
  once(key: string, operation: string, body: unknown): Promise<Answer> {
    return this.call(operation, body, { "idempotency-key": key });
  }

  /** The same with JSON text as it is: for numbers that JavaScript has none for. */
  callRaw(operation: string, raw: string): Promise<Answer> {
    return this.client.call("POST", `/v1/rqlite/${operation}`, { ...this.credential, raw });
  }

  query(sql: string, ...args: unknown[]): Promise<Answer> {
    return this.call("query", { sql, args });
  }

  exec(sql: string, ...args: unknown[]): Promise<Answer> {
    return this.call("exec", { sql, args });
  }

  /** Runs statements one after another; each must succeed. */
  async run(...statements: readonly string[]): Promise<void> {
    for (const sql of statements) (await this.exec(sql)).expect(200);
  }

  /** The rows of a query, which must succeed. */
  async rows(sql: string, ...args: unknown[]): Promise<readonly Readonly<Record<string, unknown>>[]> {
    return (await this.query(sql, ...args)).expect(200).list("items");
  }

  schema(): Promise<Answer> {
    return this.client.call("GET", "/v1/rqlite/schema", this.credential);
  }
}

/** That a statement was the client's mistake, whichever: no 5xx, and nothing of the engine's inside. */
export function isSqlRefused(answer: Answer, what: string): void {
  equal(answer.status, 400, `${what}: ${answer.text}`);
  ok(["SQL_INVALID", "SQL_NOT_ALLOWED", "INVALID_REQUEST"].includes(answer.string("code")), what);
  ok(!/\/data\/|https?:\/\/|file:\/\/|node:/.test(answer.text), answer.text);
}
