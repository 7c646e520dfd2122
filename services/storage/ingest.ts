import { hasCode } from "../../src/contracts/errors.ts";
import type { Principal } from "../../src/contracts/identity.ts";
import type { StorageRules } from "../../src/contracts/settings.ts";
import type {
  ContentKind,
  DirectoryEntry,
  DirectoryFile,
  LateOptions,
  Replication,
  StoredObject,
  UploadOptions,
} from "../../src/contracts/storage.ts";
import { type Claims, type NewClaim, type Place } from "./claims.ts";
import { readCid } from "./cids.ts";
import type { ContentDriver, Waiter } from "./driver.ts";
import { encrypted } from "./encryption/encrypt.ts";
import { namespaceKey } from "./encryption/keys.ts";
import { invalid, tooLarge } from "./failures.ts";
import { typeByContent, typeByName } from "./media_types.ts";
import { checkedName, checkedPath, checkedType } from "./names.ts";
import type { PinKeeper } from "./pin_keeper.ts";
import { checkedReplication } from "./replication.ts";
import { objectOf } from "./rows.ts";
import type { Upload, Uploads } from "./uploads.ts";

/** What taking content in needs. */
export interface IngestParts {
  readonly driver: ContentDriver;
  readonly claims: Claims;
  readonly keeper: PinKeeper;
  readonly uploads: Uploads;
  readonly now: () => number;
  readonly random: (n: number) => Uint8Array;
  /** 32 bytes from which the keys of namespaces are derived. */
  readonly key: Uint8Array;
  readonly replication: Replication;
  /** Milliseconds. */
  readonly unpinnedLife: number;
  readonly rulesOf: (
    namespace: string,
    request: { readonly signal: AbortSignal },
  ) => StorageRules | Promise<StorageRules>;
}

/** A file of a directory, with where it stands in it. */
export type PlacedEntry = DirectoryEntry & { readonly path: string };

/** Milliseconds for recording what was stored; not the client's to cut short, who could not tell what became of it. */
export const RECORDING = 10_000;
/** How often that is done where nobody can tell whether it was. */
const TRIES = 3;

/** An upload that may begin. */
interface Begun {
  readonly upload: Upload;
  readonly place: Place;
  readonly rules: StorageRules;
  readonly encrypt: boolean;
  /** What will be claimed, as far as the options say it. */
  readonly wish: Pick<
    NewClaim,
    "name" | "type" | "visibility" | "expiresAt" | "replication" | "replicationGiven" | "by"
  >;
}

/** Takes content in: counted as it passes, stored by the engine, then claimed, then pinned. */
export class Ingest {
  constructor(private readonly parts: IngestParts) {}

  /** As `Storage.upload`. */
  async file(
    principal: Principal,
    content: AsyncIterable<Uint8Array>,
    options: UploadOptions,
    waiter: Waiter,
  ): Promise<StoredObject> {
    const begun = await this.#begin(principal, options, waiter);
    using upload = begun.upload;
    const counted = upload.count(content);
    const { cid } = await this.parts.driver.add(
      begun.encrypt ? this.#encrypted(counted, begun.place, options.salt) : counted,
      waiter,
    );
    const size = upload.taken;
    const type = await this.#typeOf(begun, upload.head);
    const wish = this.#wishWith(begun.wish, options.late?.());
    return await this.#claim({ ...begun, wish }, { cid, kind: "file", size, charged: size, type }, waiter);
  }

  /** As `Storage.uploadDirectory`. */
  async directory(
    principal: Principal,
    files: AsyncIterable<DirectoryFile>,
    options: UploadOptions,
    waiter: Waiter,
  ): Promise<{ readonly object: StoredObject; readonly files: readonly PlacedEntry[] }> {
    const begun = await this.#begin(principal, options, waiter);
    using upload = begun.upload;
    const sizes: number[] = [];
    const taken = this.#placed(files, begun, sizes);
    const { root, files: added } = await this.parts.driver.addDirectory(taken, waiter);
    const size = upload.taken;
    const object = await this.#claim(
      { ...begun, wish: this.#wishWith(begun.wish, options.late?.()) },
      { cid: root.cid, kind: "directory", size, charged: size, type: undefined },
      waiter,
    );
    const entries = added.map(({ path, cid }, i): PlacedEntry => ({
      path,
      name: path.slice(path.lastIndexOf("/") + 1),
      cid,
      size: sizes[i],
      kind: "file",
    }));
    return { object, files: entries };
  }

  /** As `Storage.importCar`. */
  async car(
    principal: Principal,
    car: AsyncIterable<Uint8Array>,
    options: UploadOptions,
    waiter: Waiter,
  ): Promise<StoredObject> {
    if (options.encrypt) throw invalid("encrypt", "what a CAR holds is stored as it is");
    const begun = await this.#begin(principal, { ...options, encrypt: false }, waiter);
    using upload = begun.upload;
    const { cid, kind, size } = await this.parts.driver.importCar(upload.count(car), waiter);
    // One block may stand in many places of a file, and what is no file may have much below it.
    if (size > begun.rules.maxObjectBytes) throw tooLarge(begun.rules.maxObjectBytes);
    const type = kind === "file" ? begun.wish.type ?? await typeByName(begun.wish.name ?? "") : undefined;
    return await this.#claim(begun, { cid, kind, size, charged: Math.max(size, upload.taken), type }, waiter);
  }

