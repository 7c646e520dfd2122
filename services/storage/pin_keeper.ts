import { GatewayError } from "../../src/contracts/errors.ts";
import type { ContentDriver, Waiter } from "./driver.ts";
import type { HeldPin, PinRows } from "./pin_rows.ts";

/** What telling the engine needs. */
export interface PinKeeperParts {
  readonly pins: PinRows;
  readonly driver: Pick<ContentDriver, "has" | "pin" | "unpin" | "recover">;
  readonly random: (n: number) => Uint8Array;
  /** Told what could not be done yet; it is tried again. */
  readonly onError: (cid: string, error: unknown) => void;
}

/** Milliseconds that the engine has for one call: far less than the lease, so that nothing of it comes after the lease. */
const ENGINE = 20_000;
/** Milliseconds that the control plane has. */
const CONTROL = 10_000;
/** Milliseconds that a caller waits for the engine; what is not done by then goes on without it. */
const WAIT = 3_000;
/** How often what changed meanwhile is told at once. */
const ROUNDS = 8;

/**
 * Tells the engine what is wanted of it. Of one CID, one gateway at a time does so, by a lease on its row: otherwise the unpin
 * of what nobody had any more could come after the pin for somebody who has it since.
 */
export class PinKeeper {
  readonly #running = new Map<string, Promise<void>>();
  readonly #closing = new AbortController();
  #asked = 0;
  #failed = 0;

  constructor(private readonly parts: PinKeeperParts) {}

  /** How often the engine was asked to recover a pin since the start, and how often it could not be asked. */
  get recoveries(): { readonly asked: number; readonly failed: number } {
    return { asked: this.#asked, failed: this.#failed };
  }

  /**
   * Brings the engine to what is wanted of a CID, or comes back after a while. Never rejects: what cannot be done now is done by
   * whoever looks next. Where another gateway is at it, that one sees the newest state as well, and this returns at once.
   */
  async bring(cid: string): Promise<void> {
    const { promise: patience, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, WAIT);
    try {
      await Promise.race([this.finish(cid), patience]);
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * As {@link bring} for a claim. Nobody waits for what it waits for: how long that takes would tell whether others have the content.
   */
  async follow({ cid, available }: { readonly cid: string; readonly available: number }): Promise<void> {
    if (available === 1) await this.bring(cid);
    else void this.finish(cid);
  }

  /** Breaks off what is under way. It is done by whoever looks next. */
  async close(): Promise<void> {
    this.#closing.abort(new DOMException("the gateway is stopping", "AbortError"));
    await Promise.all(this.#running.values());
  }

  /** As {@link bring}, however long it takes. */
  async finish(cid: string): Promise<void> {
    // Who is at it may have looked for the last time just before the caller's change.
    const running = this.#running.get(cid);
    if (running !== undefined) await running;
    if (this.#closing.signal.aborted) return;
    await (this.#running.get(cid) ?? this.#start(cid));
  }

  /**
   * Has the engine try again to keep what it was told to, under the same lease: to recover is to pin, which must not come after an
   * unpin either. What changes meanwhile is told at once.
   * @param when `due`: not while it rests after another try
   * @returns `false` where nothing was asked: it rests, the engine was not told yet, it is wanted no more, or another gateway is at it
   * @throws GatewayError as `ContentDriver.recover`
   */
  async recover(cid: string, when: "due" | "now"): Promise<boolean> {
    for (let run = this.#running.get(cid); run !== undefined; run = this.#running.get(cid)) await run;
    const recovering = this.#recover(cid, when);
    this.#run(cid, recovering.then(() => {}, () => {}));
    return await recovering;
  }

  #start(cid: string): Promise<void> {
    return this.#run(
      cid,
      this.#bring(cid).catch((error) => {
        if (!this.#closing.signal.aborted) this.parts.onError(cid, error);
      }),
    );
  }

  /** @param work never rejects */
  #run(cid: string, work: Promise<void>): Promise<void> {
    const run = work.finally(() => this.#running.delete(cid));
    this.#running.set(cid, run);
    return run;
  }

  async #recover(cid: string, when: "due" | "now"): Promise<boolean> {
    const { pins, random, driver } = this.parts;
    const holder = random(12).toHex();
    const pin = await pins.hold(cid, holder, when, AbortSignal.timeout(CONTROL));
    if (pin === undefined) return false;
    let failure: { readonly error: unknown } | undefined;
    try {
      await driver.recover(cid, this.#waiter());
      this.#asked++;
    } catch (error) {
      this.#failed++;
      failure = { error };
    }
    const outcome = { tries: pin.tries, failed: failure !== undefined };
    const now = await pins.recovered(cid, holder, outcome, AbortSignal.timeout(CONTROL));
    // As below: nobody knows what the engine has heard last.
    if (now === "lost") await pins.anew(cid, AbortSignal.timeout(CONTROL));
    if (now !== "told") await this.#bring(cid);
    if (failure !== undefined) throw failure.error;
    return true;
  }

  async #bring(cid: string): Promise<void> {
    const { pins, random } = this.parts;
    for (let round = 0; round < ROUNDS; round++) {
      const holder = random(12).toHex();
      const pin = await pins.take(cid, holder, AbortSignal.timeout(CONTROL));
      if (pin === undefined) return;
      let left = true;
      try {
        if (pin.unasked === 1 && !await this.#mayLookFor(pin, holder)) continue;
        await this.#tell(pin);
        if (pin.wanted === 0 && pin.open === 1) left = await this.#isLeft(cid);
      } catch (error) {
        await pins.failed(pin, holder, problemOf(error), AbortSignal.timeout(CONTROL));
        throw error;
      }
      if (await pins.told(pin, holder, left, AbortSignal.timeout(CONTROL))) continue;
      // This gateway was asleep for longer than its lease: another one may have told the engine something else, before or after.
      await pins.anew(cid, AbortSignal.timeout(CONTROL));
    }
  }

  /**
   * What nodes have that nobody claims is a part of what somebody claims, and withheld from who only knows its CID. It is asked before
   * they look for it, and noted: what they have then is what they found.
   * @throws GatewayError `UNAVAILABLE` where a node does not answer: it may have it
   */
  async #mayLookFor(pin: HeldPin, holder: string): Promise<boolean> {
    const { pins, driver } = this.parts;
    const isThere = await driver.has(pin.cid, this.#waiter());
    if (!isThere) return await pins.open(pin, holder, AbortSignal.timeout(CONTROL));
    await pins.withhold(pin, holder, AbortSignal.timeout(CONTROL));
    return false;
  }

  /** Whether nodes may have something of what is looked for no more. Where they do not, they are asked the next time. */
  async #isLeft(cid: string): Promise<boolean> {
    return await this.parts.driver.has(cid, this.#waiter()).catch(() => true);
  }

  async #tell(pin: HeldPin): Promise<void> {
    const waiter = this.#waiter();
    if (pin.wanted === 0) return await this.parts.driver.unpin(pin.cid, waiter);
    await this.parts.driver.pin(pin.cid, {
      name: pin.name,
      replication: { min: pin.replication_min, max: pin.replication_max },
      origins: pin.origins === null ? undefined : JSON.parse(pin.origins) as string[],
    }, waiter);
  }

  #waiter(): Waiter {
    return { signal: AbortSignal.any([this.#closing.signal, AbortSignal.timeout(ENGINE)]) };
  }
}

/** What may be told of a failure. */
function problemOf(error: unknown): string {
  return error instanceof GatewayError ? error.message : "the engine did not answer";
}
