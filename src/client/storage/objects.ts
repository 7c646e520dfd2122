import { invalidResponse, isObject, OramaError } from "../errors.ts";
import { momentOf } from "../moments.ts";
import type { ContentKind, Visibility } from "./options.ts";

/** What storing gives. */
export interface Stored {
  readonly cid: string;
  readonly name: string;
  /** Bytes; of a directory those of its files. */
  readonly size: number;
}

/** A directory that was stored. */
export interface StoredDirectory extends Stored {
  /** Its files, in the order in which they came; `size` is `null` where it is not known. */
  readonly files: readonly { readonly path: string; readonly cid: string; readonly size: number | null }[];
}

/** What the namespace has under a CID. */
export interface StoredObject {
  readonly cid: string;
  readonly name: string;
  /** Bytes; of a directory those of its files. `null` until it is known. */
  readonly size: number | null;
  /** The media type; of a directory `null`. */
  readonly type: string | null;
  readonly kind: ContentKind;
  readonly visibility: Visibility;
  /** Whether it is held encrypted, so that its CID is that of the encrypted bytes. */
  readonly encrypted: boolean;
  readonly pinned: boolean;
  /** When it goes, because it is not pinned, by the gateway's clock. */
  readonly expiresAt: Date | null;
  readonly replicationMin: number;
  readonly replicationMax: number;
  readonly createdAt: Date;
  readonly createdBy: string;
}

/** Objects that were asked for at once. */
export interface ObjectPage {
  readonly objects: readonly StoredObject[];
  /** Of all that fit, on whichever page. */
  readonly total: number;
}

/** How it goes with a pin. `unpinned`: it is not to be kept. */
export type PinState = "queued" | "pinning" | "pinned" | "error" | "unpinned" | "unknown";

/** How it goes with a pin, and where. */
export interface PinStatus {
  readonly cid: string;
  readonly name: string;
  readonly status: PinState;
  readonly replicationMin: number;
  readonly replicationMax: number;
  /** Peers that have it, or should. */
  readonly peers: readonly {
    readonly id: string;
    readonly name: string;
    readonly status: PinState;
    readonly error?: string;
  }[];
  /** Why, where `status` is `error`. */
  readonly error: string | undefined;
}

/** The entries of a directory. */
export interface DirectoryListing {
  readonly cid: string;
  /** Below the CID that was asked for; empty for that itself. */
  readonly path: string;
  /** `size` is `null` where it is not known. */
  readonly entries: readonly {
    readonly name: string;
    readonly cid: string;
    readonly size: number | null;
    readonly kind: ContentKind;
  }[];
}

/** A link that anybody may read an object by. */
export interface StorageLink {
  readonly cid: string;
  /** The whole address; of a directory, a path goes between the CID and the question mark. */
  readonly url: string;
  /** The same without the gateway: `/ipfs/<cid>?token=…`. */
  readonly path: string;
  readonly token: string;
  /** By the gateway's clock. */
  readonly expiresAt: Date;
}

type Members = Readonly<Record<string, unknown>>;

/** What an upload answers. @throws OramaError `INVALID_RESPONSE` */
export function storedOf(body: unknown): Stored {
  const { cid, name, size } = withCid(body);
  if (typeof name !== "string" || typeof size !== "number") throw invalidResponse("it has no name or size");
  return { cid, name, size };
}

/** What the upload of a directory answers. @throws OramaError `INVALID_RESPONSE` */
export function storedDirectoryOf(body: unknown): StoredDirectory {
  const files: unknown = isObject(body) ? body.files : undefined;
  if (!Array.isArray(files)) throw invalidResponse("it has no files");
  return { ...storedOf(body), files: files as StoredDirectory["files"] };
}