  async #begin({ namespace, subject }: Principal, options: UploadOptions, waiter: Waiter): Promise<Begun> {
    const { uploads, claims, rulesOf, now, unpinnedLife, replication } = this.parts;
    const wish = {
      name: checkedName(options.name),
      type: checkedType(options.type),
      visibility: options.visibility,
      expiresAt: options.pin === false ? now() + unpinnedLife : undefined,
      replication: checkedReplication(options.replication, replication),
      replicationGiven: options.replication?.min !== undefined || options.replication?.max !== undefined,
      by: subject,
    };
    const rules = await rulesOf(namespace, waiter);
    const upload = uploads.begin(namespace, rules);
    try {
      const place = await claims.place(namespace, waiter.signal);
      upload.expect(place.bytes, options.length);
      return { upload, place, rules, encrypt: options.encrypt ?? rules.encrypt, wish };
    } catch (error) {
      upload[Symbol.dispose]();
      throw error;
    }
  }

  /** What came behind the content goes before what stood in front of it. */
  #wishWith(wish: Begun["wish"], { pin, visibility }: LateOptions = {}): Begun["wish"] {
    const { now, unpinnedLife } = this.parts;
    return {
      ...wish,
      ...(visibility !== undefined && { visibility }),
      ...(pin !== undefined && { expiresAt: pin ? undefined : now() + unpinnedLife }),
    };
  }

  async #claim(
    { upload, place, rules, wish, encrypt }: Begun,
    found: {
      readonly cid: string;
      readonly kind: ContentKind;
      readonly size: number;
      readonly charged: number;
      readonly type: string | undefined;
    },
    waiter: Waiter,
  ): Promise<StoredObject> {
    const cid = readCid(found.cid);
    if (cid === undefined) throw new Error(`the engine gave what is no CID: ${found.cid}`);
    waiter.signal.throwIfAborted();
    const claim = { ...wish, ...found, cid, encrypted: encrypt, on: "held" } as const;
    const { row, bytes } = await persistently(() =>
      this.parts.claims.put(place, claim, rules, AbortSignal.timeout(RECORDING))
    );
    upload.recorded(bytes);
    await this.parts.keeper.bring(cid.canonical);
    return objectOf(row);
  }

  async #typeOf({ wish: { type, name } }: Begun, head: Uint8Array): Promise<string | undefined> {
    return type ?? await typeByName(name ?? "") ?? typeByContent(head);
  }

  #encrypted(
    content: AsyncIterable<Uint8Array>,
    { namespace, createdAt }: Place,
    salt?: Uint8Array,
  ): AsyncIterable<Uint8Array> {
    const random = salt === undefined ? this.parts.random : () => salt;
    return encrypted(content, namespaceKey(this.parts.key, namespace, createdAt), random);
  }

  /** Files as the engine gets them: each at a place of its own, no more than there may be. @param sizes gets theirs, in order */
  async *#placed(
    files: AsyncIterable<DirectoryFile>,
    { upload, place, rules, encrypt }: Begun,
    sizes: number[],
  ): AsyncGenerator<DirectoryFile> {
    const places = new Places(rules.maxEntries);
    for await (const { path, content } of files) {
      places.take(path);
      const at = sizes.push(0) - 1;
      const counted = sized(upload.count(content), (bytes) => sizes[at]! += bytes);
      yield { path, content: encrypt ? this.#encrypted(counted, place) : counted };
    }
    if (sizes.length === 0) throw invalid("file", "a directory has at least one file");
  }
}

/** Does again what may have been done and is the same when it is done twice. */
export async function persistently<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1;; tries++) {
    try {
      return await work();
    } catch (error) {
      if (tries === TRIES || !hasCode(error, "OUTCOME_UNKNOWN")) throw error;
    }
  }
}

/** Which places of a directory are taken. */
class Places {
  readonly #files = new Set<string>();
  readonly #folders = new Set<string>();

  constructor(private readonly most: number) {}

  /** @throws GatewayError `INVALID_REQUEST` for a path that is none, is taken, or is one too many */
  take(path: string): void {
    const segments = checkedPath(path, "file");
    if (this.#files.size >= this.most) {
      throw invalid("file", `a directory has at most ${this.most} files here (the limit storage.entries)`);
    }
    const clash = () => invalid("file", `two files cannot be at ${JSON.stringify(path)}`);
    if (this.#files.has(path) || this.#folders.has(path)) throw clash();
    for (let i = 1; i < segments.length; i++) {
      const folder = segments.slice(0, i).join("/");
      if (this.#files.has(folder)) throw clash();
      this.#folders.add(folder);
    }
    this.#files.add(path);
  }
}

async function* sized(content: AsyncIterable<Uint8Array>, add: (bytes: number) => void): AsyncGenerator<Uint8Array> {
  for await (const chunk of content) {
    add(chunk.byteLength);
    yield chunk;
  }
}
