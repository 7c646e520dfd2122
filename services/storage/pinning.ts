import { GatewayError } from "../../src/contracts/errors.ts";
import type { Principal } from "../../src/contracts/identity.ts";
import type { StorageRules } from "../../src/contracts/settings.ts";
import type { PinState, Replication, StoredObject, UploadOptions } from "../../src/contracts/storage.ts";
import type { StorageObjectTable } from "../control_plane/schema.ts";
import type { AwaitedClaims } from "./awaited.ts";
import { type Cid, readCid } from "./cids.ts";
import type { Claims, NewClaim } from "./claims.ts";
import type { ContentDriver, Waiter } from "./driver.ts";
import { invalid, notFound, tooLarge } from "./failures.ts";
import { typeByName } from "./media_types.ts";
import { checkedName } from "./names.ts";
import type { PinKeeper } from "./pin_keeper.ts";
import type { PinRows } from "./pin_rows.ts";
import { checkedReplication } from "./replication.ts";
import { objectOf } from "./rows.ts";

/** What pinning needs. */
export interface PinningParts {
  readonly driver: ContentDriver;
  readonly claims: Claims;
  readonly awaited: AwaitedClaims;
  readonly pins: PinRows;
  readonly keeper: PinKeeper;
  readonly now: () => number;
  readonly replication: Replication;
  readonly remotePins: boolean;
  readonly rulesOf: (
    namespace: string,
    request: { readonly signal: AbortSignal },
  ) => StorageRules | Promise<StorageRules>;
}

/** What may be said of a pin. */
export type PinOptions = Pick<UploadOptions, "name" | "replication"> & {
  readonly origins?: readonly string[] | undefined;
};

const MAX_ORIGINS = 20;
const MAX_ORIGIN_LENGTH = 256;

const stateOf = (status: PinState["status"], error?: string): PinState => ({ status, peers: [], error });

/** Claims by CID, and how it goes with what is to be kept. */
export class Pinning {
  constructor(private readonly parts: PinningParts) {}

  /** As `Storage.pin`. */
  async pin(
    { namespace, subject }: Principal,
    written: string,
    options: PinOptions,
    waiter: Waiter,
  ): Promise<StoredObject> {
    const { claims, keeper, rulesOf } = this.parts;
    const { signal } = waiter;
    const cid = readCid(written);
    if (cid === undefined) throw invalid("cid", "is not a CID that can be kept here");
    const name = checkedName(options.name);
    const origins = checkedOrigins(options.origins);
    const given = options.replication?.min !== undefined || options.replication?.max !== undefined;
    const replication = checkedReplication(options.replication, this.parts.replication);
    const rules = await rulesOf(namespace, waiter);
    const place = await claims.place(namespace, signal);
    const renewal = {
      name,
      pin: true,
      asked: true,
      replication: given ? replication : undefined,
      written: cid.written,
      origins,
    };
    let row = await claims.change(namespace, cid.canonical, renewal, signal);
    if (row === undefined) {
      const claim = await this.claimTo(cid, name, rules, signal);
      const rest = { expiresAt: undefined, visibility: undefined, replication, replicationGiven: given, by: subject };
      ({ row } = await claims.put(place, { ...claim, ...rest, cid, name, origins }, rules, signal));
    }
    await keeper.follow(row);
    return objectOf(row);
  }

  /** What of a claim can be said of content that the namespace does not have: somebody has it for all, or it is looked for. */
  async claimTo(
    { canonical, written }: Cid,
    name: string | undefined,
    rules: StorageRules,
    signal: AbortSignal,
  ): Promise<Pick<NewClaim, "kind" | "type" | "size" | "charged" | "encrypted" | "on">> {
    const source = await this.parts.awaited.publicly(canonical, signal);
    const type = await typeByName(name ?? "");
    if (source !== undefined) {
      const size = source.size ?? 0;
      if (size > rules.maxObjectBytes) throw tooLarge(rules.maxObjectBytes);
      return {
        kind: source.kind as NewClaim["kind"],
        type: type ?? source.type ?? undefined,
        size,
        charged: source.charged,
        encrypted: false,
        on: "public",
      };
    }
    if (!this.parts.remotePins) throw notFound(written);
    return { kind: "file", type, size: undefined, charged: 0, encrypted: false, on: "awaited" };
  }

  /** A namespace's own claim. @throws GatewayError `NOT_FOUND` */
  async own(namespace: string, written: string, signal: AbortSignal): Promise<StorageObjectTable> {
    const cid = readCid(written)?.canonical;
    const row = cid && await this.parts.claims.find(namespace, cid, signal);
    if (!row || (row.expires_at !== null && row.expires_at <= this.parts.now())) throw notFound(written);
    return row;
  }

  /** As `Storage.status`. */
  async status(
    namespace: string,
    written: string,
    waiter: Waiter,
  ): Promise<{ readonly object: StoredObject; readonly pin: PinState }> {
    const row = await this.own(namespace, written, waiter.signal);
    return { object: objectOf(row), pin: await this.stateOf(row, waiter) };
  }

  /** As `Storage.recover`. */
  async recover(
    namespace: string,
    written: string,
    waiter: Waiter,
  ): Promise<{ readonly object: StoredObject; readonly pin: PinState }> {
    const { claims, pins, keeper } = this.parts;
    const row = await this.own(namespace, written, waiter.signal);
    if (row.pinned === 0) throw new GatewayError("CONFLICT", "this object is not pinned; pin it first");
    if (row.available === 0) await claims.change(namespace, row.cid, { pin: true }, waiter.signal);
    else await pins.again(row.cid, waiter.signal);
    await keeper.follow(row);
    if (row.available === 1) await keeper.recover(row.cid, "now");
    return await this.status(namespace, written, waiter);
  }

  /** How it goes with the pin of a claim, as the engine tells it. */
  async stateOf(
    row: Pick<StorageObjectTable, "cid" | "problem" | "pinned" | "available">,
    waiter: Waiter,
  ): Promise<PinState> {
    const { pins, keeper, driver } = this.parts;
    if (row.problem !== null) return stateOf("error", row.problem);
    if (row.pinned === 0) return stateOf("unpinned");
    // Not the engine's own words: they would tell whether others have it.
    if (row.available === 0) return stateOf("queued");
    const pin = await pins.find(row.cid, waiter.signal);
    if (pin === undefined || pin.applied < pin.version) {
      return pin?.problem ? stateOf("error", pin.problem) : stateOf("queued");
    }
    const state = await driver.pinState(row.cid, waiter);
    if (state.status !== "unpinned") return state;
    // The engine was told, and has forgotten; or another gateway told it a moment ago, and it is not written down yet.
    await pins.again(row.cid, waiter.signal);
    await keeper.bring(row.cid);
    return stateOf("queued");
  }
}

function checkedOrigins(origins: readonly string[] | undefined): readonly string[] | undefined {
  if (origins === undefined) return undefined;
  if (origins.length > MAX_ORIGINS) throw invalid("origins", `at most ${MAX_ORIGINS}`);
  origins.forEach((origin, i) => {
    if (origin.length <= MAX_ORIGIN_LENGTH && /^(\/[\w.:%-]+)+\/p2p\/[1-9A-HJ-NP-Za-km-z]{20,100}$/.test(origin)) {
      return;
    }
    throw invalid(`origins.${i}`, "must be a multiaddress that ends with /p2p/ and a peer's id");
  });
  return origins;
}