/** An object of an answer. @throws OramaError `INVALID_RESPONSE` */
export function objectOf(body: unknown): StoredObject {
  const { cid, ...members } = withCid(body);
  const { name, size, type, kind, visibility, encrypted, pinned } = members as Members & Partial<StoredObject>;
  if (name === undefined || kind === undefined || visibility === undefined) throw invalidResponse("it is no object");
  return {
    cid,
    name,
    size: size ?? null,
    type: type ?? null,
    kind,
    visibility,
    encrypted: encrypted === true,
    pinned: pinned === true,
    expiresAt: members.expires_at === null ? null : momentOf(members.expires_at),
    ...copiesOf(members),
    createdAt: momentOf(members.created_at),
    createdBy: String(members.created_by),
  };
}

/** Objects of an answer, and where the next ones begin. @throws OramaError `INVALID_RESPONSE` */
export function objectPageOf(body: unknown): ObjectPage & { readonly cursor: string | undefined } {
  if (!isObject(body) || !Array.isArray(body.objects) || typeof body.total !== "number") {
    throw invalidResponse("it has no objects");
  }
  const { objects, total, next_cursor: cursor } = body;
  return {
    objects: (objects as unknown[]).map(objectOf),
    total,
    cursor: typeof cursor === "string" ? cursor : undefined,
  };
}

/** How it goes with a pin, by an answer. @throws OramaError `INVALID_RESPONSE` */
export function pinStatusOf(body: unknown): PinStatus {
  const { cid, name, status, peer_states: peers, error, ...members } = withCid(body);
  if (typeof name !== "string" || typeof status !== "string" || !Array.isArray(peers)) {
    throw invalidResponse("it is no status of a pin");
  }
  return {
    cid,
    name,
    status: status as PinState,
    ...copiesOf(members),
    peers: peers as PinStatus["peers"],
    error: typeof error === "string" ? error : undefined,
  };
}

/** What a pin answers. @throws OramaError `INVALID_RESPONSE` */
export function pinnedOf(body: unknown): { readonly cid: string; readonly name: string } {
  const { cid, name } = withCid(body);
  if (typeof name !== "string") throw invalidResponse("it has no name");
  return { cid, name };
}

/** The entries of an answer. @throws OramaError `INVALID_RESPONSE` */
export function listingOf(body: unknown): DirectoryListing {
  const { cid, path, entries, count } = withCid(body);
  if (typeof path !== "string" || !Array.isArray(entries)) throw invalidResponse("it has no entries");
  if (count !== entries.length) throw invalidResponse(`${entries.length} entries came of ${String(count)}`);
  return { cid, path, entries: entries as DirectoryListing["entries"] };
}

/** The link that an answer gives. @param gateway its address @throws OramaError `INVALID_RESPONSE` */
export function linkOf(body: unknown, gateway: string): StorageLink {
  const { cid, path, token, expires_at: expiresAt } = withCid(body);
  if (typeof path !== "string" || typeof token !== "string") throw invalidResponse("it is no link");
  return { cid, url: gateway + path, path, token, expiresAt: momentOf(expiresAt) };
}

/** @throws OramaError `INVALID_RESPONSE` for an answer that does not say that it was done */
export function checkDone(body: unknown): void {
  if (!isObject(body) || body.status !== "ok") throw invalidResponse("it has no status");
}

/** What a call gives instead of failing because the namespace has no such object. */
export const missingAs = <T>(value: T) => (error: unknown): T => {
  // An address without a gateway answers 404 too, and so does a gateway without storage: only the sentence tells them apart.
  const isMissing = error instanceof OramaError && error.code === "NOT_FOUND" &&
    /^(content|pin) not found: /.test(error.message);
  if (isMissing) return value;
  throw error;
};

const copiesOf = ({ replication_min: min, replication_max: max }: Members) => ({
  replicationMin: Number(min),
  replicationMax: Number(max),
});

function withCid(body: unknown): Members & { readonly cid: string } {
  if (isObject(body) && typeof body.cid === "string") return body as Members & { readonly cid: string };
  throw invalidResponse("it has no cid");
}
