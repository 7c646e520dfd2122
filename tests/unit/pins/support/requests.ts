import { deepEqual } from "node:assert/strict";
import type { PinRequest, PinRequestQuery, PinWish } from "../../../../src/contracts/pinning.ts";
import { principal } from "../../auth/support/node.ts";
import { CONTEXT } from "../../control_plane/support/context.ts";
import type { Gateway, Storages } from "../../storage/support/storage.ts";

/** Every status that there is. */
export const ALL = ["queued", "pinning", "pinned", "failed"] as const;

/** Requests by a gateway of a test, as its routes would make them. */
export class Requester {
  constructor(private readonly gateway: Gateway, private readonly namespace: string) {}

  add(cid: string, wish: Partial<PinWish> = {}): Promise<PinRequest> {
    return this.gateway.service.requests.add(principal({ namespace: this.namespace }), { cid, ...wish }, CONTEXT);
  }

  replace(id: string, cid: string, wish: Partial<PinWish> = {}): Promise<PinRequest> {
    const caller = principal({ namespace: this.namespace });
    return this.gateway.service.requests.replace(caller, id, { cid, ...wish }, CONTEXT);
  }

  get(id: string): Promise<PinRequest> {
    return this.gateway.service.requests.get(this.namespace, id, CONTEXT);
  }

  remove(id: string): Promise<void> {
    return this.gateway.service.requests.remove(this.namespace, id, CONTEXT);
  }

  /** What a list shows, each as `<name or id> <status>`. */
  async shown(query: Partial<PinRequestQuery> = {}): Promise<string[]> {
    const all = { limit: 1_000, statuses: ALL, ...query };
    const { requests } = await this.gateway.service.requests.list(this.namespace, all, CONTEXT);
    return requests.map(({ id, name = id, status }) => `${name} ${status}`);
  }
}

/**
 * What must hold at any time: a claim stands behind each request, and stays pinned; one that only requests ask for has one; what
 * the namespace has is counted.
 */
export async function isConsistent(t: Storages): Promise<void> {
  const { db } = t.control;
  const requests = await db.selectFrom("storage_pin_requests").select(["namespace", "cid"]).execute();
  const claims = await db.selectFrom("storage_objects").select(["namespace", "cid", "pinned", "requested", "charged"])
    .execute();
  const keyOf = ({ namespace, cid }: { namespace: string; cid: string }) => `${namespace} ${cid}`;
  const requested = new Set(requests.map(keyOf));
  const pinned = new Set(claims.filter((claim) => claim.pinned === 1).map(keyOf));
  deepEqual([...requested].filter((key) => !pinned.has(key)), [], "requests without a claim that is pinned");
  const idle = claims.filter((claim) => claim.requested === 1 && !requested.has(keyOf(claim)));
  deepEqual(idle.map(keyOf), [], "claims that nobody asks for");
  for (const { namespace, bytes, objects } of await t.usage()) {
    const own = claims.filter((claim) => claim.namespace === namespace);
    const sum = own.reduce((all, { charged }) => all + charged, 0);
    deepEqual([namespace, bytes, objects], [namespace, sum, own.length]);
  }
}

/** What must hold once nothing is under way: beside the above, the engine keeps exactly what somebody claims. */
export async function isSettled(t: Storages): Promise<void> {
  await isConsistent(t);
  const { db } = t.control;
  const claimed = await db.selectFrom("storage_objects").select("cid").distinct().where("pinned", "=", 1)
    .orderBy("cid").execute();
  deepEqual([...t.engine.pins.keys()].sort(), claimed.map(({ cid }) => cid), "the engine keeps what is claimed");
}
