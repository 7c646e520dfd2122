import type { Answer, CallOptions, Client } from "./client.ts";

/** A file that is uploaded. */
export interface TestFile {
  readonly name: string;
  readonly content: string | Uint8Array<ArrayBuffer>;
  readonly type?: string;
}

/** What was found at an address, byte for byte. */
export interface Bytes {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** The storage of one namespace, called with one credential. */
export class StorageCaller {
  constructor(
    private readonly client: Client,
    private readonly credential: { readonly key?: string; readonly token?: string },
  ) {}

  /** Calls what is behind `/v1/storage/`, whatever comes of it. */
  call(method: string, path: string, options: CallOptions = {}): Promise<Answer> {
    return this.client.call(method, `/v1/storage/${path}`, { ...this.credential, ...options });
  }

  /** Uploads a form, whatever comes of it. @param query with its question mark */
  form(
    files: readonly TestFile[],
    fields: Readonly<Record<string, string>> = {},
    query = "",
  ): Promise<Answer> {
    const boundary = `test${crypto.randomUUID()}`;
    const parts = files.flatMap(({ name, content, type = "application/octet-stream" }) => [
      `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="${name}"\r\nContent-Type: ${type}\r\n\r\n`,
      content,
      "\r\n",
    ]);
    for (const [name, value] of Object.entries(fields)) {
      parts.push(`--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`);
    }
    return this.raw(boundary, [...parts, `--${boundary}--\r\n`], query);
  }

  /** Uploads what claims to be a form. */
  async raw(boundary: string, parts: readonly (string | Uint8Array<ArrayBuffer>)[], query = ""): Promise<Answer> {
    return await this.call("POST", `upload${query}`, {
      raw: new Uint8Array(await new Blob([...parts]).arrayBuffer()),
      headers: { "content-type": `multipart/form-data; boundary=${boundary}` },
    });
  }

  /** Stores a file, which must succeed. @returns its CID */
  async put(
    content: TestFile["content"],
    name = "a.txt",
    fields: Readonly<Record<string, string>> = {},
  ): Promise<string> {
    return (await this.form([{ name, content, type: "" }], fields)).expect(200).string("cid");
  }

  /** Reads content. @param path a CID, and what may follow it */
  read(path: string, headers: Readonly<Record<string, string>> = {}): Promise<Bytes> {
    return bytesAt(this.client, `/v1/storage/get/${path}`, this.#headers(headers));
  }

  /** Reads content as IPFS gateways give it. */
  ipfs(path: string, headers: Readonly<Record<string, string>> = {}): Promise<Bytes> {
    return bytesAt(this.client, `/ipfs/${path}`, this.#headers(headers));
  }

  #headers(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
    const { key, token } = this.credential;
    return {
      ...(key !== undefined && { "x-api-key": key }),
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...headers,
    };
  }
}

/** Reads an address, byte for byte; follows no redirect. */
export async function bytesAt(
  client: Client,
  path: string,
  headers: Readonly<Record<string, string>> = {},
  method = "GET",
): Promise<Bytes> {
  const response = await fetch(client.url + path, { method, headers, redirect: "manual" });
  return { status: response.status, headers: response.headers, bytes: await response.bytes() };
}

/** Bytes that look like noise and are always the same. */
export function noise(length: number, seed = 1): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(Math.ceil(length / 4));
  let state = seed * 2_654_435_761 >>> 0 || 1;
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return new Uint8Array(words.buffer).slice(0, length);
}
