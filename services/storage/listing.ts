import type { ObjectPage, ObjectQuery } from "../../src/contracts/storage.ts";
import { sql } from "kysely";
import type { ControlDatabase } from "../control_plane/control_database.ts";
import { keyOf, pageOf, unknownCursor } from "../control_plane/pages.ts";
import type { StorageObjectTable } from "../control_plane/schema.ts";
import { readCid } from "./cids.ts";
import { invalid } from "./failures.ts";
import { objectOf } from "./rows.ts";

const MOST = 1_000;

/** A page of what a namespace has, newest first. What has expired is not in it. @throws GatewayError `INVALID_REQUEST` */
export async function listObjects(
  control: ControlDatabase,
  namespace: string,
  query: ObjectQuery,
  now: number,
  signal: AbortSignal,
): Promise<ObjectPage> {
  const { limit, cursor } = query;
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > MOST) {
    throw invalid("limit", `must be a whole number from 1 to ${MOST}`);
  }
  const after = cursor === undefined ? undefined : placeOf(cursor);
  const fitting = fittingOf(control, namespace, query, now);
  let page = fitting.selectAll().orderBy("created_at", "desc").orderBy("cid", "desc").limit(limit + 1);
  if (after !== undefined) {
    page = page.where(({ eb, refTuple, tuple }) => eb(refTuple("created_at", "cid"), "<", tuple(...after)));
  }
  const count = fitting.select(({ fn }) => fn.countAll<number>().as("total"));
  const [{ rows }, { rows: [counted] }] = await Promise.all([
    control.run<StorageObjectTable>(page, signal),
    control.run<{ total: number }>(count, signal),
  ]);
  const { items, next } = pageOf(rows, limit, objectOf, ({ created_at, cid }) => [created_at, cid]);
  return { objects: items, total: counted!.total, cursor: next };
}

function fittingOf(
  { db }: ControlDatabase,
  namespace: string,
  { name, cid, visibility, kind, pinned }: ObjectQuery,
  now: number,
) {
  let query = db.selectFrom("storage_objects").where("namespace", "=", namespace)
    .where((where) => where.or([where("expires_at", "is", null), where("expires_at", ">", now)]));
  if (name !== undefined) {
    const wanted = name.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
    query = query.where(sql<boolean>`instr(lower(name), ${wanted}) > 0`);
  }
  // No object has what is no CID.
  if (cid !== undefined) query = query.where("cid", "=", readCid(cid)?.canonical ?? "");
  if (visibility !== undefined) query = query.where("visibility", "=", visibility);
  if (kind !== undefined) query = query.where("kind", "=", kind);
  if (pinned !== undefined) query = query.where("pinned", "=", pinned ? 1 : 0);
  return query;
}

function placeOf(cursor: string): [number, string] {
  const [time, cid] = keyOf<[number, string]>(cursor, ["number", "string"]);
  if (!Number.isSafeInteger(time) || !/^b[a-z2-7]+$/.test(cid)) throw unknownCursor();
  return [time, cid];
}
