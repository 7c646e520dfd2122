import type { ServiceHealth, Usage } from "../../src/contracts/health.ts";
import type { Principal } from "../../src/contracts/identity.ts";
import type { RequestContext } from "../../src/contracts/request.ts";
import type { StorageRules } from "../../src/contracts/settings.ts";
import type {
  DirectoryFile,
  ObjectChange,
  ObjectPage,
  ObjectQuery,
  OpenContent,
  PinState,
  Reader,
  Replication,
  Storage,
  StorageLink,
  StorageStatistics,
  StoredObject,
  UploadOptions,
} from "../../src/contracts/storage.ts";
import type { ControlDatabase } from "../control_plane/control_database.ts";
import { AwaitedClaims } from "./awaited.ts";
import { readCid } from "./cids.ts";
import { claimedRoots } from "./claim_roots.ts";
import { Claims } from "./claims.ts";
import type { ContentDriver } from "./driver.ts";
import { invalid, notFound } from "./failures.ts";
import { Figures } from "./figures.ts";
import { Ingest, type PlacedEntry } from "./ingest.ts";
import { Links } from "./links.ts";
import { listObjects } from "./listing.ts";
import { checkedName } from "./names.ts";
import { PinKeeper } from "./pin_keeper.ts";
import { PinRows } from "./pin_rows.ts";
import { PinWatch } from "./pin_watch.ts";
import { Pinning, type PinOptions } from "./pinning.ts";
import { Readers } from "./readers.ts";
import { Reading } from "./reading.ts";
import { Reconciler } from "./reconciler.ts";
import { checkedReplication } from "./replication.ts";
import { StoragePinRequests } from "./requests/service.ts";
import { objectOf } from "./rows.ts";
import { Uploads } from "./uploads.ts";

/** What the service is told beside its driver. */
export interface StorageServiceOptions {
  readonly control: ControlDatabase;
  /** What holds in a namespace. */
  readonly rulesOf: (
    namespace: string,
    request: { readonly signal: AbortSignal },
  ) => StorageRules | Promise<StorageRules>;
  /** 32 bytes, the same on every gateway: links and keys of namespaces are made from it. */
  readonly key: Uint8Array;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** Cryptographically strong bytes. */
  readonly random: (n: number) => Uint8Array;
  /** On how many peers content is where nobody says otherwise. */
  readonly replication: Replication;
  /** Milliseconds after which uploads go that are not pinned. */
  readonly unpinnedLife: number;
  /** Milliseconds that a link may live. */
  readonly maxLinkLife: number;
  /** Whether content that nobody has may be pinned, for the engine to look for it on its network. */
  readonly remotePins: boolean;
  /** Whether pins may come to fail at the engine by themselves, so that somebody has to look after them. */
  readonly watchPins: boolean;
  /** Told what could not be done in the background yet; it is tried again. @param what completes "could not be done: " */
  readonly onError: (what: string, error: unknown) => void;
}

/** Milliseconds for which it is noted whose content was whose last claim has gone, for what is looked for: nodes may still have it. */
const WITHHELD = 30 * 24 * 60 * 60_000;
/** Rows that go at once where a namespace is deleted. */
const PAGE = 200;

/** Files by content for namespaces, over one driver. `DESIGN.md` says how it keeps its promises. */
export class StorageService implements Storage {
  /** Requests to keep content, upon the claims. */
  readonly requests: StoragePinRequests;
  readonly #claims: Claims;
  readonly #keeper: PinKeeper;
  readonly #links: Links;
  readonly #readers: Readers;
  readonly #uploads = new Uploads();
  readonly #ingest: Ingest;
  readonly #reading: Reading;
  readonly #pinning: Pinning;
  readonly #reconciler: Reconciler;
  readonly #watch: PinWatch;
  readonly #figures: Figures;

