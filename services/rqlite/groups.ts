import type { SqlInput } from "../../src/contracts/database.ts";
import { type ErrorCode, GatewayError } from "../../src/contracts/errors.ts";
import type { Waiter } from "./options.ts";
import { outcomeUnknown, unavailable } from "./transport.ts";
import { encodeArgs, type RqliteAnswer, type RqliteResult } from "./wire.ts";

/** The most that goes together. */
const MAX_STATEMENTS = 512;
const MAX_LENGTH = 1_000_000;
/** How many groups of writes go as single statements after one of them was undone because something in it failed. */
const APART = 32;
/** Milliseconds between two looks at who has gone away. */
const TICK = 50;

/** One statement that may share a request with others. */
export interface GroupedStatement {
  /** Its text as `encodeText` gives it. */
  readonly text: string;
  readonly args: readonly SqlInput[];
  /** Milliseconds that it may run. */
  readonly timeout: number;
  readonly waiter: Waiter;
  /** Its columns hang on the schema (`*`). */
  readonly wildcard: boolean;
}

/** What a lane needs. */
export interface LaneOptions {
  /**
   * Sends statements in one request.
   * @param body what stands between the brackets
   * @param timeout the longest of theirs
   * @param atomic whether one transaction holds them all; else each stands alone
   */
  readonly send: (body: string, timeout: number, atomic: boolean) => Promise<RqliteAnswer>;
  readonly access: "read" | "write";
  /** Something to be asked before the others, in the same request. @param wildcard whether one of them has columns that hang on the schema */
  readonly before?: ((wildcard: boolean) => Before | undefined) | undefined;
  /** Told how many went together. */
  readonly onGroup: (access: "read" | "write", statements: number) => void;
}

/** A statement of the gateway's own. */
export interface Before {
  /** As it stands in a request. */
  readonly body: string;
  readonly seen: (result: RqliteResult) => void;
}

interface Entry {
  readonly body: string;
  readonly statement: GroupedStatement;
  readonly resolve: (result: RqliteResult | undefined) => void;
  readonly reject: (error: unknown) => void;
  sent: boolean;
  left: boolean;
}

/**
 * Puts statements of different callers into one request, without a timer: what comes while nothing is on its way goes at once,
 * and what comes while something is goes together when that is back. Each gets its own result, and the failure of one touches no
 * other. Statements go in the order in which they came; a caller that awaits each answer therefore has its own order.
 *
 * rqlite runs what stands in one request one after the other, and cannot interrupt the second one that takes long: only
 * statements that certainly are short may come here.
 *
 * Writes that go together share a transaction, which is half the work for rqlite. Where one of them fails, nothing of it
 * remained, and they are sent again as single statements.
 */
export class Lane {
  readonly #options: LaneOptions;
  #waiting: Entry[] = [];
  #flying: readonly Entry[] = [];
  #armed = false;
  /** Groups of writes that still go as single statements: where statements fail, more of them tend to. */
  #apart = 0;
  #ticking: ReturnType<typeof setInterval> | undefined;

  constructor(options: LaneOptions) {
    this.#options = options;
  }

  /**
   * @returns `undefined` for one that has to be asked alone: something in its group cannot be answered, and nobody knows what
   * @throws GatewayError `UNAVAILABLE`, `OUTCOME_UNKNOWN`, `SQL_INVALID` for a value that SQLite cannot hold
   */
  run(statement: GroupedStatement): Promise<RqliteResult | undefined> {
    return new Promise((resolve, reject) => {
      const body = `[${statement.text}${encodeArgs(statement.args)}]`;
      this.#waiting.push({ body, statement, resolve, reject, sent: false, left: false });
      this.#arm();
    });
  }

