import { GatewayError } from "../../src/contracts/errors.ts";
import type { Call } from "./call.ts";
import { AnswerFailed, judgeError, judgeSilence, type Verdict } from "./failures.ts";
import { HttpPool, NoAnswer, type PoolAnswer, type PoolRequest, type PoolStream } from "./http_pool.ts";
import { Members, type RqliteNode } from "./members.ts";
import type { RqliteClusterOptions } from "./options.ts";
import { pauseFor } from "./pause.ts";
import { StuckWatch } from "./stuck.ts";
import { decodeAnswer, type RqliteAnswer } from "./wire.ts";

/** How long a question about the cluster itself may take. */
const QUESTION_TIMEOUT = 1_000;
/** Asks a node whether it is up, in touch with a leader, and has caught up with it. */
const READY = `/readyz?sync&timeout=${QUESTION_TIMEOUT}ms`;
/** Asks a node whether it lives; one that is busy with a large answer takes a while to say so. */
const ALIVE = "/readyz?noleader";
const FIRST_PAUSE = 50;
const LONGEST_PAUSE = 300;
/** What the log may take beyond the time of the slowest that is in it before it counts as standing still. */
const LOG_GRACE = 1_500;
/** How long something may wait for others at the most, in milliseconds. */
const LONGEST_WAIT = 300_000;
/** Something that has to come back through the log, behind every write before it. */
const THROUGH_THE_LOG = { method: "POST", path: "/db/query?level=strong", body: '[["SELECT 1"]]' } as const;

/** What one request came to: an answer, or a verdict and what it is based on. */
type Attempt<Answer> = { readonly answer: Answer } | { readonly verdict: Verdict; readonly cause: Error };

/**
 * The way to one cluster: which node is asked, how often, and what a missing answer means. Throws `GatewayError` as
 * {@link RqliteCluster} says; knows nothing of SQL.
 */
export class Transport {
  /** Whether writes come back. */
  readonly stuck: StuckWatch;
  readonly #pool: HttpPool;
  readonly #members: Members;
  readonly #now: () => number;
  readonly #timeout: number;
  readonly #patience: number;
  readonly #maxAnswerBytes: number;
  readonly #authorization: Readonly<Record<string, string>>;
  /** Whether nothing may be sent without TLS. */
  readonly #tlsOnly: boolean;
  /** For how long each of those that are on their way may keep the others. */
  readonly #held = new Set<{ readonly holds: number }>();
  /** When something last came back through the log. */
  #cameBackAt = -Infinity;

