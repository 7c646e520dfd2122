import type { Statement } from "../../src/contracts/database.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import { judgeError, judgeSilence, type Verdict } from "./failures.ts";
import { HttpPool, NoAnswer, type PoolAnswer } from "./http_pool.ts";
import { Members, type RqliteNode } from "./members.ts";
import type {
  CallOptions,
  ExecuteOptions,
  QueryOptions,
  ReadLevel,
  RequestOptions,
  RqliteClusterOptions,
} from "./options.ts";
import { pauseFor } from "./pause.ts";
import { plan, resultsOf } from "./plan.ts";
import { firstFailure, undone } from "./results.ts";
import { decodeAnswer, encodeStatements, type RqliteAnswer, type RqliteResult } from "./wire.ts";

export type {
  CallOptions,
  ExecuteOptions,
  QueryOptions,
  ReadLevel,
  RequestOptions,
  RqliteClusterOptions,
} from "./options.ts";
export type { RqliteNode } from "./members.ts";
export { firstFailure } from "./results.ts";
export type { RqliteChange, RqliteFailure, RqliteResult, RqliteRows } from "./wire.ts";

/** How long a question about the cluster itself may take. */
const QUESTION_TIMEOUT = 1_000;
/** Asks a node whether it is up, in touch with a leader, and has caught up with it. */
const READY = `/readyz?sync&timeout=${QUESTION_TIMEOUT}ms`;
/** How long a load may take: the file goes through the Raft log. */
const LOAD_TIMEOUT = 30_000;
const FIRST_PAUSE = 50;
const LONGEST_PAUSE = 300;

/** One request to rqlite, and what may be done about its failure. */
interface Call {
  readonly path: string;
  readonly body: string | Uint8Array;
  readonly contentType: string;
  /** Changes nothing, so it may be repeated whatever happened. */
  readonly reading: boolean;
  /** The leader has no advantage. */
  readonly anyNode: boolean;
  readonly timeout: number;
  readonly waiter: { readonly signal: AbortSignal } | undefined;
}

/** What one request came to: an answer, or a verdict and what it is based on. */
type Attempt =
  | { readonly answer: RqliteAnswer; readonly verdict?: never; readonly cause?: never }
  | { readonly answer?: never; readonly verdict: Verdict; readonly cause: Error };

/**
 * One rqlite cluster, which is one database: leader-aware, pooled, and honest about what may have happened.
 *
 * Results come one per statement, in order; a statement that SQLite refused is a result, not an exception. Every method
 * throws `GatewayError`: `UNAVAILABLE` (nothing was applied, for as long as {@link RqliteClusterOptions.patience}),
 * `OUTCOME_UNKNOWN` (a write that may have been applied), `SQL_INVALID` (a statement without content, a value that SQLite
 * cannot hold, a result with an infinite number), `SQL_NOT_ALLOWED` (a pragma that rqlite refuses), `RESULT_TOO_LARGE`.
 * Statements are not judged here: `BEGIN`, `ATTACH` and the like harm every user of the cluster and must not get this far.
 */
export class RqliteCluster {
  readonly name: string;
  readonly #pool = new HttpPool();
  readonly #members: Members;
  readonly #now: () => number;
  readonly #timeout: number;
  readonly #patience: number;
  readonly #maxAnswerBytes: number;
  readonly #authorization: Readonly<Record<string, string>>;

