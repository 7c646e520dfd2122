import { toMilliseconds } from "../durations.ts";
import { OramaError } from "../errors.ts";
import type { CallOptions, Client, ClientRequest } from "../http.ts";
import { parseBody } from "../answers.ts";
import type { FunctionInput, Functions, FunctionSecrets } from "./functions.ts";
import { follow } from "./follow.ts";
import type { DeployOptions, FollowOptions, FunctionWriteOptions, InvokeOptions, LogOptions } from "./options.ts";
import {
  aliasOf,
  type FunctionAlias,
  type FunctionAnswer,
  type FunctionLogLine,
  type FunctionSecret,
  type FunctionVersion,
  lineOf,
  listOf,
  membersOf,
  secretOf,
  versionOf,
} from "./values.ts";

const ROOT = "/v1/functions";
const decoder = new TextDecoder();

/** The functions behind a gateway. */
export class RemoteFunctions implements Functions {
  readonly secrets: FunctionSecrets;
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
    this.secrets = new RemoteSecrets(client);
  }

  async deploy(name: string, wasm: Blob | Uint8Array, options: DeployOptions = {}): Promise<FunctionVersion> {
    const body = formOf({ name, ...metadataOf(options) }, wasm);
    const request = { method: "POST", path: ROOT, body, effect: "write", ...callOf(options) } as const;
    return await this.#client.json(request, (answer) => versionOf(membersOf(answer, "deploy").function));
  }

  async invoke(name: string, input?: FunctionInput, options: InvokeOptions = {}): Promise<FunctionAnswer> {
    const { namespace, reference, type } = options;
    const called = placeOf(name, reference);
    const { body, type: own } = bodyOf(input);
    return await this.#client.whole({
      method: "POST",
      path: namespace === undefined
        ? `${ROOT}/${called}/invoke`
        : `/v1/invoke/${segmentOf(namespace, "a namespace")}/${called}`,
      body: new Blob([body], { type: type ?? own }),
      effect: "write",
      // The answer as it is, in place of one that is wrapped in JSON where it is none.
      headers: { accept: "application/octet-stream" },
      ...callOf(options),
    }, ({ headers, bytes, status }) => {
      const text = () => decoder.decode(bytes);
      return {
        requestId: headers.get("x-request-id") ?? "",
        duration: Number(headers.get("x-duration-ms") ?? 0),
        bytes,
        text,
        json: () => parseBody(text(), status),
      };
    });
  }

  async *list(options: CallOptions = {}): AsyncGenerator<FunctionVersion, void, void> {
    let cursor: string | undefined;
    do {
      const path = cursor === undefined ? ROOT : `${ROOT}?cursor=${encodeURIComponent(cursor)}`;
      const page = await this.#read(path, options, (body) => ({
        functions: listOf("functions", versionOf)(body),
        next: membersOf(body, "list").next_cursor,
      }));
      yield* page.functions;
      cursor = typeof page.next === "string" ? page.next : undefined;
    } while (cursor !== undefined);
  }

  async get(name: string, reference?: string | number, options: CallOptions = {}): Promise<FunctionVersion | null> {
    return await this.#read(`${ROOT}/${placeOf(name, reference)}`, options, versionOf).catch(missingAs(null));
  }

  async versions(name: string, options: CallOptions = {}): Promise<FunctionVersion[]> {
    return await this.#read(`${ROOT}/${placeOf(name)}/versions`, options, listOf("versions", versionOf));
  }

  async module(name: string, reference?: string | number, options: CallOptions = {}): Promise<Uint8Array<ArrayBuffer>> {
    const path = `${ROOT}/${placeOf(name, reference)}/wasm`;
    const headers = { accept: "application/wasm" };
    const request = { method: "GET", path, effect: "read", headers, ...callOf(options) } as const;
    return await this.#client.whole(request, ({ bytes }) => bytes);
  }

  async delete(name: string, version?: number, options: FunctionWriteOptions = {}): Promise<boolean> {
    return await gone(this.#client, `${ROOT}/${placeOf(name, version)}`, options);
  }

  async rollBack(name: string, version?: number, options: FunctionWriteOptions = {}): Promise<FunctionVersion> {
    const path = `${ROOT}/${placeOf(name)}/rollback`;
    // Without a version it is another one each time.
    const how = version === undefined ? { effect: "write", ...callOf(options) } as const : changeOf(options);
    return await this.#client.json({ method: "POST", path, body: { version }, ...how }, versionOf);
  }

  async aliases(name: string, options: CallOptions = {}): Promise<FunctionAlias[]> {
    return await this.#read(`${ROOT}/${placeOf(name)}/aliases`, options, listOf("aliases", aliasOf));
  }

  async setAlias(
    name: string,
    alias: string,
    targets: number | FunctionAlias["targets"],
    options: FunctionWriteOptions = {},
  ): Promise<FunctionAlias> {
    const path = `${ROOT}/${placeOf(name)}/aliases/${segmentOf(alias, "an alias")}`;
    const body = { targets: typeof targets === "number" ? [{ version: targets, weight: 100 }] : targets };
    return await this.#client.json({ method: "PUT", path, body, ...changeOf(options) }, aliasOf);
  }

  async deleteAlias(name: string, alias: string, options: FunctionWriteOptions = {}): Promise<boolean> {
    return await gone(this.#client, `${ROOT}/${placeOf(name)}/aliases/${segmentOf(alias, "an alias")}`, options);
  }

  async logs(name: string, options: LogOptions = {}): Promise<FunctionLogLine[]> {
    const { limit, before, level, requestId } = options;
    const query = new URLSearchParams();
    for (const [key, value] of Object.entries({ limit, before, level, request_id: requestId })) {
      if (value !== undefined) query.set(key, String(value));
    }
    return await this.#read(`${ROOT}/${placeOf(name)}/logs?${query}`, options, listOf("logs", lineOf));
  }

  async *followLogs(name: string, options: FollowOptions = {}): AsyncGenerator<FunctionLogLine, void, void> {
    yield* follow(this.#client, `${ROOT}/${placeOf(name)}/logs/stream`, options);
  }

  #read<T>(path: string, options: CallOptions, read: (body: unknown) => T): Promise<T> {
    return this.#client.json({ method: "GET", path, effect: "read", ...callOf(options) }, read);
  }
}

class RemoteSecrets implements FunctionSecrets {
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  async list(options: CallOptions = {}): Promise<FunctionSecret[]> {
    const request = { method: "GET", path: `${ROOT}/secrets`, effect: "read", ...callOf(options) } as const;
    return await this.#client.json(request, listOf("secrets", secretOf));
  }

  async set(name: string, value: string, options: FunctionWriteOptions = {}): Promise<FunctionSecret> {
    const path = `${ROOT}/secrets/${segmentOf(name, "a secret's name")}`;
    return await this.#client.json(
      { method: "PUT", path, body: { value }, ...changeOf(options) },
      secretOf,
    );
  }

  async delete(name: string, options: FunctionWriteOptions = {}): Promise<boolean> {
    return await gone(this.#client, `${ROOT}/secrets/${segmentOf(name, "a secret's name")}`, options);
  }
}

const callOf = ({ signal, requestTimeout }: CallOptions): Pick<ClientRequest, "signal" | "requestTimeout"> => ({
  signal,
  requestTimeout,
});

/** @param settled codes of errors that say all, also where an earlier try may have been applied */
const changeOf = (options: FunctionWriteOptions, settled: readonly string[] = []) =>
  ({ effect: "write", repeatable: options.repeat ? settled : undefined, ...callOf(options) }) as const;

/** @throws TypeError for what an address would leave away: it would be that of something else, and of all there is of it */
function segmentOf(text: string, what: string): string {
  if (text !== "" && text !== "." && text !== "..") return encodeURIComponent(text);
  throw new TypeError(`${what} is not empty, . or ..`);
}

function placeOf(name: string, reference?: string | number): string {
  if (name.includes("@")) throw new TypeError("a function's name has no @: the reference is an argument of its own");
  const place = segmentOf(name, "a function's name");
  return reference === undefined ? place : `${place}@${segmentOf(String(reference), "a reference")}`;
}

function bodyOf(input: FunctionInput | undefined): { body: BlobPart; type: string } {
  if (input === undefined) return { body: "", type: "application/octet-stream" };
  if (typeof input === "string") return { body: input, type: "text/plain" };
  if (input instanceof Uint8Array) return { body: input.slice(), type: "application/octet-stream" };
  return { body: JSON.stringify(input), type: "application/json" };
}

/** The form of a deploy. As a blob it is not sent a second time by the platform itself. */
function formOf(metadata: unknown, wasm: Blob | Uint8Array): Blob {
  // In small letters: the type of a blob has no others.
  const boundary = `orama-${crypto.randomUUID()}`;
  const part = (header: string) => `--${boundary}\r\nContent-Disposition: form-data; ${header}\r\n\r\n`;
  const module = wasm instanceof Uint8Array ? wasm.slice() : wasm;
  return new Blob([
    part('name="metadata"'),
    JSON.stringify(metadata),
    "\r\n",
    part('name="wasm"; filename="module.wasm"\r\nContent-Type: application/wasm'),
    module,
    `\r\n--${boundary}--\r\n`,
  ], { type: `multipart/form-data; boundary=${boundary}` });
}

const metadataOf = (options: DeployOptions) => ({
  memory_limit_mb: options.memory,
  timeout_seconds: secondsOf(options.timeout, "timeout"),
  is_public: options.isPublic,
  retry_count: options.retries,
  retry_delay_seconds: secondsOf(options.retryDelay, "retryDelay"),
  dlq_topic: options.deadLetterTopic,
  concurrency: options.concurrency,
  env_vars: options.env,
  entry: options.entry,
});

const secondsOf = (duration: DeployOptions["timeout"], field: string): number | undefined =>
  duration === undefined ? undefined : Math.ceil(toMilliseconds(duration, field) / 1000);

const gone = async (client: Client, path: string, options: FunctionWriteOptions): Promise<boolean> =>
  await client.json({ method: "DELETE", path, ...changeOf(options, ["NOT_FOUND"]) }, () => true).catch(
    missingAs(false),
  );

/** What a call gives instead of failing because there is no such thing. */
const missingAs = <T>(value: T) => (error: unknown): T => {
  // An address without a gateway answers 404 too, and so does a gateway without functions: only the sentence tells them apart.
  const isMissing = error instanceof OramaError && error.code === "NOT_FOUND" &&
    /^(function|alias|secret)\b.*not found/i.test(error.message);
  if (isMissing) return value;
  throw error;
};