  constructor(options: RqliteClusterOptions) {
    this.#pool = new HttpPool(options.tls);
    this.#tlsOnly = options.urls.every(isTls);
    this.#now = options.now ?? (() => performance.now());
    this.#timeout = options.timeout ?? 2_000;
    this.#patience = options.patience ?? 4_000;
    this.#maxAnswerBytes = options.maxAnswerBytes ?? 64 * 2 ** 20;
    this.#authorization = options.username === undefined ? {} : {
      authorization: `Basic ${new TextEncoder().encode(`${options.username}:${options.password ?? ""}`).toBase64()}`,
    };
    const network = {
      list: (url: string, signal: AbortSignal) => this.list(url, signal),
      probe: async (url: string, signal: AbortSignal) => void await this.#ask(url, READY, signal),
    };
    this.#members = new Members(options.urls.map(withoutSlash), network, this.#now);
    this.stuck = new StuckWatch({
      comesBack: (timeout) => this.#comesBack(timeout),
      onChange: (stuck, seconds) => options.onStuck?.(stuck, seconds),
      now: this.#now,
    });
  }

  /** Milliseconds that a request has at least. */
  get timeout(): number {
    return this.#timeout;
  }

  /** Sends the call until it is answered, until it must not be repeated, or until patience ends. */
  send(call: Call): Promise<RqliteAnswer> {
    return this.#persist(call, (url, request) => this.#answer(url, call, request));
  }

  /**
   * As {@link send}, of a call that reads; the answer is read as the caller asks for it.
   * @param begin reads its beginning; what it throws as {@link AnswerFailed} is judged as the error of an answer
   */
  open<Begun>(call: Call, begin: (stream: PoolStream) => Begun | Promise<Begun>): Promise<Begun> {
    return this.#persist(call, (url, request) => this.#stream(url, request, begin));
  }

  async #persist<Answer>(
    call: Call,
    ask: (url: string, request: PoolRequest) => Promise<Attempt<Answer>>,
  ): Promise<Answer> {
    const deadline = this.#now() + this.#patience;
    const tried = new Set<string>();
    for (let pause = FIRST_PAUSE;;) {
      if (call.throughLog && this.stuck.stuck) throw stuckWrites();
      const url = this.#members.pick(call.anyNode, tried);
      const attempt = await this.#attempt(url, call, ask);
      if ("answer" in attempt) return attempt.answer;
      const { verdict, cause } = attempt;
      if (verdict.fate === "refused") throw new GatewayError(verdict.code, verdict.message, { cause });
      if (verdict.fate === "unknown" && !call.reading) throw outcomeUnknown(cause);
      if (call.waiter?.signal.aborted === true) throw unavailable(cause);
      const leaderless = verdict.fate === "not_applied" && verdict.leaderless;
      const again = tried.has(url);
      tried.add(url);
      // Each node is asked once, also when the first one took all the time that there was; but those that rest are not.
      if (!leaderless && !again && this.#members.urls.some((known) => !tried.has(known))) continue;
      if (this.#now() >= deadline) throw unavailable(cause);
      tried.clear();
      await pauseFor(pause * (0.5 + Math.random()), call.waiter?.signal);
      pause = Math.min(pause * 2, LONGEST_PAUSE);
    }
  }

  async #attempt<Answer>(
    url: string,
    call: Call,
    ask: (url: string, request: PoolRequest) => Promise<Attempt<Answer>>,
  ): Promise<Attempt<Answer>> {
    const since = this.#now();
    const held = call.holds === undefined ? undefined : { holds: call.holds };
    if (held) this.#held.add(held);
    try {
      const attempt = await ask(url, {
        method: call.method ?? "POST",
        url,
        path: call.path,
        headers: { "content-type": call.contentType, ...this.#authorization },
        body: call.body,
        timeout: call.timeout,
        more: call.throughLog ? () => this.#more(since) : undefined,
        alive: call.timeout > this.#timeout ? { every: this.#timeout, ask: () => this.#lives(url, call) } : undefined,
        maxBytes: Math.min(call.maxBytes ?? Infinity, this.#maxAnswerBytes),
        waiter: call.waiter,
      });
      if (call.throughLog && "answer" in attempt) this.#cameBackAt = this.#now();
      return attempt;
    } catch (cause) {
      if (!(cause instanceof NoAnswer)) throw cause;
      return { verdict: this.#silence(url, call, cause), cause };
    } finally {
      if (held) this.#held.delete(held);
    }
  }

  #silence(url: string, call: Call, cause: NoAnswer): Verdict {
    if (cause.reason === "too_large") {
      // What was written stays written.
      if (!call.reading) return { fate: "unknown" };
      throw new GatewayError("RESULT_TOO_LARGE", "the result is too large", { cause });
    }
    if (cause.reason === "slow" && call.reading && !call.throughLog) {
      // Its node is well, and another one would take as long.
      throw new GatewayError("STATEMENT_TIMEOUT", "the statement ran longer than it may, and was given up", { cause });
    }
    if (cause.reason === "slow" || (cause.reason === "timeout" && call.throughLog)) this.stuck.suspect();
    const hangs = call.throughLog && this.stuck.stuck;
    if ((cause.reason === "timeout" && !hangs) || cause.reason === "connection") this.#members.silent(url);
    return judgeSilence(cause.sent);
  }

  /** Milliseconds to wait on for others: nothing hangs while something comes back as often as the slowest of them may take. */
  #more(since: number): number {
    const now = this.#now();
    if (this.stuck.stuck || now - since > LONGEST_WAIT) return 0;
    const slowest = Math.max(0, ...[...this.#held].map(({ holds }) => holds));
    return Math.max(since, this.#cameBackAt) + slowest + LOG_GRACE - now;
  }

  /** @throws when the node does not say that it lives, or writes do not come back: then nobody waits on */
  async #lives(url: string, { throughLog }: Call): Promise<void> {
    await this.#ask(url, ALIVE, undefined, Math.max(this.#timeout, QUESTION_TIMEOUT));
    if (throughLog && this.stuck.stuck) throw new Error("writes do not come back");
  }

  async #answer(url: string, call: Call, request: PoolRequest): Promise<Attempt<RqliteAnswer>> {
    const reply = await this.#pool.send(request);
    if (reply.status !== 200) return this.#failure(url, reply, call.reading);
    const answer = decodeAnswer(reply.text);
    if (answer === undefined) {
      return { verdict: { fate: "unknown" }, cause: new Error(`not an answer of rqlite: ${reply.text.slice(0, 200)}`) };
    }
    if (answer.error === undefined) return { answer };
    const failure = this.#failure(url, { status: 200, text: answer.error }, call.reading);
    if (failure.verdict.fate !== "failed") return failure;
    return { answer: { results: [], error: failure.verdict.error } };
  }

  async #stream<Begun>(
    url: string,
    request: PoolRequest,
    begin: (stream: PoolStream) => Begun | Promise<Begun>,
  ): Promise<Attempt<Begun>> {
    const stream = await this.#pool.stream(request);
    if (stream.status !== 200) return this.#failure(url, await stream.text(), true);
    try {
      return { answer: await begin(stream) };
    } catch (error) {
      if (!(error instanceof AnswerFailed)) throw error;
      const failure = this.#failure(url, { status: 200, text: error.message }, true);
      if (failure.verdict.fate === "failed") throw unavailable(error);
      return failure;
    }
  }

  #failure(url: string, { status, text }: PoolAnswer, reading: boolean) {
    const verdict = judgeError(status, text, reading);
    if (verdict.fate === "not_applied" && verdict.leaderless) this.#members.leaderless(url);
    return { verdict, cause: new Error(`rqlite answered ${status}: ${text.trim()}`) };
  }

  /** Whether a trivial request through the log is answered in time; `undefined` when nobody could be asked. */
  async #comesBack(timeout: number): Promise<boolean | undefined> {
    const url = this.#members.pick(false, new Set());
    const headers = { "content-type": "application/json", ...this.#authorization };
    try {
      const reply = await this.#pool.send({ ...THROUGH_THE_LOG, url, headers, timeout, maxBytes: 10_000 });
      return reply.status === 200 && reply.text.includes('"values"') ? true : undefined;
    } catch (error) {
      if (!(error instanceof NoAnswer) || error.reason !== "timeout") return undefined;
      return await this.#ask(url, ALIVE).then(() => false, () => undefined);
    }
  }

  /** The members as the node at `url` sees them. */
  async list(url: string, signal: AbortSignal): Promise<RqliteNode[]> {
    const text = await this.#ask(url, `/nodes?ver=2&nonvoters&timeout=${QUESTION_TIMEOUT / 2}ms`, signal);
    const { nodes } = JSON.parse(text) as { nodes: (Omit<RqliteNode, "url"> & { api_addr?: string })[] };
    return nodes.map(({ id, api_addr, voter, reachable, leader }) => {
      const told = withoutSlash(api_addr ?? "");
      // A node that says so of itself must not get statements, and a password, in clear text.
      return { id, url: this.#tlsOnly && !isTls(told) ? "" : told, voter, reachable, leader };
    });
  }

  /** Asks whether a node is up, has a leader and has caught up with it. @throws when it is not so */
  async ready(url: string, signal: AbortSignal): Promise<void> {
    await this.#ask(url, READY, signal);
  }

  /** Asks all nodes at once; the first answer counts, and the other questions are taken back. */
  async first<T>(question: (url: string, signal: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const others = new AbortController();
    const either = signal === undefined ? others.signal : AbortSignal.any([signal, others.signal]);
    try {
      return await Promise.any(this.#members.urls.map((url) => question(url, either)));
    } finally {
      others.abort();
    }
  }

  /** Gives back the connections. Requests in flight fail. */
  close(): void {
    this.stuck.close();
    this.#members.close();
    this.#pool.close();
  }

  async #ask(url: string, path: string, signal?: AbortSignal, timeout = QUESTION_TIMEOUT): Promise<string> {
    const { status, text } = await this.#pool.send({
      method: "GET",
      url,
      path,
      headers: this.#authorization,
      timeout,
      maxBytes: this.#maxAnswerBytes,
      waiter: signal && { signal },
    });
    if (status !== 200) throw new Error(`rqlite answered ${status}: ${text.trim()}`);
    return text;
  }
}

const isTls = (url: string) => url.startsWith("https://");

const withoutSlash = (url: string) => url.replace(/\/+$/, "");

/** Nothing was applied. */
export const unavailable = (cause: unknown): GatewayError =>
  new GatewayError("UNAVAILABLE", "the database cannot be reached now; nothing was changed", { cause, retryAfter: 1 });

/** It may have been applied, and may still be. */
export const outcomeUnknown = (cause: unknown): GatewayError =>
  new GatewayError("OUTCOME_UNKNOWN", "the database did not confirm the change, which may have been applied", {
    cause,
  });

const stuckWrites = () =>
  new GatewayError(
    "UNAVAILABLE",
    "an earlier statement in the database of this namespace does not come to an end; nothing was changed",
    { retryAfter: 5 },
  );
