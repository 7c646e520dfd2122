import { sql } from "kysely";
import type { Reader } from "../../src/contracts/storage.ts";
import type { ControlDatabase } from "../control_plane/control_database.ts";
import type { StorageObjectTable } from "../control_plane/schema.ts";
import type { Links } from "./links.ts";

/** A claim that lets somebody read. */
export interface ReadableObject extends StorageObjectTable {
  /** When the namespace was made whose claim it is. */
  readonly namespace_created_at: number;
}

/**
 * The claim by which a reader may read content: its own namespace's first, then that of its link, then the oldest public one.
 * @returns `undefined` where there is none: whether others have it privately makes no difference
 */
export async function readableObject(
  { control, links, now }: { readonly control: ControlDatabase; readonly links: Links; readonly now: () => number },
  reader: Reader,
  cid: string,
  signal: AbortSignal,
): Promise<ReadableObject | undefined> {
  const own = reader.namespace ?? "";
  const link = reader.link === undefined ? undefined : links.read(reader.link);
  const linked = link?.namespace ?? "";
  const { rows } = await control.run<ReadableObject>(
    sql`SELECT o.*, n.created_at AS namespace_created_at
      FROM storage_objects o JOIN namespaces n ON n.name = o.namespace
      WHERE o.cid = ${cid} AND o.available = 1 AND n.state = 'active'
        AND (o.expires_at IS NULL OR o.expires_at > ${now()})
        AND (o.visibility = 'public' OR o.namespace IN (${own}, ${linked}))
      ORDER BY o.namespace = ${own} DESC, o.namespace = ${linked} DESC, o.created_at, o.namespace LIMIT 3`
      .compile(control.db),
    signal,
  );
  return rows.find((row) => row.namespace === own) ??
    rows.find((row) => link !== undefined && links.permits(link, row)) ??
    rows.find((row) => row.visibility === "public");
}
