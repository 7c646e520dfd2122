import { GatewayError } from "../../../src/contracts/errors.ts";
import type { Principal } from "../../../src/contracts/identity.ts";
import type {
  PinRequest,
  PinRequestPage,
  PinRequestQuery,
  PinRequests,
  PinRequestStatus,
  PinWish,
} from "../../../src/contracts/pinning.ts";
import type { RequestContext } from "../../../src/contracts/request.ts";
import type { StorageRules } from "../../../src/contracts/settings.ts";
import type { PinState, Replication } from "../../../src/contracts/storage.ts";
import { ConstraintViolation, type ControlDatabase } from "../../control_plane/control_database.ts";
import type { StorageObjectTable, StoragePinRequestTable } from "../../control_plane/schema.ts";
import type { Claims, Place, Surroundings } from "../claims.ts";
import type { ContentDriver, Waiter } from "../driver.ts";
import { persistently, RECORDING } from "../ingest.ts";
import type { PinKeeper } from "../pin_keeper.ts";
import type { PinRows } from "../pin_rows.ts";
import type { Pinning } from "../pinning.ts";
import { Delegates } from "./delegates.ts";
import { conditionsOf } from "./filters.ts";
import { type KnownRequest, type NewRequest, RequestRows } from "./rows.ts";
import { type CheckedWish, checkedWish } from "./wishes.ts";

/** What requests need. */
export interface RequestParts {
  readonly control: ControlDatabase;
  readonly driver: Pick<ContentDriver, "delegates">;
  readonly claims: Claims;
  readonly pins: PinRows;
  readonly pinning: Pinning;
  readonly keeper: PinKeeper;
  readonly now: () => number;
  readonly random: (n: number) => Uint8Array;
  readonly replication: Replication;
  readonly rulesOf: (
    namespace: string,
    request: { readonly signal: AbortSignal },
  ) => StorageRules | Promise<StorageRules>;
}

/** Milliseconds for which nobody else tells the engine to let go what was replaced. */
const HOLD = 60_000;

/** A request that is to be made, and where. */
interface Making {
  readonly place: Place;
  readonly wish: CheckedWish;
  readonly request: NewRequest;
  readonly rules: StorageRules;
  readonly around: Surroundings;
}

/** A request that was made, and the claim behind it. */
interface Made {
  readonly made: StoragePinRequestTable;
  readonly claim: StorageObjectTable;
}

/** Requests to keep content; see `DESIGN.md`. */
export class StoragePinRequests implements PinRequests {
  readonly #rows: RequestRows;
  readonly #delegates: Delegates;

  constructor(private readonly parts: RequestParts) {
    this.#rows = new RequestRows(parts.control, parts.now);
    this.#delegates = new Delegates(parts.driver);
  }

  /** @inheritdoc */
  async add(principal: Principal, wish: PinWish, context: RequestContext): Promise<PinRequest> {
    return await this.#make(principal, checkedWish(wish), undefined, context);
  }

  /** @inheritdoc */
  async replace(principal: Principal, id: string, wish: PinWish, context: RequestContext): Promise<PinRequest> {
    const checked = checkedWish(wish);
    const old = await this.#own(principal.namespace, id, context.signal);
    return await this.#make(principal, checked, old, context);
  }

  /** @inheritdoc */
  async get(namespace: string, id: string, context: RequestContext): Promise<PinRequest> {
    return await this.#asked(await this.#own(namespace, id, context.signal), context);
  }

  /** @inheritdoc */
  async list(namespace: string, query: PinRequestQuery, { signal }: RequestContext): Promise<PinRequestPage> {
    const { statuses = ["pinned"], limit } = query;
    const { rows, total } = await this.#rows.page(namespace, conditionsOf(query), statuses, limit, signal);
    const delegates = await this.#delegates.get();
    return { requests: rows.map((row) => viewOf(row, knownState(row), delegates)), total };
  }

