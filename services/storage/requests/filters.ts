import { type RawBuilder, sql } from "kysely";
import type { PinRequestQuery } from "../../../src/contracts/pinning.ts";
import { readCid } from "../cids.ts";
import { invalid } from "../failures.ts";

const MOST = 1_000, MOST_CIDS = 10, MOST_NOTES = 5;

/** What requests (`r`) must fulfil to be in a list, beside their status. @throws GatewayError `INVALID_REQUEST` */
export function conditionsOf(query: PinRequestQuery): readonly RawBuilder<unknown>[] {
  const { limit, cids = [], name, match = "exact", before, after, meta } = query;
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > MOST) {
    throw invalid("limit", `must be a whole number from 1 to ${MOST}`);
  }
  if (cids.length > MOST_CIDS) throw invalid("cid", `at most ${MOST_CIDS}`);
  return [
    ...(cids.length > 0 ? [sql`r.cid IN (SELECT value FROM json_each(${JSON.stringify(canonical(cids))}))`] : []),
    ...(name === undefined ? [] : [nameCondition(name, match)]),
    // Times have no fractions of a millisecond here, and may have some there.
    ...(before === undefined ? [] : [sql`r.created_at < ${Math.ceil(before)}`]),
    ...(after === undefined ? [] : [sql`r.created_at > ${Math.floor(after)}`]),
    ...metaConditions(meta ?? {}),
  ];
}

const canonical = (cids: readonly string[]): readonly string[] =>
  cids.map((text) => {
    const cid = readCid(text);
    if (cid === undefined) {
      throw invalid("cid", `${JSON.stringify(text.slice(0, 100))} is not a CID that can be kept here`);
    }
    return cid.canonical;
  });

/**
 * Notes are recorded as `JSON.stringify` writes them, in which nothing but a member looks like one: quotes within texts have a
 * backslash in front. To parse the notes of every row takes three times as long, and everybody waits for the control plane.
 */
function metaConditions(meta: Readonly<Record<string, string>>): readonly RawBuilder<unknown>[] {
  const members = Object.entries(meta);
  if (members.length > MOST_NOTES) throw invalid("meta", `at most ${MOST_NOTES}`);
  return members.map(([name, value]) =>
    sql`instr(',' || substr(r.meta, 2), ${`,${JSON.stringify(name)}:${JSON.stringify(value)}`}) > 0`
  );
}

function nameCondition(name: string, match: NonNullable<PinRequestQuery["match"]>): RawBuilder<unknown> {
  const wanted = match.startsWith("i") ? name.replace(/[A-Z]/g, (letter) => letter.toLowerCase()) : name;
  switch (match) {
    case "exact":
      return sql`r.name = ${wanted}`;
    case "iexact":
      return sql`lower(r.name) = ${wanted}`;
    case "partial":
      return sql`instr(r.name, ${wanted}) > 0`;
    case "ipartial":
      return sql`instr(lower(r.name), ${wanted}) > 0`;
  }
}
