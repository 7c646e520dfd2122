import type { SqlInput } from "../../src/contracts/database.ts";
import { type ErrorCode, GatewayError } from "../../src/contracts/errors.ts";
import type { Waiter } from "./options.ts";
import { outcomeUnknown, unavailable } from "./transport.ts";
import { encodeArgs, type RqliteAnswer, type RqliteResult } from "./wire.ts";

/** The most that goes together. */
const MAX_STATEMENTS = 512;
const MAX_LENGTH = 1_000_000;
/** How many writes go alone after a group of them failed twice: where writes fail, more of them tend to. */
const APART = 256;
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
   * @param atomic whether one transaction holds them all; else it is a single one, behind what is asked before it
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
 * Only statements that were proven short may come here. The proof may be out of date when they are sent, because somebody has
 * defined a view or a trigger anew, and a second statement that runs out of its time is interrupted in a transaction alone. So
 * those that go together are always one, reads too. Of a group that came to nothing each is asked alone, by whoever asked for it
 * here; but of writes, of which the failing one is known, the others are tried together once more.
 */
export class Lane {
  readonly #options: LaneOptions;
  #waiting: Entry[] = [];
  #flying: readonly Entry[] = [];
  #armed = false;
  /** Writes that still go alone. */
  #apart = 0;
  #ticking: ReturnType<typeof setInterval> | undefined;

  constructor(options: LaneOptions) {
    this.#options = options;
  }

  /**
   * @returns `undefined` for one that has to be asked alone: nothing of it has happened
   * @throws GatewayError `UNAVAILABLE`, `OUTCOME_UNKNOWN`, `SQL_INVALID` for a value that SQLite cannot hold
   */
  run(statement: GroupedStatement): Promise<RqliteResult | undefined> {
    if (this.#apart > 0) {
      this.#apart--;
      return Promise.resolve(undefined);
    }
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
    const entries = this.#take();
    if (entries.length === 0) return;
    const { access, onGroup } = this.#options;
    this.#flying = entries;
    this.#ticking ??= setInterval(() => this.#tick(), TICK);
    onGroup(access, entries.length);
    try {
      await (access === "read" ? this.#read(entries) : this.#write(entries));
    } catch (error) {
      if (error instanceof GatewayError && OF_ONE_STATEMENT.has(error.code)) return alone(entries);
      // None of them is to blame for a request that was given up.
      const late = error instanceof GatewayError && error.code === "STATEMENT_TIMEOUT";
      for (const entry of entries) entry.reject(late ? unavailable(error) : error);
    } finally {
      this.#flying = [];
      this.#arm();
    }
  }

  async #read(entries: readonly Entry[]): Promise<void> {
    const before = this.#options.before?.(entries.some(({ statement }) => statement.wildcard));
    const answer = await this.#send(entries, before);
    if (entries.length > 1 && isLate(answer)) return alone(entries);
    const { results, error } = answer;
    const own = before ? 1 : 0;
    if (error !== undefined || results.length !== entries.length + own) throw unavailable(results);
    before?.seen(results[0]!);
    settle(entries, results, own);
  }

  async #write(entries: readonly Entry[]): Promise<void> {
    const answer = await this.#send(entries);
    if (entries.length === 1 || !isUndone(answer)) return written(entries, answer);
    // Whatever a deferred constraint stumbled over stands anywhere in it.
    const failed = answer.error === undefined && !isLate(answer) ? answer.results.length - 1 : undefined;
    if (failed === undefined) return alone(entries);
    alone([entries[failed]!]);
    const others = entries.filter(({ left }, at) => at !== failed && !left);
    if (others.length === 0) return;
    const again = await this.#send(others);
    if (others.length === 1 || !isUndone(again)) return written(others, again);
    this.#apart = APART;
    alone(others);
  }

  #send(entries: readonly Entry[], before?: Before): Promise<RqliteAnswer> {
    let body = before?.body ?? "", timeout = 0;
    for (const entry of entries) {
      body += body === "" ? entry.body : `,${entry.body}`;
      if (entry.statement.timeout > timeout) timeout = entry.statement.timeout;
    }
    return this.#options.send(body, timeout, entries.length > 1);
  }

  #take(): Entry[] {
    const entries: Entry[] = [];
    let length = 0, at = 0;
    for (; at < this.#waiting.length && entries.length < MAX_STATEMENTS; at++) {
      const entry = this.#waiting[at]!;
      if (entry.left) continue;
      if (length > 0 && length + entry.body.length > MAX_LENGTH) break;
      length += entry.body.length;
      entry.sent = true;
      entries.push(entry);
    }
    this.#waiting = at === this.#waiting.length ? [] : this.#waiting.slice(at);
    return entries;
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

/** Leaves them to whoever asked. */
function alone(entries: readonly Entry[]): void {
  for (const entry of entries) entry.resolve(undefined);
}

function settle(entries: readonly Entry[], results: readonly RqliteResult[], own: number): void {
  for (let i = 0; i < entries.length; i++) entries[i]!.resolve(results[i + own]);
}

/** @throws GatewayError `OUTCOME_UNKNOWN` when not each of them has its result */
function written(entries: readonly Entry[], { results, error }: RqliteAnswer): void {
  if (error !== undefined || results.length !== entries.length) throw outcomeUnknown(results);
  settle(entries, results, 0);
}

/** Whether it ran out of its time, which ends a transaction. */
function isLate({ results, error }: RqliteAnswer): boolean {
  const last = results.at(-1);
  return /^(query|execute) timeout$/.test(error ?? (last?.kind === "error" ? last.error : ""));
}

/**
 * Whether a transaction was undone: it ends with its first failure.
 * @throws GatewayError `OUTCOME_UNKNOWN` for one that went on behind a failure, and so was not undone
 */
function isUndone({ results, error }: RqliteAnswer): boolean {
  const failed = results.findIndex(({ kind }) => kind === "error");
  if (failed >= 0 && failed < results.length - 1) throw outcomeUnknown(results);
  return error !== undefined || failed >= 0;
}