  constructor(options: RqliteClusterOptions) {
    this.name = options.name;
    this.#now = options.now ?? (() => performance.now());
    this.#timeout = options.timeout ?? 2_000;
    this.#patience = options.patience ?? 4_000;
    this.#maxAnswerBytes = options.maxAnswerBytes ?? 64 * 2 ** 20;
    this.#authorization = options.username === undefined ? {} : {
      authorization: `Basic ${new TextEncoder().encode(`${options.username}:${options.password ?? ""}`).toBase64()}`,
    };
    const network = {
      list: (url: string, signal: AbortSignal) => this.#list(url, signal),
      probe: async (url: string, signal: AbortSignal) => void await this.#ask(url, READY, signal),
    };
    this.#members = new Members(options.urls.map(withoutSlash), network, this.#now);
  }

  /** Reads. A statement that would write fails. Asked again of another node when one does not answer. */
  async query(statements: readonly Statement[], options: QueryOptions): Promise<RqliteResult[]> {
    const { level, freshness } = options;
    const fresh = level === "none" && freshness !== undefined ? `&freshness=${Math.ceil(freshness)}ms` : "";
    const { results } = await this.#run(`/db/query?level=${level}${fresh}`, statements, true, options);
    if (results.length !== statements.length) throw unavailable(results);
    return results;
  }

  /**
   * Writes; definitions too. Without `transaction` each statement stands alone and a failing one does not stop the others;
   * with it, one failure undoes everything and makes every result an `error`: see {@link firstFailure}.
   */
  execute(statements: readonly Statement[], options: ExecuteOptions): Promise<RqliteResult[]> {
    return this.request(statements, options);
  }

  /**
   * Reads and writes mixed, as {@link execute}; `SELECT` and `RETURNING` give rows.
   * @throws GatewayError also `SQL_NOT_ALLOWED` for `RETURNING` beside functions of time or chance in a transaction
   */
  async request(statements: readonly Statement[], options: RequestOptions): Promise<RqliteResult[]> {
    const { transaction, level = "weak" } = options;
    const planned = plan(statements, transaction);
    // Here rqlite v8 answers `linearizable` from any node without asking anybody, so the next stronger level stands in.
    const strong = planned.strong || level === "linearizable";
    // And there v8 reads this flag the wrong way round: without it each node would make random values of its own.
    const rewritten = planned.path === "/db/request" ? "&norwrandom" : "";
    const path = `${planned.path}?level=${strong ? "strong" : level}${transaction ? "&transaction" : ""}${rewritten}`;
    const { results: raw, error } = await this.#run(path, planned.sent, !planned.writing, options);
    if (error !== undefined) return undone(statements.length, { index: statements.length - 1, error });
    // It went on after a failure, so it did not roll back.
    if (transaction && planned.writing && raw.slice(0, -1).some(({ kind }) => kind === "error")) {
      throw outcomeUnknown(raw);
    }
    const results = resultsOf(planned, raw);
    const failure = transaction ? firstFailure(results) : undefined;
    if (failure !== undefined) return undone(statements.length, failure);
    if (results.length !== statements.length) throw planned.writing ? outcomeUnknown(results) : unavailable(results);
    return results;
  }

  /**
   * Replaces the whole database.
   * @param file a SQLite file that is not in WAL mode
   * @throws GatewayError also `INVALID_REQUEST` for anything else
   */
  async load(file: Uint8Array, signal?: AbortSignal): Promise<void> {
    // rqlite takes what has another beginning for SQL, and runs it.
    const isFile = new TextDecoder().decode(file.subarray(0, 16)) === "SQLite format 3\0";
    const isWal = file[18] !== 1;
    if (!isFile || isWal) throw new GatewayError("INVALID_REQUEST", "not a SQLite file, or one in WAL mode");
    const { results } = await this.#persist({
      path: `/db/load?timeout=${LOAD_TIMEOUT}ms`,
      body: file,
      contentType: "application/octet-stream",
      reading: false,
      anyNode: false,
      timeout: LOAD_TIMEOUT,
      waiter: signal && { signal },
    });
    if (results.length > 0) throw outcomeUnknown(results);
  }

  /** The members, voters or not, as the first node that answers sees them. */
  async nodes(signal?: AbortSignal): Promise<readonly RqliteNode[]> {
    return await this.#first((url, one) => this.#list(url, one), signal).catch((cause) =>
      Promise.reject(unavailable(cause))
    );
  }

  /** Whether a node answers that it is up, has a leader and has caught up with it. Never throws. */
  ready(signal?: AbortSignal): Promise<boolean> {
    return this.#first((url, one) => this.#ask(url, READY, one), signal).then(() => true, () => false);
  }

  /** Gives back the connections. Requests in flight fail. */
  close(): Promise<void> {
    this.#members.close();
    this.#pool.close();
    return Promise.resolve();
  }

  async #run(
    path: string,
    statements: readonly Statement[],
    reading: boolean,
    { level, signal, waiter = signal && { signal }, dbTimeout, timeout: wished }: CallOptions & {
      level?: ReadLevel | undefined;
    },
  ): Promise<RqliteAnswer> {
    if (statements.length === 0) return { results: [], error: undefined };
    if (signal?.aborted === true) throw unavailable(signal.reason);
    const timeout = Math.ceil(Math.max(wished ?? this.#timeout, dbTimeout === undefined ? 0 : dbTimeout + 500));
    const interrupted = dbTimeout === undefined ? "" : `&db_timeout=${Math.ceil(dbTimeout)}ms`;
    return await this.#persist({
      path: `${path}&blob_array&timeout=${timeout}ms${interrupted}`,
      body: encodeStatements(statements),
      contentType: "application/json",
      reading,
      anyNode: reading && level === "none",
      timeout,
      waiter,
    });
  }

  /** Sends the call until it is answered, until it must not be repeated, or until patience ends. */
  async #persist(call: Call): Promise<RqliteAnswer> {
    const deadline = this.#now() + this.#patience;
    const tried = new Set<string>();
    for (let pause = FIRST_PAUSE;;) {
      const url = this.#members.pick(call.anyNode, tried);
      const { answer, verdict, cause } = await this.#attempt(url, call);
      if (answer !== undefined) return answer;
      if (verdict.fate === "failed") return { results: [], error: verdict.error };
      if (verdict.fate === "refused") throw new GatewayError(verdict.code, verdict.message, { cause });
      if (verdict.fate === "unknown" && !call.reading) throw outcomeUnknown(cause);
      if (call.waiter?.signal.aborted === true || this.#now() >= deadline) throw unavailable(cause);
      tried.add(url);
      const leaderless = verdict.fate === "not_applied" && verdict.leaderless;
      if (!leaderless && this.#members.urls.some((known) => !tried.has(known))) continue;
      tried.clear();
      await pauseFor(pause * (0.5 + Math.random()), call.waiter?.signal);
      pause = Math.min(pause * 2, LONGEST_PAUSE);
    }
  }

  async #attempt(url: string, call: Call): Promise<Attempt> {
    let reply: PoolAnswer;
    try {
      reply = await this.#pool.send({
        method: "POST",
        url,
        path: call.path,
        headers: { "content-type": call.contentType, ...this.#authorization },
        body: call.body,
        timeout: call.timeout,
        alive: call.timeout > this.#timeout
          ? { every: this.#timeout, ask: () => this.#ask(url, "/readyz?noleader") }
          : undefined,
        maxBytes: this.#maxAnswerBytes,
        waiter: call.waiter,
      });
    } catch (cause) {
      if (!(cause instanceof NoAnswer)) throw cause;
      if (cause.reason === "too_large") {
        throw new GatewayError("RESULT_TOO_LARGE", "the result is too large", { cause });
      }
      if (cause.reason !== "aborted") this.#members.silent(url);
      return { verdict: judgeSilence(cause.sent), cause };
    }
    let text = reply.text;
    if (reply.status === 200) {
      const answer = decodeAnswer(text);
      if (answer === undefined) {
        return { verdict: { fate: "unknown" }, cause: new Error(`not an answer of rqlite: ${text.slice(0, 200)}`) };
      }
      if (answer.error === undefined) return { answer };
      text = answer.error;
    }
    const verdict = judgeError(reply.status, text, call.reading);
    if (verdict.fate === "not_applied" && verdict.leaderless) this.#members.leaderless(url);
    return { verdict, cause: new Error(`rqlite answered ${reply.status}: ${text.trim()}`) };
  }

  async #list(url: string, signal: AbortSignal): Promise<RqliteNode[]> {
    const text = await this.#ask(url, `/nodes?ver=2&nonvoters&timeout=${QUESTION_TIMEOUT / 2}ms`, signal);
    const { nodes } = JSON.parse(text) as { nodes: (Omit<RqliteNode, "url"> & { api_addr?: string })[] };
    return nodes.map(({ id, api_addr, voter, reachable, leader }) => (
      { id, url: withoutSlash(api_addr ?? ""), voter, reachable, leader }
    ));
  }

  async #ask(url: string, path: string, signal?: AbortSignal): Promise<string> {
    const { status, text } = await this.#pool.send({
      method: "GET",
      url,
      path,
      headers: this.#authorization,
      timeout: QUESTION_TIMEOUT,
      maxBytes: this.#maxAnswerBytes,
      waiter: signal && { signal },
    });
    if (status !== 200) throw new Error(`rqlite answered ${status}: ${text.trim()}`);
    return text;
  }

  /** Asks all nodes at once; the first answer counts, and the other questions are taken back. */
  async #first<T>(question: (url: string, signal: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const others = new AbortController();
    const either = signal === undefined ? others.signal : AbortSignal.any([signal, others.signal]);
    try {
      return await Promise.any(this.#members.urls.map((url) => question(url, either)));
    } finally {
      others.abort();
    }
  }
}

const withoutSlash = (url: string) => url.replace(/\/+$/, "");

const unavailable = (cause: unknown) =>
  new GatewayError("UNAVAILABLE", "the database cannot be reached now; nothing was changed", { cause, retryAfter: 1 });

const outcomeUnknown = (cause: unknown) =>
  new GatewayError("OUTCOME_UNKNOWN", "the database did not confirm the change, which may have been applied", {
    cause,
  });
