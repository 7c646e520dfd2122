import type { StorageRules } from "../../src/contracts/settings.ts";
import type { StorageObjectTable } from "../control_plane/schema.ts";
import type { ControlDatabase } from "../control_plane/control_database.ts";
import { type AwaitedClaims, type Measured } from "./awaited.ts";
import type { Claims } from "./claims.ts";
import type { ContentDriver } from "./driver.ts";
import type { PinKeeper } from "./pin_keeper.ts";
import type { PinRows } from "./pin_rows.ts";
import { TooMuchToCount, weigh } from "./weigh.ts";

/** What bringing things into order needs. */
export interface ReconcilerParts {
  readonly control: ControlDatabase;
  readonly claims: Claims;
  readonly awaited: AwaitedClaims;
  readonly pins: PinRows;
  readonly keeper: PinKeeper;
  readonly driver: ContentDriver;
  readonly now: () => number;
  readonly rulesOf: (
    namespace: string,
    request: { readonly signal: AbortSignal },
  ) => StorageRules | Promise<StorageRules>;
  /** Told what could not be done yet; it is tried again. */
  readonly onError: (error: unknown) => void;
}

/** Milliseconds between two looks for what the engine is to be told or asked, and between two looks for everything else. */
const PERIOD = { pins: 10_000, rest: 60_000 };
/** Milliseconds that content is looked for on the network before it counts as not to be found. */
export const PATIENCE = 60 * 60_000;
/** Rows in one look. */
const PAGE = 100;
/** CIDs of which the engine is told at once. */
const AT_ONCE = 8;
/** Milliseconds for one look, and for what is done about one claim. */
const CONTROL = 10_000, ENGINE = 60_000;

/** Content that nobody found. */
export const NOT_FOUND_IN_TIME = "no node that was asked has it";

/**
 * Makes good what was left undone, on whichever gateway: pins that the engine was not told, uploads whose time is over, content
 * that was found on the network.
 */
export class Reconciler {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #running: Promise<void> | undefined;
  #closed = false;
  #rested = -Infinity;
  #after = { cid: "", namespace: "" };

  constructor(private readonly parts: ReconcilerParts) {}

  /** Looks from time to time, the first time now. */
  start(): void {
    if (this.#closed || this.#running) return;
    clearTimeout(this.#timer);
    this.#running = this.#round().finally(() => {
      this.#running = undefined;
      if (!this.#closed) this.#timer = setTimeout(() => this.start(), PERIOD.pins);
    });
  }

  /** Ends looking, once what is under way is done. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  async #round(): Promise<void> {
    if (performance.now() - this.#rested >= PERIOD.rest) {
      this.#rested = performance.now();
      return await this.all();
    }
    await this.#report(() => this.tellEngine());
    await this.#report(() => this.settle());
  }

  /** Does everything once. Never rejects. */
  async all(): Promise<void> {
    await this.#report(() => this.sweep());
    await this.#report(() => this.tellEngine());
    await this.#report(() => this.settle());
    await this.#report(() => this.parts.pins.forgetWithheld(AbortSignal.timeout(CONTROL)));
  }

  /** Tells the engine what is due. */
  async tellEngine(): Promise<void> {
    const { pins, keeper } = this.parts;
    const seen = new Set<string>();
    for (;;) {
      const page = await pins.due(PAGE, AbortSignal.timeout(CONTROL));
      // What comes again could not be done now.
      const due = page.filter((cid) => !seen.has(cid));
      for (const cid of due) seen.add(cid);
      const left = due.values();
      await Promise.all(Array.from({ length: AT_ONCE }, async () => {
        for (const cid of left) if (!this.#closed) await keeper.finish(cid);
      }));
      if (page.length < PAGE || due.length === 0 || this.#closed) return;
    }
  }

  /** Gives up what is not pinned and whose time is over. */
  async sweep(): Promise<void> {
    const { control, claims, now } = this.parts;
    for (;;) {
      const time = now();
      const { rows } = await control.run<{ namespace: string; cid: string }>(
        control.db.selectFrom("storage_objects").select(["namespace", "cid"]).where("expires_at", "<=", time)
          .orderBy("expires_at").limit(PAGE),
        AbortSignal.timeout(CONTROL),
      );
      for (const [namespace, claimed] of Map.groupBy(rows, ({ namespace }) => namespace)) {
        await claims.remove(namespace, claimed.map(({ cid }) => cid), AbortSignal.timeout(CONTROL), time);
      }
      if (rows.length < PAGE || this.#closed) return;
    }
  }

  /** Looks whether there is what claims wait for: the next page of them with each call. */
  async settle(): Promise<void> {
    const rows = await this.parts.awaited.page(this.#after, PAGE, AbortSignal.timeout(CONTROL));
    const last = rows.length < PAGE ? undefined : rows.at(-1);
    this.#after = last ? { cid: last.cid, namespace: last.namespace } : { cid: "", namespace: "" };
    for (const row of rows) {
      if (this.#closed) return;
      await this.#report(async () => {
        if (await this.#settle(row)) await this.parts.keeper.finish(row.cid);
      });
    }
  }

  /** @returns whether something of the claim changed, and so of what the engine is to be told */
  async #settle(row: StorageObjectTable): Promise<boolean> {
    const { awaited, pins, driver, now, rulesOf } = this.parts;
    const waiter = { signal: AbortSignal.timeout(ENGINE) };
    const { signal } = waiter;
    const giveUp = async (problem: string) => {
      await awaited.giveUp(row, problem, signal);
      return true;
    };
    const others = await awaited.publicly(row.cid, signal);
    const pin = others ? undefined : await pins.find(row.cid, signal);
    let measured: Measured | undefined;
    if (others) measured = { kind: others.kind as Measured["kind"], size: others.size ?? 0 };
    // Not even its size is told of what others have privately.
    else if (pin?.wanted === 1 && pin.applied === pin.version && !await awaited.isPrivate(row, signal)) {
      const { status } = await driver.pinState(row.cid, waiter);
      if (status === "pinned") {
        try {
          measured = await weigh(driver, await driver.look(row.cid, [], "local", waiter), waiter);
        } catch (error) {
          if (error instanceof TooMuchToCount) return await giveUp(`it cannot be counted: ${error.message}`);
          throw error;
        }
      }
    }
    if (measured !== undefined) {
      const rules = await rulesOf(row.namespace, waiter);
      const fits = measured.size <= rules.maxObjectBytes;
      const settled = fits ? await awaited.settle(row, measured, pin, rules, signal) : "over";
      if (settled === "settled") return true;
      if (settled === "over") return await giveUp("the namespace may not have so many bytes");
    }
    // What nobody has and what others have privately are the same from outside: the end comes at the same time.
    return row.asked_at + PATIENCE <= now() && await giveUp(NOT_FOUND_IN_TIME);
  }

  async #report(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!this.#closed) this.parts.onError(error);
    }
  }
}