  /** @inheritdoc */
  async remove(namespace: string, id: string, { signal }: RequestContext): Promise<void> {
    const { control, claims, keeper } = this.parts;
    const { cid, available } = await this.#own(namespace, id, signal);
    await persistently(() =>
      control.atomically(
        [this.#rows.deletion(namespace, id), ...claims.unrequested(namespace, cid)],
        AbortSignal.timeout(RECORDING),
      )
    );
    await keeper.follow({ cid, available });
  }

  async #make(
    { namespace, subject: by }: Principal,
    wish: CheckedWish,
    old: KnownRequest | undefined,
    waiter: Waiter,
  ): Promise<PinRequest> {
    const { claims, keeper, now, random, rulesOf } = this.parts;
    const { cid, name, meta } = wish;
    const rules = await rulesOf(namespace, waiter);
    const place = await claims.place(namespace, waiter.signal);
    const origins = JSON.stringify(wish.origins);
    const request = { id: `pin_${random(16).toHex()}`, cid, name, meta, origins, by };
    const left = old === undefined || old.cid === cid.canonical ? undefined : old.cid;
    const around = {
      before: [
        ...(old ? [this.#rows.guard(namespace, old.id, request.id), this.#rows.deletion(namespace, old.id)] : []),
        ...(left === undefined ? [] : claims.unrequested(namespace, left)),
      ],
      after: [
        this.#rows.insertion(place, request, rules.maxObjects),
        ...(left === undefined ? [] : [this.#rows.delay(left, now() + HOLD)]),
      ],
    };
    const { made, claim } = await this.#recorded({ place, wish, request, rules, around }, waiter);
    await keeper.follow(claim);
    // Nor does what is let go tell how it goes with what is looked for: others do it, later.
    if (left !== undefined && claim.available === 1) await this.#letGo(left, cid.canonical);
    try {
      return await this.#asked(await this.#own(namespace, made.id, waiter.signal), waiter);
    } catch {
      // It is made, whoever cannot be asked now.
      return viewOf({ ...made, size: null }, { status: "queued", details: undefined }, await this.#delegates.get());
    }
  }

  /** Makes request and claim, in one transaction: upon a claim that is there, else with a new one. */
  async #recorded(making: Making, waiter: Waiter): Promise<Made> {
    const { claims, pinning, replication } = this.parts;
    const { place, wish: { cid, objectName: name, usable }, request, rules, around } = making;
    try {
      const isThere = await claims.find(place.namespace, cid.canonical, waiter.signal) !== undefined;
      waiter.signal.throwIfAborted();
      const upon = isThere ? await this.#uponClaim(making) : undefined;
      if (upon !== undefined) return upon;
      const claim = {
        ...await pinning.claimTo(cid, name, rules, waiter.signal),
        cid,
        name,
        expiresAt: undefined,
        visibility: undefined,
        replication,
        replicationGiven: false,
        by: request.by,
        origins: usable,
        requested: true,
      } as const;
      waiter.signal.throwIfAborted();
      const { row, after: [made] } = await persistently(() =>
        claims.put(place, claim, rules, AbortSignal.timeout(RECORDING), around)
      );
      return { made: made!.rows[0] as unknown as StoragePinRequestTable, claim: row };
    } catch (error) {
      throw refusal(error, rules);
    }
  }

  /** @returns `undefined` where the claim has gone meanwhile */
  async #uponClaim({ place, wish, around: { before, after } }: Making): Promise<Made | undefined> {
    const { control, pins } = this.parts;
    const { canonical } = wish.cid;
    try {
      const results = await persistently(() =>
        control.atomically([
          ...before,
          this.#rows.renewal(place.namespace, canonical),
          ...after,
          pins.renewal([canonical], wish.usable),
        ], AbortSignal.timeout(RECORDING))
      );
      const [claim, made] = results.slice(before.length).map(({ rows: [row] }) => row);
      return {
        made: made as unknown as StoragePinRequestTable,
        claim: claim as unknown as StorageObjectTable,
      };
    } catch (error) {
      if (error instanceof ConstraintViolation && error.subject === "storage_pin_requests.namespace") return undefined;
      throw error;
    }
  }

  /** Has what was replaced let go, once what replaces it is to be kept: they may share blocks. Else others do so, later. */
  async #letGo(left: string, kept: string): Promise<void> {
    const pin = await this.parts.pins.find(kept, AbortSignal.timeout(RECORDING)).catch(() => undefined);
    if (pin !== undefined && pin.applied === pin.version) await this.parts.keeper.bring(left);
  }

  async #own(namespace: string, id: string, signal: AbortSignal): Promise<KnownRequest> {
    const row = await this.#rows.find(namespace, id, signal);
    if (row === undefined) throw unknownRequest(id);
    return row;
  }

  async #asked(row: KnownRequest, waiter: Waiter): Promise<PinRequest> {
    const known = knownState(row);
    const [state, delegates] = await Promise.all([
      known.status === "pinned" ? this.parts.pinning.stateOf(row, waiter).then(toldState) : known,
      this.#delegates.get(),
    ]);
    return viewOf(row, state, delegates);
  }
}

interface RequestState {
  readonly status: PinRequestStatus;
  readonly details: string | undefined;
}

const LOOKED_FOR = "the content is looked for on the network";

/** How it goes, as far as that is known here. */
const knownState = ({ status, problem, available, delay }: KnownRequest): RequestState => ({
  status: status as PinRequestStatus,
  details: problem ?? (available === 0 ? LOOKED_FOR : status === "queued" ? delay ?? undefined : undefined),
});

/** How it goes, as the engine told it. */
function toldState({ status, error: details }: PinState): RequestState {
  switch (status) {
    case "pinned":
    case "pinning":
      return { status, details };
    case "error":
      return { status: "failed", details };
    default:
      return { status: "queued", details };
  }
}

const viewOf = (
  row: StoragePinRequestTable & Pick<KnownRequest, "size">,
  { status, details }: RequestState,
  delegates: readonly string[],
): PinRequest => ({
  id: row.id,
  status,
  createdAt: row.created_at,
  cid: row.written,
  name: row.name ?? undefined,
  meta: JSON.parse(row.meta) as Record<string, string>,
  origins: JSON.parse(row.origins) as string[],
  delegates,
  details,
  size: row.size ?? undefined,
});

/** There is no such request; one of another namespace is none. */
const unknownRequest = (id: string | undefined, cause?: unknown) =>
  new GatewayError("NOT_FOUND", id === undefined ? "pin request not found" : `pin request not found: ${id}`, { cause });

function refusal(error: unknown, { maxObjects }: StorageRules): unknown {
  if (!(error instanceof ConstraintViolation)) return error;
  switch (error.subject) {
    case "storage_pin_requests.cid":
      return new GatewayError(
        "QUOTA_EXCEEDED",
        `the namespace may have ${maxObjects} pin requests, as many as objects`,
        {
          details: { quota: "pin_requests", limit: maxObjects },
          cause: error,
        },
      );
    case "storage_usage.namespace":
      return unknownRequest(undefined, error);
    default:
      return error;
  }
}
