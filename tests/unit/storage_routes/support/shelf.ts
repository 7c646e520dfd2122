import { createHash } from "node:crypto";
import { GatewayError } from "../../../../src/contracts/errors.ts";
import type { Principal } from "../../../../src/contracts/identity.ts";
import type { Services } from "../../../../src/contracts/services.ts";
import type {
  ByteRange,
  DirectoryEntry,
  DirectoryFile,
  OpenContent,
  Reader,
  Storage,
  StoredObject,
  UploadOptions,
} from "../../../../src/contracts/storage.ts";
import { routes } from "../../../../routes/index.ts";
import type { AppOptions } from "../../../../src/app.ts";
import { principal } from "../../auth/support/node.ts";
import { appOf } from "../../http/support.ts";

/** What lies on the shelf: the bytes of a file, or what is in a directory. */
export type Item = Uint8Array | Readonly<Record<string, string>>;

/** What is known of an object beside its content. */
export type Label = Partial<Pick<StoredObject, "name" | "type" | "visibility">>;

/** A stand-in for the service: it keeps what it is given, asks nobody, and writes down what was asked of it. */
export class Shelf {
  readonly items = new Map<string, { readonly item: Item; readonly label: Label }>();
  /** Options of each upload that was stored. */
  readonly stored: UploadOptions[] = [];
  /** Uploads that failed on the way. */
  readonly failed: unknown[] = [];
  /** Reads that were begun, and those that were ended. */
  begun = 0;
  ended = 0;
  /** Bytes that are handed out at a time. */
  piece = 1_000;

  /** Puts content there. @returns its name on the shelf */
  put(item: Item, label: Label = {}): string {
    const cid = `b${
      createHash("sha256").update(item instanceof Uint8Array ? item : JSON.stringify(item)).digest("hex")
    }`;
    this.items.set(cid, { item, label });
    return cid;
  }

  async upload(_: Principal, content: AsyncIterable<Uint8Array>, options: UploadOptions): Promise<StoredObject> {
    try {
      const bytes = await gathered(content);
      const all = { ...options, ...options.late?.() };
      this.stored.push(all);
      return this.#objectOf(this.put(bytes, labelOf(all)), bytes.length);
    } catch (error) {
      this.failed.push(error);
      throw error;
    }
  }

  async uploadDirectory(_: Principal, files: AsyncIterable<DirectoryFile>, options: UploadOptions) {
    const added: (DirectoryEntry & { path: string })[] = [];
    try {
      for await (const { path, content } of files) {
        const bytes = await gathered(content);
        added.push({ path, name: path, cid: this.put(bytes), size: bytes.length, kind: "file" });
      }
    } catch (error) {
      this.failed.push(error);
      throw error;
    }
    this.stored.push(options);
    const cid = this.put(Object.fromEntries(added.map(({ path, cid }) => [path, cid])), labelOf(options));
    return { object: this.#objectOf(cid, added.reduce((sum, { size = 0 }) => sum + size, 0)), files: added };
  }

  importCar(_: Principal, __: AsyncIterable<Uint8Array>): Promise<StoredObject> {
    throw new Error("no test stores a CAR here");
  }

  open(reader: Reader, root: string, path: readonly string[]): Promise<OpenContent> {
    const { label } = this.#at(root);
    const visibility = label.visibility ?? "private";
    if (visibility === "private" && reader.namespace === undefined && reader.link !== "good") throw nothing(root);
    const cid = path.reduce((at, name) => {
      const { item } = this.#at(at);
      const inner = item instanceof Uint8Array ? undefined : item[name];
      if (inner === undefined) throw nothing(`${root}/${path.join("/")}`);
      return inner;
    }, root);
    const { item } = this.#at(cid);
    const size = item instanceof Uint8Array ? item.length : 0;
    return Promise.resolve({
      root,
      cid,
      kind: item instanceof Uint8Array ? "file" : "directory",
      size,
      name: path.at(-1) ?? label.name ?? root,
      type: path.length === 0 ? label.type : undefined,
      visibility,
      encrypted: false,
      read: (range?: ByteRange) => this.#read(item as Uint8Array, range),
      entries: () => this.#entries(item as Readonly<Record<string, string>>),
      block: () => Promise.resolve(new TextEncoder().encode(`block of ${cid}`)),
      car: (scope) => this.#read(new TextEncoder().encode(`car of ${cid}, ${JSON.stringify(scope)}`)),
    });
  }

  async *#read(bytes: Uint8Array, range: ByteRange = { offset: 0, length: bytes.length }): AsyncGenerator<Uint8Array> {
    this.begun++;
    try {
      const end = range.offset + range.length;
      for (let at = range.offset; at < end; at += this.piece) yield bytes.slice(at, Math.min(end, at + this.piece));
    } finally {
      this.ended++;
    }
  }

  async *#entries(directory: Readonly<Record<string, string>>): AsyncGenerator<DirectoryEntry> {
    for (const [name, cid] of Object.entries(directory)) {
      const { item } = this.#at(cid);
      const isFile = item instanceof Uint8Array;
      yield { name, cid, size: isFile ? item.length : undefined, kind: isFile ? "file" : "directory" };
    }
  }

  #at(cid: string) {
    const found = this.items.get(cid);
    if (found === undefined) throw nothing(cid);
    return found;
  }

  #objectOf(cid: string, size: number): StoredObject {
    return {
      cid,
      name: this.#at(cid).label.name ?? cid,
      size,
      type: undefined,
      kind: "file",
      visibility: "private",
      encrypted: false,
      pinned: true,
      expiresAt: undefined,
      replication: { min: 1, max: 1 },
      createdAt: 0,
      createdBy: "somebody",
    };
  }
}

const labelOf = ({ name, type, visibility }: UploadOptions): Label => ({
  ...(name !== undefined && { name }),
  ...(type !== undefined && { type }),
  ...(visibility !== undefined && { visibility }),
});

const nothing = (what: string) => new GatewayError("NOT_FOUND", `content not found: ${what}`);

async function gathered(content: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  return new Uint8Array(await new Response(ReadableStream.from(content)).arrayBuffer());
}

/** The routes on a shelf. The key `key` may do everything; the key `blind` may not read. */
export function shelved(options: Partial<AppOptions> = {}) {
  const shelf = new Shelf();
  const app = appOf(routes, {});
  const services = {
    authenticator: app.authenticator,
    rateLimits: app.limits,
    storage: shelf as unknown as Storage,
  } as unknown as Services;
  const called = appOf(routes, { services, ...options });
  app.authenticator.known.set("key", principal({}));
  app.authenticator.known.set("blind", principal({ scopes: new Set(["storage:write"]) }));
  const call = (line: string, headers: Record<string, string> = {}, body: BodyInit | null = null) =>
    called.call(line, { headers: { "x-api-key": "key", ...headers }, ...(body !== null && { body }) });
  /** Calls without a credential. */
  const anybody = (line: string, headers: Record<string, string> = {}) => called.call(line, { headers });
  const { authenticator: { known, asked } } = app;
  const forget = (key: string) => void known.delete(key);
  return { shelf, call, anybody, forget, fetch: called.fetch, seen: called.seen, asked };
}
