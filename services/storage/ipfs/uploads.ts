import type { CID } from "multiformats/cid";
import type { ContentKind, DirectoryFile } from "../../../src/contracts/storage.ts";
import { DagCheck } from "../car/check.ts";
import { keyOf, parseCid } from "../car/cids.ts";
import { DirectoryPaths } from "../car/paths.ts";
import { until } from "../car/sources.ts";
import { carHeader, CarReader, carSection } from "../car/stream.ts";
import type { Added, Waiter } from "../driver.ts";
import { EngineError, ofUpload, unavailable } from "./failures.ts";
import { NoAnswer } from "./http.ts";
import type { KuboNode } from "./kubo.ts";
import { multipart, type Part } from "./multipart.ts";
import type { Nodes } from "./nodes.ts";

/** Milliseconds that a node has at least to finish when it has everything. */
const FINISHING = 30_000;
/** What is named where everything has a name. */
const ONE = "f";

/** How content is cut. */
export interface UploadOptions {
  readonly nodes: Nodes<KuboNode>;
  /** Milliseconds that a stream may stand still. */
  readonly timeout: number;
  readonly chunkSize: number;
  /** The most files of one directory. */
  readonly maxEntries: number;
}

interface AddedLine {
  readonly Name: string;
  readonly Hash: string;
}

/**
 * Content into a Kubo node. A node that fails in the middle fails the upload, since its source cannot be read again; so one is chosen
 * that has just answered. Nothing is pinned here.
 */
export class Uploads {
  readonly #options: UploadOptions;

  constructor(options: UploadOptions) {
    this.#options = options;
  }

  /** As `ContentDriver.add`. */
  async file(content: AsyncIterable<Uint8Array>, waiter: Waiter): Promise<Added> {
    let size = 0;
    const parts = (signal: AbortSignal) => single(counted(until(signal, content), (bytes) => size += bytes));
    const lines = await this.#send<AddedLine>("add", this.#layout({}), parts, waiter);
    if (lines.length !== 1) throw ofUpload(new EngineError(200, JSON.stringify(lines)));
    return { cid: cidIn(lines[0]!.Hash), size };
  }

  /** As `ContentDriver.addDirectory`. */
  async directory(
    files: AsyncIterable<DirectoryFile>,
    waiter: Waiter,
  ): Promise<{ readonly root: Added; readonly files: readonly (Added & { readonly path: string })[] }> {
    const { maxEntries: most } = this.#options;
    const sizes = new Map<string, number>();
    const parts = async function* (signal: AbortSignal): AsyncGenerator<Part> {
      const paths = new DirectoryPaths(most);
      for await (const { path, content } of until(signal, files)) {
        paths.add(path);
        sizes.set(path, 0);
        const size = (bytes: number) => sizes.set(path, sizes.get(path)! + bytes);
        yield { path, type: "application/octet-stream", content: counted(until(signal, content), size) };
      }
      // A directory of nothing has to be named, in one that is left out again.
      if (sizes.size === 0) yield { path: ONE, type: "application/x-directory", content: nothing() };
    };
    const lines = await this.#send<AddedLine>("add", this.#layout({ "wrap-with-directory": "true" }), parts, waiter);
    const cids = new Map(lines.map(({ Name, Hash }) => [Name, Hash]));
    const root = cids.get(sizes.size === 0 ? ONE : "");
    const added = [...sizes].flatMap(([path, size]) => {
      const cid = cids.get(path);
      return cid === undefined ? [] : [{ path, cid: cidIn(cid), size }];
    });
    // Kubo leaves out what it has no place for, and says nothing.
    if (root === undefined || added.length !== sizes.size) throw ofUpload(new EngineError(200, "files are missing"));
    const size = added.reduce((sum, file) => sum + file.size, 0);
    return { root: { cid: cidIn(root), size }, files: added };
  }

