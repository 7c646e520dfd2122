import { createHash } from "node:crypto";
import { base32nopad } from "@scure/base";
import { GatewayError } from "../../src/contracts/errors.ts";
import type { ServiceHealth } from "../../src/contracts/health.ts";
import type {
  ByteRange,
  DagScope,
  DirectoryEntry,
  DirectoryFile,
  PinState,
  PinStatus,
} from "../../src/contracts/storage.ts";
import type { Added, ContentDriver, ContentInfo, PinOptions, Reach, Waiter } from "../../services/storage/driver.ts";

/** What a CID stands for: bytes, or entries by name. */
type Node = { readonly bytes: Uint8Array } | { readonly entries: ReadonlyMap<string, string> };

/** What an engine does for the service, by the name of the method. */
export type Step = "has" | "add" | "addDirectory" | "importCar" | "look" | "pin" | "unpin" | "pinState";

/** The CID of bytes as a single block, as every engine gives it. */
export const cidOf = (bytes: Uint8Array): string => cidWith(0x55, bytes);

/**
 * An engine that keeps everything in memory, for tests of what stands before it: a test may let each step wait, fail before it
 * happens, or get lost after it. Files are one block of any size; directories are none that another engine would read.
 */
export class MemoryContent implements ContentDriver {
  readonly name = "memory";
  readonly nodes = new Map<string, Node>();
  /** What others on its network have: a pin brings it. */
  readonly far = new Map<string, Node>();
  readonly pins = new Map<string, PinOptions>();
  /** Each step as it happened, such as `pin <cid>`. */
  readonly steps: string[] = [];
  /** What the engine says of pins; the default for those that it has. */
  status: PinStatus = "pinned";
  /** Called before a step: may wait, and may refuse by throwing. */
  before: (step: Step, cid: string) => void | Promise<void> = () => {};
  /** Called after a step: by throwing it makes the answer get lost. */
  after: (step: Step, cid: string) => void | Promise<void> = () => {};

  async add(content: AsyncIterable<Uint8Array>, { signal }: Waiter): Promise<Added> {
    const bytes = await joined(content, signal);
    return await this.#step("add", cidOf(bytes), () => this.#put(bytes));
  }

  async addDirectory(
    files: AsyncIterable<DirectoryFile>,
    { signal }: Waiter,
  ): Promise<{ readonly root: Added; readonly files: readonly (Added & { readonly path: string })[] }> {
    const added: (Added & { readonly path: string })[] = [];
    for await (const { path, content } of files) added.push({ path, ...this.#put(await joined(content, signal)) });
    const cid = this.#tree(added.map(({ path, cid }) => [path.split("/"), cid]));
    const size = added.reduce((sum, file) => sum + file.size, 0);
    return await this.#step("addDirectory", cid, () => ({ root: { cid, size }, files: added }));
  }

  /** Takes the bytes for one block, whatever they are. */
  async importCar(car: AsyncIterable<Uint8Array>, { signal }: Waiter): Promise<Added & { readonly kind: "file" }> {
    const bytes = await joined(car, signal);
    return await this.#step("importCar", cidOf(bytes), () => ({ ...this.#put(bytes), kind: "file" as const }));
  }

  async look(cid: string, path: readonly string[], _reach: Reach, { signal }: Waiter): Promise<ContentInfo> {
    signal.throwIfAborted();
    return await this.#step("look", cid, () => {
      let found = cid;
      for (const name of path) {
        const node = this.#node(found);
        found = "entries" in node ? node.entries.get(name) ?? missing(name) : missing(name);
      }
      const node = this.#node(found);
      return "bytes" in node
        ? { cid: found, kind: "file", size: node.bytes.length }
        : { cid: found, kind: "directory", size: 0 };
    });
  }

  async has(cid: string, { signal }: Waiter): Promise<boolean> {
    signal.throwIfAborted();
    return await this.#step("has", cid, () => this.nodes.has(cid));
  }

  async *read(cid: string, range: ByteRange | undefined, { signal }: Waiter): AsyncGenerator<Uint8Array> {
    const node = this.#node(cid);
    if (!("bytes" in node)) throw new GatewayError("INVALID_REQUEST", "a directory is not read");
    const { offset, length } = range ?? { offset: 0, length: node.bytes.length };
    for (let at = offset; at < offset + length; at += 1_000) {
      signal.throwIfAborted();
      // A reader goes on, whatever becomes of the content meanwhile.
      yield await Promise.resolve(node.bytes.slice(at, Math.min(at + 1_000, offset + length)));
    }
  }

