import { LRUCache } from "lru-cache";
import { GatewayError } from "../../../src/contracts/errors.ts";
import type { GatedStatement, SqlFault } from "../driver.ts";
import { hugeValueOf } from "./huge_values.ts";
import { type Judge, JudgeBusy, type Judged, NoJudge, NoJudgement } from "./judge.ts";
import type { JudgeItem, Judgement, SchemaObjectText } from "./judge_protocol.ts";
import type { SchemaSource } from "./mirror_source.ts";

/** What the judge says to a statement. */
export interface Verdict {
  /** The text with which it may share a request with statements of others, because it is certainly short. */
  readonly shared?: string | undefined;
  /** Why it must not run. */
  readonly fault?: SqlFault;
  /** The fault is one under this schema alone. */
  readonly mistake?: true;
}

/** Milliseconds between two looks at whether another gateway has changed the schema. */
const LOOK_EVERY = 1_000;
/** And between two that come with statements, which cost next to nothing. */
const LOOK_ALONG_EVERY = 100;
/** And after a look that failed. */
const LOAD_AGAIN = 500;
/** Milliseconds for which a namespace is suspect whose statement ended the judge, and how many questions it may then have waiting. */
const SUSPECT_FOR = 600_000, SUSPECT_QUESTIONS = 4;

/** Nothing speaks against it, and nothing for sharing a request. */
const UNJUDGED: Verdict = {};
const TOO_SLOW = {
  fault: { kind: "invalid", message: "the statement takes too long to compile" },
} as const satisfies Verdict;

/** What is known of one state of the schema. */
interface State {
  readonly number: number;
  readonly version: number;
  /** Its objects, as JSON. */
  readonly text: string;
  readonly complete: boolean;
  readonly verdicts: LRUCache<string, Verdict>;
}

/** A statement of a transaction, and which step it is. */
type Step = readonly [step: number, statement: GatedStatement];

let states = 0;

/**
 * What the judge thinks of the statements of one namespace, asked once for each text and schema. Where the judge cannot be
 * asked, statements are not judged and not short: they go alone, behind the lexical gate, which by itself lets nothing through
 * that harms others; a namespace would gain nothing by being refused.
 */
export class Mirror implements Judged {
  #state: State | undefined;
  /** How often something has happened that may have changed the schema, and how much of it {@link #state} knows. */
  #changes = 1;
  #known = 0;
  #loading: Promise<State | undefined> | undefined;
  /** How many looks at the schema have begun, and which one was the last that gave it. */
  #begun = 0;
  #done = 0;
  #loadAgainAt = -Infinity;
  #lookedAt = -Infinity;
  #looking = false;
  readonly #asked = new Map<string, Promise<Verdict>>();
  #suspectUntil = -Infinity;
  #waiting = 0;

  /**
   * @param name of the namespace and its database, together
   * @param now milliseconds; asked for each statement, and `performance.now` costs ten times as much
   */
  constructor(
    readonly name: string,
    private readonly judge: Judge,
    private readonly source: SchemaSource,
    private readonly now: () => number = Date.now,
  ) {}

  /** What was said before, when the schema is still the same as far as anybody knows. Mistakes are told by {@link verdict} alone. */
  known(sql: string): Verdict | undefined {
    if (this.#stale) return undefined;
    if (Math.abs(this.now() - this.#lookedAt) > LOOK_EVERY) void this.#look();
    const verdict = this.#state?.verdicts.get(sql);
    return verdict?.mistake ? undefined : verdict;
  }

  /**
   * A statement's verdict. A mistake is told only when it is one under the schema that the leader has now.
   * @throws GatewayError `UNAVAILABLE` when too many of the namespace's statements take long to compile
   */
  async verdict(statement: GatedStatement): Promise<Verdict> {
    const asked = this.#begun;
    const verdict = await this.#judged(statement);
    const before = this.#state?.number;
    if (verdict.mistake === undefined) return verdict;
    const now = await this.#newerThan(asked);
    if (now?.complete !== true) return UNJUDGED;
    return now.number === before ? verdict : await this.#judged(statement);
  }

  /**
   * Judges a transaction, in which later steps see what earlier definitions make. Mistakes are left to the database: it knows
   * which step fails first.
   * @throws GatewayError `UNAVAILABLE` when too many of the namespace's statements take long to compile
   */
  async transaction(statements: readonly GatedStatement[]): Promise<{ step: number; fault: SqlFault } | undefined> {
    const steps = [...statements.entries()].filter(([, { own }]) => own !== true);
    if (steps.some(([, { facts }]) => facts.access === "definition")) return await this.#inOrder(steps);
    const unknown: Step[] = [];
    for (const step of steps) {
      const verdict = this.known(step[1].sql);
      if (verdict === undefined) unknown.push(step);
      else if (verdict.fault) return { step: step[0], fault: verdict.fault };
    }
    return unknown.length === 0 ? undefined : await this.#inOrder(unknown);
  }

  /** A definition has run, or may have. */
  changed(): void {
    this.#changes++;
  }

  /** Whether the next group of reads should bring the schema's version along. */
  get wantsVersion(): boolean {
    return !this.#stale && Math.abs(this.now() - this.#lookedAt) > LOOK_ALONG_EVERY;
  }

  /** The leader has told the schema's version. */
  sawVersion(version: number): void {
    this.#lookedAt = this.now();
    if (version !== this.#state?.version) this.changed();
  }

  /** Whether one of the namespace's statements has ended the judge of late. */
  get suspect(): boolean {
    return this.now() < this.#suspectUntil;
  }

  get #stale(): boolean {
    return this.#known !== this.#changes;
  }

  /** The state of the schema, from the leader if it may have changed; `undefined` when it cannot be had. */
  #current(): Promise<State | undefined> {
    if (!this.#stale) return Promise.resolve(this.#state);
    if (this.#loading === undefined && this.now() < this.#loadAgainAt) return Promise.resolve(undefined);
    return this.#loading ??= this.#load();
  }

  /** A state that the leader had after so many looks had begun. */
  async #newerThan(looks: number): Promise<State | undefined> {
    while (this.#loading !== undefined && this.#done <= looks) await this.#loading;
    return this.#done > looks ? this.#current() : await (this.#loading = this.#load());
  }

  async #load(): Promise<State | undefined> {
    const changes = this.#changes, look = ++this.#begun;
    try {
      const { version, objects } = await this.source.schema();
      this.#lookedAt = this.now();
      const text = JSON.stringify(objects);
      this.#state = this.#state?.text === text
        ? { ...this.#state, version }
        : await this.#stateOf(version, objects, text);
      this.#known = changes;
      this.#done = look;
      return this.#state;
    } catch (error) {
      this.#loadAgainAt = this.now() + LOAD_AGAIN;
      if (error instanceof JudgeBusy) throw busy();
      if (error instanceof NoJudge || error instanceof NoJudgement || error instanceof GatewayError) return undefined;
      throw error;
    } finally {
      this.#loading = undefined;
    }
  }

  async #stateOf(version: number, objects: readonly SchemaObjectText[], text: string): Promise<State> {
    const number = ++states;
    const complete = await this.judge.load(this, number, objects);
    const verdicts = new LRUCache<string, Verdict>({
      maxSize: 2_000_000,
      sizeCalculation: (_verdict, sql) => sql.length + 200,
      maxEntrySize: 20_000,
    });
    return { number, version, text, complete, verdicts };
  }

  async #look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      this.sawVersion(await this.source.version());
    } catch {
      // Whoever needs the database finds out by himself.
      this.#lookedAt = this.now();
    } finally {
      this.#looking = false;
    }
  }

  async #judged(statement: GatedStatement): Promise<Verdict> {
    const state = await this.#current();
    if (state === undefined) return UNJUDGED;
    const { sql } = statement;
    const known = state.verdicts.get(sql);
    if (known) return known;
    const key = `${state.number} ${sql}`;
    let asking = this.#asked.get(key);
    if (asking === undefined) {
      asking = this.#ask(state, statement).finally(() => this.#asked.delete(key));
      this.#asked.set(key, asking);
    }
    return await asking;
  }