  /** Takes the clock away; what is on its way ends by itself. */
  close(): void {
    clearInterval(this.#ticking);
    this.#ticking = undefined;
  }

  /** At the end of this turn of the event loop: what came in the same turn goes together. */
  #arm(): void {
    if (this.#armed || this.#flying.length > 0 || this.#waiting.length === 0) return;
    this.#armed = true;
    queueMicrotask(() => {
      this.#armed = false;
      void this.#flush();
    });
  }

  async #flush(): Promise<void> {
    const { entries, body, timeout, wildcard } = this.#take();
    if (entries.length === 0) return;
    const before = this.#options.before?.(wildcard);
    this.#flying = entries;
    this.#ticking ??= setInterval(() => this.#tick(), TICK);
    this.#options.onGroup(this.#options.access, entries.length);
    try {
      const { results, error } = await this.#send(before ? `${before.body},${body}` : body, timeout, entries.length);
      const own = before ? 1 : 0;
      if (error !== undefined || results.length !== entries.length + own) throw this.#lost(results);
      before?.seen(results[0]!);
      for (let i = 0; i < entries.length; i++) entries[i]!.resolve(results[i + own]);
    } catch (error) {
      const code = error instanceof GatewayError ? error.code : undefined;
      const alone = code !== undefined && OF_ONE_STATEMENT.has(code);
      // None of them is to blame for a request that was given up.
      const shared = code === "STATEMENT_TIMEOUT" ? unavailable(error) : error;
      for (const entry of entries) {
        if (alone) entry.resolve(undefined);
        else entry.reject(shared);
      }
    } finally {
      this.#flying = [];
      this.#arm();
    }
  }

  async #send(body: string, timeout: number, count: number): Promise<RqliteAnswer> {
    const { access, send } = this.#options;
    if (access === "write" && count > 1) {
      if (this.#apart === 0) {
        const answer = await send(body, timeout, true);
        if (!isUndone(answer)) return answer;
        this.#apart = APART;
      } else this.#apart--;
    }
    return await send(body, timeout, false);
  }

  #take(): { entries: Entry[]; body: string; timeout: number; wildcard: boolean } {
    const entries: Entry[] = [];
    let body = "", timeout = 0, wildcard = false, at = 0;
    for (; at < this.#waiting.length && entries.length < MAX_STATEMENTS; at++) {
      const entry = this.#waiting[at]!;
      if (entry.left) continue;
      if (body.length + entry.body.length > MAX_LENGTH && body !== "") break;
      body += body === "" ? entry.body : `,${entry.body}`;
      if (entry.statement.timeout > timeout) timeout = entry.statement.timeout;
      wildcard ||= entry.statement.wildcard;
      entry.sent = true;
      entries.push(entry);
    }
    this.#waiting = at === this.#waiting.length ? [] : this.#waiting.slice(at);
    return { entries, body, timeout, wildcard };
  }

  #lost(results: readonly RqliteResult[]): GatewayError {
    return this.#options.access === "write" ? outcomeUnknown(results) : unavailable(results);
  }

  /** Whoever has gone away is answered; what was sent of his stays on its way, with the others'. */
  #tick(): void {
    if (this.#flying.length === 0 && this.#waiting.length === 0) return this.close();
    for (const entry of [...this.#flying, ...this.#waiting]) {
      const { signal } = entry.statement.waiter;
      if (!signal.aborted) continue;
      entry.left = true;
      const unknown = entry.sent && this.#options.access === "write";
      entry.reject(unknown ? outcomeUnknown(signal.reason) : unavailable(signal.reason));
    }
  }
}

/** rqlite answers all statements of a request or none: an infinite number in one, and all are without an answer. */
const OF_ONE_STATEMENT: ReadonlySet<ErrorCode> = new Set(["SQL_INVALID", "SQL_NOT_ALLOWED", "RESULT_TOO_LARGE"]);

/**
 * Whether a transaction was undone: it ends with its first failure.
 * @throws GatewayError `OUTCOME_UNKNOWN` for one that went on behind a failure, and so was not undone
 */
function isUndone({ results, error }: RqliteAnswer): boolean {
  const failed = results.findIndex(({ kind }) => kind === "error");
  if (failed >= 0 && failed < results.length - 1) throw outcomeUnknown(results);
  return error !== undefined || failed >= 0;
}
