import { GatewayError } from "../../src/contracts/errors.ts";
import type { ControlDatabase, ControlQuery } from "./control_database.ts";

/**
 * What is revoked: one key, one session (and every token with it), one token, a member's credentials in a namespace
 * (`<namespace>/<wallet>`), all credentials of a namespace; or what gateways remember: of its settings and limits, of a function
 * or of a secret (both `<namespace>/<name>`), of the triggers or the webhooks of a namespace.
 */
export type RevocationKind =
  | "key"
  | "session"
  | "token"
  | "member"
  | "namespace"
  | "settings"
  | "function"
  | "secret"
  | "triggers"
  | "webhooks";

/** One revocation, as every gateway hears of it. */
export interface Revocation {
  readonly seq: number;
  readonly kind: RevocationKind;
  readonly id: string;
  /** Unix milliseconds; what was issued at or before this moment is dead. */
  readonly at: number;
  /** Unix milliseconds; later nothing that it concerns can be alive. */
  readonly expires_at: number;
}

/** How often gateways look, and for how long silence is borne. */
export interface RevocationFeedOptions {
  readonly now: () => number;
  /** Milliseconds that never run backwards or jump: silence is measured by them, whatever is done to the clock. */
  readonly monotonic: () => number;
  /** Milliseconds between two looks; the bound on how long a revoked credential lives on other gateways. */
  readonly interval: number;
  /** Milliseconds after the last successful look for which cached credentials are still believed. */
  readonly maxSilence: number;
  /** Told when looking begins or ceases to fail. */
  readonly onState?: (error: unknown) => void;
}

/** Longest life of anything that can be revoked without being looked up again: an access token of a day, and clock skew. */
const MEMORY = 25 * 60 * 60 * 1000;
/** What is merely told, so that what is remembered of it is read anew: whether it was ever told nobody asks. */
const TOLD: ReadonlySet<RevocationKind> = new Set(["settings", "function", "secret", "triggers", "webhooks"]);
/**
 * How long that is told, where gateways read it anew within minutes in any case. Routes of triggers they do not, and so a gateway that
 * was cut off has to hear of those for as long as of credentials.
 */
const TOLD_FOR: Partial<Record<RevocationKind, number>> = {
  settings: 60 * 60 * 1000,
  function: 60 * 60 * 1000,
  secret: 60 * 60 * 1000,
  webhooks: 60 * 60 * 1000,
};
const PAGE = 1000;

/**
 * Carries revocations to every gateway: each act is a row in an ascending sequence, which every gateway reads twice a
 * second. A gateway that cannot read it stops believing what it remembers after a while.
 */
export class RevocationFeed {
  readonly #known = new Map<string, Revocation>();
  readonly #listeners: ((revocation: Revocation) => void)[] = [];
  readonly #ownListeners: (() => void)[] = [];
  readonly #own = new Set<string>();
  #seq = 0;
  #lastSuccess = -Infinity;
  #failing = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #pulling: Promise<void> | undefined;
  #stopped = false;

  constructor(private readonly control: ControlDatabase, private readonly options: RevocationFeedOptions) {}

  /** Rises with each revocation heard of: who looked something up before may hold what is dead by now. */
  get seq(): number {
    return this.#seq;
  }

  /** The query that revokes, for the same `atomically` as the act. Call {@link pull} afterwards. */
  entry(kind: RevocationKind, id: string): ControlQuery {
    const at = this.options.now();
    // Those whose act failed stay among them.
    if (this.#own.size >= PAGE) this.#own.clear();
    this.#own.add(`${kind}:${id}`);
    return this.control.db.insertInto("revocations").values({
      kind,
      id,
      at,
      expires_at: at + (TOLD_FOR[kind] ?? MEMORY),
    });
  }

  /** Called once for each revocation, in order. */
  onRevoked(listener: (revocation: Revocation) => void): void {
    this.#listeners.push(listener);
  }

  /** Called when something was revoked on this gateway, so that others can be told to look at once; by themselves they look soon. */
  onOwn(listener: () => void): void {
    this.#ownListeners.push(listener);
  }

  /** The revocation of one thing, if it was revoked lately; never of what gateways merely remember, which is told and not kept. */
  find(kind: RevocationKind, id: string): Revocation | undefined {
    return this.#known.get(`${kind}:${id}`);
  }

  /** @throws GatewayError `UNAVAILABLE` when nothing has been heard for so long that memory proves nothing. */
  assertFresh(): void {
    if (this.options.monotonic() - this.#lastSuccess <= this.options.maxSilence) return;
    throw new GatewayError("UNAVAILABLE", "credentials cannot be checked at the moment");
  }

  /** Reads what is new, now. Resolves when what was committed before the call is known here. Never throws. */
  async pull(): Promise<void> {
    // A look that is under way may have begun before the caller's commit; the one after it has not.
    await this.#pulling;
    await (this.#pulling ??= this.#read().finally(() => this.#pulling = undefined));
  }

  /** Begins to look regularly; resolves after the first look. */
  async start(): Promise<void> {
    await this.pull();
    this.#schedule();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #schedule(): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(async () => {
      await this.pull();
      this.#schedule();
    }, this.options.interval);
  }

  async #read(): Promise<void> {
    const now = this.options.now();
    const started = this.options.monotonic();
    try {
      for (;;) {
        const query = this.control.db.selectFrom("revocations").selectAll()
          .where("seq", ">", this.#seq).where("expires_at", ">", now).orderBy("seq").limit(PAGE);
        const { rows } = await this.control.run<Revocation>(query, AbortSignal.timeout(5_000));
        for (const row of rows) this.#apply(row);
        this.#tellOwn(rows);
        if (rows.length < PAGE) break;
      }
      this.#lastSuccess = started;
      if (this.#failing) this.options.onState?.(undefined);
      this.#failing = false;
      this.#forget(now);
    } catch (error) {
      if (!this.#failing) this.options.onState?.(error);
      this.#failing = true;
    }
  }

  #apply(revocation: Revocation): void {
    this.#seq = revocation.seq;
    if (!TOLD.has(revocation.kind)) this.#keep(revocation);
    for (const listener of this.#listeners) listener(revocation);
  }

  #keep(revocation: Revocation): void {
    const key = `${revocation.kind}:${revocation.id}`;
    // Taken out first, so that the order is that of their ends and forgetting need not search.
    this.#known.delete(key);
    this.#known.set(key, revocation);
  }

  #tellOwn(revocations: readonly Revocation[]): void {
    const own = revocations.filter(({ kind, id }) => this.#own.delete(`${kind}:${id}`));
    if (own.length > 0) { for (const listener of this.#ownListeners) listener(); }
  }

  #forget(now: number): void {
    for (const [key, { expires_at }] of this.#known) {
      if (expires_at > now) break;
      this.#known.delete(key);
    }
  }
}
