import type { ControlDatabase } from "../control_plane/control_database.ts";

/** CIDs in one look, and milliseconds for it. */
const PAGE = 1_000, PATIENCE = 10_000;

/**
 * Every CID that somebody claims, in order. In pages by CID, so that what is claimed all the while comes, whoever claims it.
 * @throws GatewayError `UNAVAILABLE`: nobody knows then what is claimed
 */
export async function* claimedRoots(control: ControlDatabase): AsyncGenerator<string, void, void> {
  const page = control.db.selectFrom("storage_objects").select("cid").distinct().where("available", "=", 1)
    .orderBy("cid").limit(PAGE);
  for (let after = "", rows: readonly { cid: string }[];; after = rows.at(-1)!.cid) {
    ({ rows } = await control.run<{ cid: string }>(page.where("cid", ">", after), AbortSignal.timeout(PATIENCE)));
    for (const { cid } of rows) yield cid;
    if (rows.length < PAGE) return;
  }
}

/**
 * Which namespaces claim content, in order.
 * @param most of them that are told
 * @throws GatewayError `UNAVAILABLE`
 */
export async function claimantsOf(control: ControlDatabase, cid: string, most: number): Promise<readonly string[]> {
  const { rows } = await control.run<{ namespace: string }>(
    control.db.selectFrom("storage_objects").select("namespace").where("cid", "=", cid).where("available", "=", 1)
      .orderBy("namespace").limit(most),
    AbortSignal.timeout(PATIENCE),
  );
  return rows.map(({ namespace }) => namespace);
}
