import type { CID } from "multiformats/cid";
import { EngineError } from "./failures.ts";
import type { HttpAnswer, HttpClient } from "./http.ts";
import type { Node } from "./nodes.ts";

/** Names and values, which are encoded here and nowhere else. */
type Arguments = Readonly<Record<string, string>> | readonly (readonly [string, string])[];

/** How long to wait, and for whom. `timeout` in milliseconds. */
export interface Patience {
  readonly signal: AbortSignal;
  readonly timeout: number;
}

/** Beyond the time that a node has it is given so long to say that it is over, in milliseconds. */
const GRACE = 500;
/** Longer than any upload: what stands still is given up by whoever sends it. */
const UPLOAD_TIMEOUT = "24h";

/** What is sent with a command. */
export interface Upload {
  readonly contentType: string;
  readonly body: ReadableStream<Uint8Array>;
  readonly signal: AbortSignal;
}

/**
 * The RPC of one Kubo node (https://docs.ipfs.tech/reference/kubo/rpc). CIDs come parsed, so that what stands in an address is what
 * was written here. Throws {@link EngineError} for what the node says, `NoAnswer` when it says nothing.
 */
export class KuboNode implements Node {
  readonly url: string;

  constructor(url: string, private readonly http: HttpClient) {
    this.url = url.replace(/\/+$/, "");
  }

  /** Whether it answers, within a second. */
  async alive(signal: AbortSignal): Promise<boolean> {
    return await this.#text("version", {}, { signal, timeout: 1_000 }).then(() => true, () => false);
  }

  /** @param offline whether only what the node has itself counts @returns its bytes as they came */
  async block(cid: CID, offline: boolean, patience: Patience): Promise<Uint8Array> {
    const answer = await this.#ask("block/get", { arg: cid.toString(), ...(offline && { offline: "true" }) }, patience);
    return await answer.bytes();
  }

  /** A piece of a file, of what the node has itself. */
  async range(file: CID, offset: number, length: number, patience: Patience): Promise<Uint8Array> {
    const args = { arg: file.toString(), offset: String(offset), length: String(length), offline: "true" };
    return await (await this.#ask("cat", args, patience)).bytes();
  }

  /** The size of a block, in bytes. */
  async blockSize(cid: CID, offline: boolean, patience: Patience): Promise<number> {
    const args = { arg: cid.toString(), ...(offline && { offline: "true" }) };
    return (await this.#json("block/stat", args, patience) as { readonly Size: number }).Size;
  }

  /** The sizes of blocks without links, in bytes, in one question. */
  async blockSizes(cids: readonly CID[], offline: boolean, patience: Patience): Promise<readonly number[]> {
    const args: (readonly [string, string])[] = [["progress", "false"], ["offline", String(offline)]];
    for (const cid of cids) args.push(["arg", cid.toString()]);
    const { DagStats } = await this.#json("dag/stat", args, patience) as {
      readonly DagStats?: readonly { readonly Cid: string; readonly Size: number; readonly NumBlocks: number }[];
    };
    return cids.map((cid, i) => {
      const stat = DagStats?.[i];
      if (stat?.Cid !== cid.toString() || stat.NumBlocks !== 1) throw new EngineError(200, `no size of ${cid}`);
      return stat.Size;
    });
  }

  /** Keeps the content with everything below it; comes back when it has all of it. */
  async pin(cid: CID, name: string, patience: Patience): Promise<void> {
    await this.#text("pin/add", { arg: cid.toString(), name }, patience);
  }

  /** Keeps it no longer. */
  async unpin(cid: CID, patience: Patience): Promise<void> {
    await this.#text("pin/rm", { arg: cid.toString() }, patience);
  }

  /** Comes back when it is kept. */
  async pinned(cid: CID, patience: Patience): Promise<void> {
    await this.#text("pin/ls", { arg: cid.toString(), type: "recursive" }, patience);
  }

  /** Connects to a peer. @param address multiaddress with its peer id */
  async connect(address: string, patience: Patience): Promise<void> {
    await this.#text("swarm/connect", { arg: address }, patience);
  }

  /** Multiaddresses that it tells others of itself, with its peer id. */
  async addresses(patience: Patience): Promise<readonly string[]> {
    const { Addresses } = await this.#json("id", {}, patience) as { readonly Addresses?: readonly string[] | null };
    return Addresses ?? [];
  }

  /** Bytes that its repository takes. */
  async repositorySize(patience: Patience): Promise<number> {
    const { RepoSize } = await this.#json("repo/stat", { "size-only": "true" }, patience) as {
      readonly RepoSize: number;
    };
    return RepoSize;
  }

  /**
   * Sends content, and reads what comes back line by line; the node begins to answer before it has everything.
   * Failures after the beginning of the answer stand in a trailer, which `fetch` does not show: whoever reads looks whether all is there.
   * @param result takes each line
   */
  async upload(command: string, args: Arguments, upload: Upload, result: (line: unknown) => void): Promise<void> {
    const { contentType, body, signal } = upload;
    const answer = await this.http.send({
      method: "POST",
      url: this.#url(command, args, UPLOAD_TIMEOUT),
      headers: { "content-type": contentType },
      body,
      timeout: undefined,
      signal,
    });
    await check(answer);
    for await (const line of linesOf(answer)) {
      const message = messageOf(line);
      if (message !== undefined) throw new EngineError(answer.status, message);
      result(line);
    }
  }

  async #json(command: string, args: Arguments, patience: Patience): Promise<unknown> {
    const text = await this.#text(command, args, patience);
    try {
      return JSON.parse(text);
    } catch {
      throw new EngineError(200, `no JSON: ${text}`);
    }
  }

  async #text(command: string, args: Arguments, patience: Patience): Promise<string> {
    return await (await this.#ask(command, args, patience)).text();
  }

  async #ask(command: string, args: Arguments, { signal, timeout }: Patience): Promise<HttpAnswer> {
    const answer = await this.http.send({
      method: "POST",
      url: this.#url(command, args, `${Math.ceil(timeout)}ms`),
      timeout: timeout + GRACE,
      signal,
    });
    await check(answer);
    return answer;
  }

  #url(command: string, args: Arguments, timeout: string): string {
    const query = new URLSearchParams();
    for (const [name, value] of Array.isArray(args) ? args : Object.entries(args)) query.append(name, value);
    query.set("timeout", timeout);
    return `${this.url}/api/v0/${command}?${query}`;
  }
}

async function check(answer: HttpAnswer): Promise<void> {
  if (answer.status === 200) return;
  const text = await answer.text();
  throw new EngineError(answer.status, messageOf(parsed(text)) ?? text);
}

/** JSON documents, one in each line. @throws EngineError for a line that is none, so also for one that was cut */
export async function* linesOf(answer: HttpAnswer): AsyncGenerator<unknown, void, void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const piece of answer.pieces()) {
    const lines = (rest + decoder.decode(piece, { stream: true })).split("\n");
    rest = lines.pop()!;
    for (const line of lines) if (line.trim() !== "") yield whole(line, answer);
  }
  if (rest.trim() !== "") yield whole(rest, answer);
}

function whole(line: string, { status }: HttpAnswer): unknown {
  const value = parsed(line);
  if (value === undefined) throw new EngineError(status, `no JSON: ${line}`);
  return value;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Kubo's own form of an error. */
function messageOf(value: unknown): string | undefined {
  if (typeof value !== "object" || value === null || !("Message" in value) || !("Type" in value)) return undefined;
  return value.Type === "error" ? String(value.Message) : undefined;
}