  async #ask(state: State, statement: GatedStatement): Promise<Verdict> {
    const { sql, facts: { access } } = statement;
    const judgements = await this.#judgements(state, [{ sql, access }], false);
    if (judgements === undefined) return UNJUDGED;
    const verdict = judgements === "too slow" ? TOO_SLOW : this.#verdictOf(statement, judgements[0]!);
    state.verdicts.set(sql, verdict);
    return verdict;
  }

  async #inOrder(steps: readonly Step[]): Promise<{ step: number; fault: SqlFault } | undefined> {
    const state = await this.#current();
    if (state === undefined) return undefined;
    const items = steps.map(([, { sql, facts: { access } }]) => ({ sql, access }));
    const judgements = await this.#judgements(state, items, true);
    if (judgements === undefined) return undefined;
    // Which of them it was nobody knows.
    if (judgements === "too slow") return { step: steps[0]![0], fault: TOO_SLOW.fault };
    let refused: { step: number; fault: SqlFault } | undefined;
    // Behind a definition the same text may mean something else.
    let keeps = true;
    for (const [at, [step, statement]] of steps.entries()) {
      const verdict = this.#verdictOf(statement, judgements[at]!);
      if (verdict.fault && !verdict.mistake) refused ??= { step, fault: verdict.fault };
      keeps &&= statement.facts.access !== "definition";
      if (keeps) state.verdicts.set(statement.sql, verdict);
    }
    return refused;
  }

  #verdictOf(statement: GatedStatement, judgement: Judgement): Verdict {
    switch (judgement.is) {
      case "good": {
        const fault = hugeValueOf(statement.sql);
        if (fault) return { fault };
        return judgement.short ? { shared: this.source.shared(statement) } : UNJUDGED;
      }
      case "refused":
        return { fault: { kind: "not_allowed", message: judgement.sentence } };
      case "mistake":
        return { fault: { kind: "invalid", message: judgement.sentence }, mistake: true };
      case "unknown":
        return UNJUDGED;
    }
  }

  /** @returns `undefined` when there is no judge */
  async #judgements(
    state: State,
    items: readonly JudgeItem[],
    inOrder: boolean,
  ): Promise<readonly Judgement[] | "too slow" | undefined> {
    if (this.#waiting >= SUSPECT_QUESTIONS && this.suspect) throw busy();
    this.#waiting++;
    try {
      const judgements = await this.judge.judge(this, state.number, items, inOrder);
      if (judgements) return judgements;
      // It has started anew, or had to make room for others.
      await this.judge.load(this, state.number, JSON.parse(state.text));
      return await this.judge.judge(this, state.number, items, inOrder);
    } catch (error) {
      if (error instanceof NoJudge) return undefined;
      if (error instanceof JudgeBusy) throw busy();
      if (!(error instanceof NoJudgement)) throw error;
      this.#suspectUntil = this.now() + SUSPECT_FOR;
      return "too slow";
    } finally {
      this.#waiting--;
    }
  }
}

const busy = () =>
  new GatewayError("UNAVAILABLE", "other statements of this namespace take long to compile; nothing was done", {
    retryAfter: 2,
  });
