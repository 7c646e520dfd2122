import { hkdfSync } from "node:crypto";
import { resolve } from "node:path";
import type { Config } from "../config/index.ts";
import { open, seal } from "../services/auth/crypto/seal.ts";
import type { ControlDatabase } from "../services/control_plane/control_database.ts";
import { DataFolderInUse, DataFolderLock } from "../services/control_plane/data_folder_lock.ts";
import type { ContentDriver } from "../services/storage/driver.ts";
import { LocalDriver } from "../services/storage/local/driver.ts";
import { StagedUploads } from "../services/storage/resumable/service.ts";
import { SYSTEM_STAGING } from "../services/storage/resumable/staging_files.ts";
import { StorageService, type StorageServiceOptions } from "../services/storage/service.ts";
import { GatewayError } from "./contracts/errors.ts";
import { logger } from "./observability/log.ts";

/** What the storage asks of the gateway around it. */
export interface StorageSurroundings extends Pick<StorageServiceOptions, "rulesOf" | "key" | "now" | "random"> {
  readonly control: ControlDatabase;
  /** Has somebody told of namespaces that are gone, whoever deleted them. */
  readonly onNamespaceGone: (tell: (namespace: string) => void) => void;
  /** Measures calls to the engine. */
  readonly timed: (engine: ContentDriver) => ContentDriver;
}

/** The storage, and what belongs to it. */
export interface OpenedStorage {
  readonly storage: StorageService;
  readonly uploads: StagedUploads;
  /** Begins what is done in the background. */
  start(): void;
  close(): Promise<void>;
}

/** Builds the storage with the driver of the configuration. An engine need not be there: while it is down, its calls are 503. */
export async function openStorage(
  config: Config,
  { control, timed, onNamespaceGone, ...around }: StorageSurroundings,
): Promise<OpenedStorage> {
  const { driver, replication, unpinned_life: unpinnedLife, links, ipfs } = config.storage;
  const log = logger("storage");
  const opened = driver === "ipfs" ? await openIpfs(config) : openLocal(config, () => service.roots());
  const service: StorageService = new StorageService(timed(opened), {
    control,
    ...around,
    replication,
    unpinnedLife,
    maxLinkLife: links.max_life,
    remotePins: driver === "ipfs" && ipfs.remote_pins,
    watchPins: driver === "ipfs",
    onError: (what, error) => log.warn("could not be done yet; it is tried again", { what, error }),
  });
  const uploads = openUploads(config, service, around);
  onNamespaceGone((namespace) => {
    const failed = (error: unknown) => log.warn("uploads of a deleted namespace are left", { namespace, error });
    uploads.purge(namespace).catch(failed);
  });
  return {
    storage: service,
    uploads,
    start() {
      service.start();
      uploads.start();
    },
    async close() {
      await uploads.close();
      await service.close();
    },
  };
}

function openUploads(
  { storage: { uploads }, limits, data }: Config,
  storage: StorageService,
  { rulesOf, key, now, random }: Pick<StorageSurroundings, "rulesOf" | "key" | "now" | "random">,
): StagedUploads {
  const log = logger("storage");
  const sealingKey = new Uint8Array(hkdfSync("sha256", key, "orama-gateway storage v1", "staged uploads", 32));
  return new StagedUploads({
    folder: resolve(uploads.folder ?? `${data.dir}/uploads`),
    storage,
    rulesOf,
    sealing: {
      seal: (text, context) => seal(sealingKey, text, context, random),
      open: (text, context) => open(sealingKey, text, context),
    },
    disk: SYSTEM_STAGING,
    random,
    now,
    monotonic: () => performance.now(),
    life: uploads.life,
    unfinished: uploads.unfinished,
    maxBytes: limits.storage.object_bytes,
    onError: (what, error) => log.warn("could not be done", { what, error }),
  });
}

/** Files in one directory: as many as an operator may allow a namespace at most. */
const MAX_ENTRIES = 1_000_000;

/** The folder of the blocks, with storage in a folder. */
export const localFolder = ({ storage, data }: Config): string =>
  resolve(storage.local.folder ?? `${data.dir}/storage`);

function openLocal(config: Config, roots: () => AsyncIterable<string>): ContentDriver {
  const log = logger("storage");
  const { collect_interval: collectInterval, grace } = config.storage.local;
  return new LocalDriver({
    folder: localFolder(config),
    roots,
    lock,
    chunkSize: config.storage.chunk_size,
    maxEntries: MAX_ENTRIES,
    grace,
    collectInterval,
    onCollected: ({ removed, bytes, unreadable }) => {
      if (removed > 0) log.info("blocks that belonged to nothing are deleted", { blocks: removed, bytes });
      if (unreadable.length > 0) {
        log.error("blocks cannot be read, and nothing is deleted until they can", { unreadable });
      }
    },
    onError: (error) => log.warn("what belongs to nothing could not be deleted; it is tried again", { error }),
    onDamage: (cid, damage) => log.error("a block is not what its name says", { cid, damage }),
  });
}

/** Two that work on one folder would take each other's blocks away. */
async function lock(folder: string): Promise<Disposable> {
  try {
    return await DataFolderLock.take(folder);
  } catch (cause) {
    if (!(cause instanceof DataFolderInUse)) throw new GatewayError("UNAVAILABLE", UNUSABLE, { cause });
    throw new GatewayError("UNAVAILABLE", "the storage is in use by another process", { cause, retryAfter: 5 });
  }
}

const UNUSABLE = "the folder of the storage cannot be used";

/** Loaded only where it is used: it takes memory that a gateway without it need not have. */
async function openIpfs({ storage: { ipfs, chunk_size: chunkSize } }: Config): Promise<ContentDriver> {
  const { IpfsDriver } = await import("../services/storage/ipfs/driver.ts");
  return new IpfsDriver({
    kubo: ipfs.kubo,
    cluster: ipfs.cluster,
    clusterUsername: ipfs.cluster_username,
    clusterPassword: ipfs.cluster_password,
    timeout: ipfs.request_timeout,
    chunkSize,
    maxEntries: MAX_ENTRIES,
    privateOrigins: ipfs.private_origins,
  });
}
