import type { WebhookRules } from "../../src/contracts/webhook_rules.ts";
import type { WebhookFigures } from "../../src/contracts/webhooks.ts";
import type { Clock } from "../clock/clock.ts";
import { atMost } from "../clock/waiting.ts";
import type { WebhookRulesOf } from "./bounds.ts";
import { delayAfter, postponement, restAfter, type RetryPlan } from "./schedule.ts";
import type { Outcome, Sender } from "./sender.ts";
import type { Due, Turn, TurnEnd, TurnRows } from "./turn_rows.ts";

/** What delivering needs. */
export interface DelivererParts {
  readonly rows: TurnRows;
  readonly sender: Pick<Sender, "send">;
  readonly clock: Clock;
  readonly random: (n: number) => Uint8Array;
  /** From 0 to 1. */
  readonly chance: () => number;
  /** Requests at once. */
  readonly maxInFlight: number;
  readonly rulesOf: WebhookRulesOf;
  readonly retry: RetryPlan;
  readonly onError: (error: unknown) => void;
}

/** An endpoint of which something is due, and what held for its namespace when that was found. */
interface Wanted extends Due {
  readonly rules: WebhookRules;
}

/** Milliseconds between two looks for what is due. */
const LOOK = 2_000;
/** Endpoints that one look finds. */
const PAGE = 200;
/** Milliseconds that the rules of namespaces may take. */
const PATIENCE = 5_000;
/** Milliseconds that requests have to end by themselves, and then to be broken off, when the gateway stops. */
const GRACE = 3_000, BREAKING = 2_000;

/**
 * Sends what is due: to each endpoint one request at a time, whichever gateway is first, and of all namespaces in turn, so that one that
 * is slow holds nobody else up.
 */
export class Deliverer {
  readonly tries: { -readonly [Name in keyof WebhookFigures["tries"]]: number } = {
    delivered: 0,
    failed: 0,
    dead: 0,
    postponed: 0,
    lost: 0,
  };
  /** Turns under way here, by endpoint. */
  readonly #turns = new Map<
    string,
    { readonly namespace: string; readonly stop: AbortController; done: Promise<void> }
  >();
  #due: Wanted[] = [];
  /** Whether a look may have found less than there is. */
  #more = false;
  #looking: Promise<void> | undefined;
  #again = false;
  #failing = false;
  #closed = false;
  #cancelLook: (() => void) | undefined;

  constructor(private readonly parts: DelivererParts) {}

  /** Requests under way. */
  get inFlight(): number {
    return this.#turns.size;
  }