  constructor(private readonly driver: ContentDriver, private readonly options: StorageServiceOptions) {
    const { control, now, random, key, remotePins, onError } = options;
    const pins = new PinRows(control, now);
    const claims = this.#claims = new Claims({ control, pins, now, withheld: remotePins ? WITHHELD : 0 });
    const keeper = this.#keeper = new PinKeeper({
      pins,
      driver,
      random,
      onError: (_cid, error) => onError("telling the engine what to keep", error),
    });
    const links = this.#links = new Links(key, now);
    const readers = this.#readers = new Readers(now);
    const awaited = new AwaitedClaims({ control, pins, now });
    const shared = { ...options, driver, claims, keeper, pins, awaited };
    this.#ingest = new Ingest({ ...shared, uploads: this.#uploads });
    this.#reading = new Reading({ control, driver, links, readers, now, key });
    const pinning = this.#pinning = new Pinning(shared);
    this.requests = new StoragePinRequests({ ...shared, pinning });
    this.#reconciler = new Reconciler({
      ...shared,
      onError: (error) => onError("bringing the storage into order", error),
    });
    this.#watch = new PinWatch({ ...shared, onError: (error) => onError("looking after pins", error) });
    this.#figures = new Figures(control, pins, driver);
  }

  /** Begins to make good what was left undone, by this gateway or another one. */
  start(): void {
    this.#reconciler.start();
    if (this.options.watchPins) this.#watch.start();
  }

  /** Makes good, now, what can be made good. */
  async reconcile(): Promise<void> {
    await this.#reconciler.all();
    if (this.options.watchPins) await this.#watch.look();
  }

  upload(
    principal: Principal,
    content: AsyncIterable<Uint8Array>,
    options: UploadOptions,
    context: RequestContext,
  ): Promise<StoredObject> {
    return this.#ingest.file(principal, content, options, context);
  }

  uploadDirectory(
    principal: Principal,
    files: AsyncIterable<DirectoryFile>,
    options: UploadOptions,
    context: RequestContext,
  ): Promise<{ readonly object: StoredObject; readonly files: readonly PlacedEntry[] }> {
    return this.#ingest.directory(principal, files, options, context);
  }

  importCar(
    principal: Principal,
    car: AsyncIterable<Uint8Array>,
    options: UploadOptions,
    context: RequestContext,
  ): Promise<StoredObject> {
    return this.#ingest.car(principal, car, options, context);
  }

  pin(principal: Principal, cid: string, options: PinOptions, context: RequestContext): Promise<StoredObject> {
    return this.#pinning.pin(principal, cid, options, context);
  }

  async unpin(namespace: string, written: string, { signal }: RequestContext): Promise<StoredObject> {
    const cid = readCid(written)?.canonical;
    const [row] = cid === undefined ? [] : await this.#claims.remove(namespace, [cid], signal);
    if (row === undefined) throw notFound(written);
    await this.#keeper.follow(row);
    return objectOf(row);
  }

  async change(
    namespace: string,
    written: string,
    { name, visibility, pin, replication }: ObjectChange,
    { signal }: RequestContext,
  ): Promise<StoredObject> {
    const { now, unpinnedLife, replication: defaults } = this.options;
    const given = replication?.min !== undefined || replication?.max !== undefined;
    const cid = readCid(written)?.canonical;
    const change = {
      name: name === undefined ? undefined : checkedName(name) ?? written,
      visibility,
      pin,
      asked: pin,
      expiresAt: now() + unpinnedLife,
      replication: given ? checkedReplication(replication, defaults) : undefined,
    };
    const row = cid && await this.#claims.change(namespace, cid, change, signal);
    if (!row) throw notFound(written);
    await this.#keeper.follow(row);
    return objectOf(row);
  }

  async object(namespace: string, written: string, { signal }: RequestContext): Promise<StoredObject> {
    return objectOf(await this.#pinning.own(namespace, written, signal));
  }

  list(namespace: string, query: ObjectQuery, { signal }: RequestContext): Promise<ObjectPage> {
    return listObjects(this.options.control, namespace, query, this.options.now(), signal);
  }

  async status(
    namespace: string,
    cid: string,
    context: RequestContext,
  ): Promise<{ readonly object: StoredObject; readonly pin: PinState }> {
    return await this.#pinning.status(namespace, cid, context);
  }

  async recover(
    namespace: string,
    cid: string,
    context: RequestContext,
  ): Promise<{ readonly object: StoredObject; readonly pin: PinState }> {
    return await this.#pinning.recover(namespace, cid, context);
  }

  async link(principal: Principal, cid: string, life: number, { signal }: RequestContext): Promise<StorageLink> {
    const { maxLinkLife, now } = this.options;
    if (!(life >= 1_000 && life <= maxLinkLife)) {
      throw invalid("expires_in", `must be from 1 s to ${maxLinkLife / 1_000} s`);
    }
    const object = await this.#pinning.own(principal.namespace, cid, signal);
    const expiresAt = now() + Math.floor(life);
    return { cid: object.written, token: this.#links.make(object, expiresAt), expiresAt };
  }

  open(reader: Reader, cid: string, path: readonly string[], context: RequestContext): Promise<OpenContent> {
    return this.#reading.open(reader, cid, path, context);
  }

  /**
   * Every root whose blocks are to stay, whoever claims it, and those that are being read here.
   * @throws GatewayError `UNAVAILABLE`: nothing may be collected then
   */
  async *roots(): AsyncGenerator<string> {
    yield* claimedRoots(this.options.control);
    yield* this.#readers.roots();
  }

  statistics(): StorageStatistics {
    return {
      uploadedBytes: this.#uploads.bytes,
      downloadedBytes: this.#readers.bytes,
      recoveries: this.#keeper.recoveries,
      pins: this.#watch.counts,
    };
  }

  /** What is counted where somebody asks: of all namespaces together, of the pins, and of the engine. */
  figures(signal: AbortSignal): ReturnType<Figures["measure"]> {
    return this.#figures.measure(signal);
  }

  /** @throws GatewayError `UNAVAILABLE`, `OUTCOME_UNKNOWN` */
  async purge(namespace: string, signal: AbortSignal): Promise<void> {
    const { control } = this.options;
    const { db } = control;
    const page = db.selectFrom("storage_objects").select("cid").where("namespace", "=", namespace).limit(PAGE);
    for (;;) {
      const { rows } = await control.run<{ cid: string }>(page, signal);
      if (rows.length === 0) break;
      await this.#claims.remove(namespace, rows.map(({ cid }) => cid), signal);
    }
    await control.run(db.deleteFrom("storage_usage").where("namespace", "=", namespace), signal);
    // The engine hears of it in the background: a namespace can go while it is down.
    this.#reconciler.start();
  }

  async usage(namespace: string, signal: AbortSignal): Promise<Usage> {
    const { control } = this.options;
    const { rows: [row] } = await control.run<{ bytes: number; objects: number }>(
      control.db.selectFrom("storage_usage").select(["bytes", "objects"]).where("namespace", "=", namespace),
      signal,
    );
    return { bytes: row?.bytes ?? 0, objects: row?.objects ?? 0 };
  }

  health(signal: AbortSignal): Promise<ServiceHealth> {
    return this.driver.health(signal);
  }

  async close(): Promise<void> {
    await Promise.all([this.#reconciler.close(), this.#watch.close()]);
    await this.#keeper.close();
    await this.driver.close();
  }
}
