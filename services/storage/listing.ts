import type { ObjectPage, ObjectQuery } from "../../src/contracts/storage.ts";
import { sql } from "kysely";
import type { ControlDatabase } from "../control_plane/control_database.ts";
import type { StorageObjectTable } from "../control_plane/schema.ts";
import { readCid } from "./cids.ts";
import { invalid } from "./failures.ts";
import { objectOf } from "./rows.ts";

const BASE64 = { alphabet: "base64url", omitPadding: true } as const;
const MOST = 1_000;
/** Longer ones were never given: they are not looked at. */
const LONGEST_CURSOR = 400;

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
  const after = cursor === undefined ? undefined : keyOf(cursor);
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
  const shown = rows.slice(0, limit);
  const last = rows.length > limit ? shown.at(-1) : undefined;
  return { objects: shown.map(objectOf), total: counted!.total, cursor: last && cursorOf(last) };
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

const cursorOf = ({ created_at, cid }: StorageObjectTable) =>
  new TextEncoder().encode(`${created_at} ${cid}`).toBase64(BASE64);

function keyOf(cursor: string): [number, string] {
  const text = cursor.length <= LONGEST_CURSOR ? textOf(cursor) : "";
  const [, time, cid] = /^(\d{1,15}) (b[a-z2-7]+)$/.exec(text) ?? [];
  if (cid === undefined) throw invalid("cursor", "not one that this list gave; begin without it");
  return [Number(time), cid];
}

function textOf(cursor: string): string {
  try {
    return new TextDecoder().decode(Uint8Array.fromBase64(cursor, BASE64));
  } catch {
    return "";
  }
}