  async *entries(cid: string, { signal }: Waiter): AsyncGenerator<DirectoryEntry> {
    const node = this.#node(cid);
    if (!("entries" in node)) throw new GatewayError("INVALID_REQUEST", "not a directory");
    for (const [name, cid] of node.entries) {
      const { kind, size } = await this.look(cid, [], "local", { signal });
      yield { name, cid, kind, size };
    }
  }

  block(cid: string): Promise<Uint8Array> {
    return Promise.resolve().then(() => {
      const node = this.#node(cid);
      return "bytes" in node ? node.bytes : new TextEncoder().encode(JSON.stringify([...node.entries]));
    });
  }

  async *car(cid: string, path: readonly string[], scope: DagScope, waiter: Waiter): AsyncGenerator<Uint8Array> {
    const found = await this.look(cid, path, "local", waiter);
    yield new TextEncoder().encode(`car of ${cid} to ${found.cid}, ${scope}`);
  }

  async pin(cid: string, options: PinOptions, { signal }: Waiter): Promise<void> {
    signal.throwIfAborted();
    await this.#step("pin", cid, () => {
      this.pins.set(cid, options);
      const found = this.far.get(cid);
      if (found !== undefined) this.nodes.set(cid, found);
    });
  }

  async unpin(cid: string, { signal }: Waiter): Promise<void> {
    signal.throwIfAborted();
    await this.#step("unpin", cid, () => void this.pins.delete(cid));
  }

  async pinState(cid: string): Promise<PinState> {
    return await this.#step("pinState", cid, () => {
      const status = this.pins.has(cid) ? this.status : "unpinned";
      return { status, peers: [], error: status === "error" ? "it did not come" : undefined };
    });
  }

  async recover(cid: string, waiter: Waiter): Promise<void> {
    await this.pin(cid, this.pins.get(cid) ?? { name: "", replication: { min: -1, max: -1 } }, waiter);
  }

  held(): Promise<number> {
    const bytes = [...this.nodes.values()].map((node) => "bytes" in node ? node.bytes.length : 0);
    return Promise.resolve(bytes.reduce((sum, n) => sum + n, 0));
  }

  health(): Promise<ServiceHealth> {
    return Promise.resolve({ status: "ok", driver: this.name });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** Removes what is not pinned, as an engine may at any time. */
  collect(): void {
    const kept = new Set<string>();
    const keep = (cid: string) => {
      kept.add(cid);
      const node = this.nodes.get(cid);
      if (node && "entries" in node) { for (const entry of node.entries.values()) keep(entry); }
    };
    for (const cid of this.pins.keys()) keep(cid);
    for (const cid of this.nodes.keys()) if (!kept.has(cid)) this.nodes.delete(cid);
  }

  #put(bytes: Uint8Array): Added {
    const cid = cidOf(bytes);
    this.nodes.set(cid, { bytes });
    return { cid, size: bytes.length };
  }

  #tree(files: readonly (readonly [path: readonly string[], cid: string])[]): string {
    const entries = new Map<string, string>();
    for (const [name, below] of Map.groupBy(files, ([[first]]) => first!)) {
      const inner = below.map(([[, ...rest], cid]) => [rest, cid] as const);
      entries.set(name, inner[0]![0].length === 0 ? inner[0]![1] : this.#tree(inner));
    }
    const sorted = [...entries].sort(([a], [b]) => a < b ? -1 : 1);
    const cid = cidWith(0x70, new TextEncoder().encode(JSON.stringify(sorted)));
    this.nodes.set(cid, { entries: new Map(sorted) });
    return cid;
  }

  #node(cid: string): Node {
    return this.nodes.get(cid) ?? missing(cid);
  }

  async #step<T>(step: Step, cid: string, work: () => T): Promise<T> {
    await this.before(step, cid);
    const result = work();
    this.steps.push(`${step} ${cid}`);
    await this.after(step, cid);
    return result;
  }
}

function cidWith(codec: number, bytes: Uint8Array): string {
  const digest = createHash("sha256").update(bytes).digest();
  return `b${base32nopad.encode(Uint8Array.of(1, codec, 0x12, 0x20, ...digest)).toLowerCase()}`;
}

function missing(name: string): never {
  throw new GatewayError("NOT_FOUND", `not found: ${name}`);
}

async function joined(content: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of content) {
    signal.throwIfAborted();
    chunks.push(chunk.slice());
  }
  return new Uint8Array(await new Blob(chunks as BlobPart[]).arrayBuffer());
}