  /** As `ContentDriver.importCar`. What the node gets was checked, and written anew from what was understood of it. */
  async car(car: AsyncIterable<Uint8Array>, waiter: Waiter): Promise<Added & { readonly kind: ContentKind }> {
    const check = new DagCheck();
    let result: { readonly cid: CID; readonly kind: ContentKind; readonly size: number } | undefined;
    const content = async function* (signal: AbortSignal) {
      const reader = new CarReader(until(signal, car));
      try {
        const root = await reader.root();
        yield carHeader(root);
        for (let block; (block = await reader.next()) !== undefined;) {
          if (await check.add(block)) yield carSection(block);
        }
        result = { cid: root, ...await check.finish(root) };
      } finally {
        await reader.close();
      }
    };
    const parts = (signal: AbortSignal) => single(content(signal));
    const args = { "pin-roots": "false", stats: "true", "allow-big-block": "true" };
    const lines = await this.#send<{ readonly Stats?: { readonly BlockCount: number } }>(
      "dag/import",
      args,
      parts,
      waiter,
    );
    const stored = lines.find(({ Stats }) => Stats !== undefined)?.Stats?.BlockCount;
    if (result === undefined || stored !== check.blocks) {
      throw ofUpload(new EngineError(200, `${stored} of ${check.blocks} blocks are stored`));
    }
    const { cid, kind, size } = result;
    return { cid: keyOf(cid), kind, size };
  }

  /** Everything that the CID depends on, also where the node is configured otherwise. */
  #layout(more: Readonly<Record<string, string>>): Record<string, string> {
    return {
      "cid-version": "1",
      "raw-leaves": "true",
      hash: "sha2-256",
      chunker: `size-${this.#options.chunkSize}`,
      "max-file-links": "174",
      "max-directory-links": "0",
      "max-hamt-fanout": "256",
      trickle: "false",
      inline: "false",
      nocopy: "false",
      fscache: "false",
      pin: "false",
      progress: "false",
      ...more,
    };
  }

  /** @returns the lines of the answer */
  async #send<Line>(
    command: string,
    args: Readonly<Record<string, string>>,
    parts: (signal: AbortSignal) => AsyncIterable<Part>,
    { signal }: Waiter,
  ): Promise<Line[]> {
    const { nodes, timeout } = this.#options;
    const node = await this.#awake(signal);
    const end = new AbortController(), either = AbortSignal.any([signal, end.signal]);
    const stalled = () => end.abort(new NoAnswer("timeout"));
    const sent = multipart(parts(either), timeout, Math.max(timeout, FINISHING), stalled);
    const lines: Line[] = [];
    try {
      const upload = { contentType: sent.contentType, body: sent.body, signal: either };
      await node.upload(command, args, upload, (line) => lines.push(line as Line));
      if (!sent.complete) throw new EngineError(200, "an answer before the end of what was sent");
      nodes.answered(node);
      return lines;
    } catch (error) {
      signal.throwIfAborted();
      // What ended here ended its source, too.
      if (sent.failure !== undefined && !end.signal.aborted) throw sent.failure.error;
      if (error instanceof NoAnswer) nodes.failed(node);
      throw ofUpload(error);
    } finally {
      end.abort();
      sent.close();
    }
  }

  async #awake(signal: AbortSignal): Promise<KuboNode> {
    const { nodes } = this.#options;
    for (const node of nodes.rotated()) {
      if (await node.alive(signal)) return node;
      signal.throwIfAborted();
      nodes.failed(node);
    }
    throw unavailable(new Error("no node answers"));
  }
}

/** As the node tells it. */
function cidIn(text: string): string {
  try {
    return keyOf(parseCid(text));
  } catch {
    throw ofUpload(new EngineError(200, `no CID: ${text}`));
  }
}

async function* single(content: AsyncIterable<Uint8Array>): AsyncGenerator<Part> {
  yield { path: ONE, type: "application/octet-stream", content };
}

async function* counted(
  content: AsyncIterable<Uint8Array>,
  count: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  for await (const piece of content) {
    count(piece.length);
    yield piece;
  }
}

async function* nothing(): AsyncGenerator<Uint8Array> {}
