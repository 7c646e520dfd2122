import type { Answer, CallOptions, Client } from "./client.ts";

/** The cache of one namespace, called with one credential. */
export class CacheCaller {
  constructor(
    private readonly client: Client,
    private readonly credential: { readonly key?: string; readonly token?: string },
  ) {}

  /** Calls `POST /v1/cache/<operation>`, whatever comes of it. */
  call(operation: string, body: unknown): Promise<Answer> {
    return this.client.call("POST", `/v1/cache/${operation}`, { ...this.credential, body });
  }

  /** The same with JSON text as it is: for numbers that JavaScript has none for. */
  callRaw(operation: string, raw: string): Promise<Answer> {
    return this.client.call("POST", `/v1/cache/${operation}`, { ...this.credential, raw });
  }

  /** Stores a value, which must succeed. */
  async put(dmap: string, key: string, value: unknown, more: Readonly<Record<string, unknown>> = {}): Promise<Answer> {
    return (await this.call("put", { dmap, key, value, ...more })).expect(200);
  }

  get(dmap: string, key: string): Promise<Answer> {
    return this.call("get", { dmap, key });
  }

  /** The value of an entry that must be there. */
  async value(dmap: string, key: string): Promise<unknown> {
    return (await this.get(dmap, key)).expect(200).get("value");
  }

  /** Every key of a map, sorted. */
  async keys(dmap: string): Promise<string[]> {
    return ((await this.call("scan", { dmap })).expect(200).get("keys") as string[]).toSorted();
  }

  /** Calls the address of an entry, or of what follows `/v1/cache`. Names are encoded. */
  raw(
    method: string,
    names: readonly string[],
    options: CallOptions & { readonly query?: string } = {},
  ): Promise<Answer> {
    const path = ["/v1/cache", ...names.map(encodeURIComponent)].join("/");
    return this.client.call(method, path + (options.query ?? ""), { ...this.credential, ...options });
  }
}