  /** Looks for what is due, now and then regularly. */
  look(): void {
    if (this.#closed) return;
    if (this.#looking !== undefined) return void (this.#again = true);
    this.#cancelLook?.();
    this.#looking = this.#look().finally(() => {
      this.#looking = undefined;
      if (this.#closed) return;
      this.#cancelLook = this.parts.clock.after(this.#again ? 0 : LOOK, () => this.look(), true);
      this.#again = false;
    });
  }

  /** Breaks off what is being sent in a namespace's name: it is gone. */
  drop(namespace: string): void {
    this.#due = this.#due.filter((due) => due.namespace !== namespace);
    for (const turn of this.#turns.values()) if (turn.namespace === namespace) turn.stop.abort();
  }

  /** Ends; what is being sent has a few seconds. Other gateways may go on at once. */
  async close(): Promise<void> {
    const { clock } = this.parts;
    this.#closed = true;
    this.#cancelLook?.();
    await atMost(clock, BREAKING, this.#looking ?? Promise.resolve());
    const turns = () => Promise.all([...this.#turns.values()].map(({ done }) => done));
    await atMost(clock, GRACE, turns());
    for (const { stop } of this.#turns.values()) stop.abort();
    await atMost(clock, BREAKING, turns());
  }

  async #look(): Promise<void> {
    const { rows, clock } = this.parts;
    try {
      const found = await rows.due(clock.now(), PAGE);
      this.#more = found.length === PAGE;
      const wanted = await this.#withRules(found);
      this.#due = wanted.filter(({ id }) => !this.#turns.has(id));
      this.#failing = false;
    } catch (error) {
      if (!this.#failing) this.parts.onError(error);
      this.#failing = true;
    }
    this.#fill();
  }

  async #withRules(found: readonly Due[]): Promise<readonly Wanted[]> {
    const signal = AbortSignal.timeout(PATIENCE);
    const namespaces = [...new Set(found.map(({ namespace }) => namespace))];
    const rules = await Promise.all(namespaces.map((namespace) => this.parts.rulesOf(namespace, { signal })));
    return found.map((due) => ({ ...due, rules: rules[namespaces.indexOf(due.namespace)]! }));
  }

  #fill(): void {
    const used = new Map<string, number>();
    for (const { namespace } of this.#turns.values()) used.set(namespace, (used.get(namespace) ?? 0) + 1);
    while (!this.#closed && this.#turns.size < this.parts.maxInFlight) {
      const at = this.#due.findIndex(({ namespace, rules }) => (used.get(namespace) ?? 0) < rules.maxInFlight);
      if (at === -1) break;
      const [due] = this.#due.splice(at, 1);
      used.set(due!.namespace, (used.get(due!.namespace) ?? 0) + 1);
      this.#begin(due!);
    }
    if (this.#due.length === 0 && this.#more) this.look();
  }

  #begin(due: Wanted): void {
    const turn = { namespace: due.namespace, stop: new AbortController(), done: Promise.resolve() };
    this.#turns.set(due.id, turn);
    turn.done = this.#run(due, turn.stop.signal).catch((error) => {
      this.parts.onError(error);
      return false;
    }).then((again) => {
      this.#turns.delete(due.id);
      if (again && !this.#due.some(({ id }) => id === due.id)) this.#due.push(due);
      this.#fill();
    });
  }

  /** @returns whether more of it is due */
  async #run({ id, rules }: Wanted, signal: AbortSignal): Promise<boolean> {
    const { rows, sender, clock, random } = this.parts;
    const turn = await rows.take(id, random(16).toHex(), clock.now());
    if (turn === undefined) return false;
    const { endpoint, delivery } = turn;
    let end: TurnEnd | undefined;
    if (delivery !== undefined) {
      const message = { text: delivery.body, nonce: `${delivery.id}.${delivery.sends}` };
      end = this.#endOf(turn, await sender.send(endpoint, message, signal));
    }
    const { isMine, nextAt } = await rows.end(turn, end, rules.maxRemembered);
    if (delivery !== undefined && !isMine) this.tries.lost++;
    return isMine && nextAt !== undefined && nextAt <= clock.now();
  }

  #endOf({ endpoint, delivery }: Turn, outcome: Outcome): TurnEnd {
    const { clock, chance, retry } = this.parts;
    const at = clock.now(), { tries } = delivery!, failures = endpoint.failures + 1;
    const rest = { failures, restUntil: at + restAfter(failures) };
    const end = { tries, at, dueAt: at, status: undefined, error: undefined, disabledReason: undefined, ...rest };
    switch (outcome.kind) {
      case "delivered":
        this.tries.delivered++;
        return { ...end, state: "delivered", status: outcome.status, failures: 0, restUntil: 0 };
      case "gone":
        this.tries.dead++;
        return { ...end, state: "dead", status: outcome.status, error: outcome.error, disabledReason: outcome.error };
      case "refused":
        this.tries.dead++;
        return { ...end, state: "dead", error: outcome.error };
      case "postponed":
        this.tries.postponed++;
        return {
          ...end,
          state: "waiting",
          tries: tries - 1,
          error: outcome.error,
          dueAt: at + postponement(chance()),
          failures: endpoint.failures,
          restUntil: at + restAfter(1),
        };
      case "failed": {
        const { status, error, wish } = outcome;
        const isLast = tries >= retry.tries;
        this.tries[isLast ? "dead" : "failed"]++;
        const dueAt = at + (isLast ? 0 : delayAfter(tries, wish, chance(), retry));
        // Whoever asks for patience gets it for all that waits.
        const restUntil = Math.max(rest.restUntil, at + wish);
        return { ...end, state: isLast ? "dead" : "waiting", status, error, dueAt, restUntil };
      }
    }
  }
}
