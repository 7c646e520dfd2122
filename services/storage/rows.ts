import type { ContentKind, StoredObject, Visibility } from "../../src/contracts/storage.ts";
import type { StorageObjectTable } from "../control_plane/schema.ts";

/** A claim as the service shows it. */
export const objectOf = (row: StorageObjectTable): StoredObject => ({
  cid: row.written,
  name: row.name,
  size: row.size ?? undefined,
  type: row.type ?? undefined,
  kind: row.kind as ContentKind,
  visibility: row.visibility as Visibility,
  encrypted: row.encrypted === 1,
  pinned: row.pinned === 1,
  expiresAt: row.expires_at ?? undefined,
  replication: { min: row.replication_min, max: row.replication_max },
  createdAt: row.created_at,
  createdBy: row.created_by,
});
