import type { FunctionLogs, LoggedInvocation, LogLine, LogQuery } from "../../../src/contracts/function_logs.ts";
import type { FunctionVersion } from "../../../src/contracts/functions.ts";
import { GatewayError, hasCode } from "../../../src/contracts/errors.ts";
import type { RequestContext } from "../../../src/contracts/request.ts";
import type { Clock } from "../../clock/clock.ts";
import type { ControlDatabase } from "../../control_plane/control_database.ts";
import type { RevocationFeed } from "../../control_plane/revocations.ts";
import type { FunctionDirectory, GuestNote, InvocationLog } from "../parts.ts";
import { isLogId, LogIds } from "./ids.ts";
import type { RateBounds } from "./rate.ts";
import { LogRetention, type RetentionParts } from "./retention.ts";
import { type Logged, LogRows } from "./rows.ts";
import { Tails } from "./tails.ts";
import { keptText } from "./text.ts";
import { LogWriter } from "./writer.ts";

/** What the log is made of. */
export interface FunctionLogOptions {
  readonly control: ControlDatabase;
  readonly directory: Pick<FunctionDirectory, "resolve">;
  readonly revocations: Pick<RevocationFeed, "onRevoked">;
  readonly rulesOf: RetentionParts["rulesOf"];
  readonly clock: Clock;
  /** Gives n random bytes. */
  readonly random: (n: number) => Uint8Array;
  /** Names this gateway among those that share the control plane. */
  readonly holder: string;
  /** Told of what failed in the background: rows that cannot be written, or not removed. */
  readonly onError: (error: unknown) => void;
  /** Rows of each kind that are kept of one function. Default 10,000. */
  readonly maxRows?: number | undefined;
  /** Bytes of lines that may wait to be written, and as many of invocations. Default 32 MiB. */
  readonly bufferBytes?: number | undefined;
  /** Of these, what one namespace may have. Default 4 MiB. */
  readonly bufferBytesEach?: number | undefined;
  /** How fast one namespace may log lines, and as fast calls. Default 256 KiB a second, and 4 MiB at once. */
  readonly rateEach?: RateBounds | undefined;
  /** Followers on this gateway. Default 512. */
  readonly maxFollowers?: number | undefined;
  /** Followers of one namespace on this gateway. Default 32. */
  readonly maxFollowersEach?: number | undefined;
}

/** What was dropped of a function's rows since it was last said. */
interface Dropped {
  readonly of: FunctionVersion;
  readonly requestId: string;
  count: number;
}

/** Rows in one answer, at most. */
const MOST = 1_000;
/** How fast one namespace may log. */
const RATE: RateBounds = { bytesPerSecond: 256 * 1024, burst: 4 * 2 ** 20 };
/** Functions of which it is remembered that rows were dropped. */
const MAX_DROPPED = 1_000;
/** Milliseconds to find out whether a function is still there. */
const PATIENCE = 5_000;

/**
 * What functions logged, in the control plane: written half a second behind, and never in a call's way. Rows name functions by their
 * ids, and whose function is gone, no row is written for: so nobody who takes a name later sees what was logged under it.
 */
export class FunctionLog implements FunctionLogs, InvocationLog {
  readonly #options: FunctionLogOptions;
  readonly #ids: LogIds;
  readonly #rows: LogRows;
  readonly #writer: LogWriter;
  readonly #tails: Tails;
  readonly #retention: LogRetention;
  readonly #dropped = new Map<string, Dropped>();
  #droppedInAll = 0;

  constructor(options: FunctionLogOptions) {
    const { control, clock, random, onError, revocations, holder, rulesOf } = options;
    const { bufferBytes = 32 * 2 ** 20, bufferBytesEach = 4 * 2 ** 20, maxRows = 10_000, rateEach = RATE } = options;
    this.#options = options;
    this.#ids = new LogIds(() => clock.now(), random);
    const rows = this.#rows = new LogRows(control);
    const bounds = { bytes: bufferBytes, bytesEach: bufferBytesEach, rateEach };
    this.#writer = new LogWriter({ rows, clock, bounds, onRoom: () => this.#tellDropped(), onError });
    const { maxFollowers = 512, maxFollowersEach = 32 } = options;
    this.#tails = new Tails({ rows, clock, maxFollowers, maxFollowersEach });
    this.#retention = new LogRetention({ control, rows, clock, holder, rulesOf, maxRows, onError });
    revocations.onRevoked(({ kind, id }) => {
      if (kind === "namespace") this.#drop(({ namespace }) => namespace === id);
    });
  }

  /** Begins to forget what is too old or too much, once a minute, unless another gateway does. */
  start(): void {
    this.#retention.start();
  }

  /** Rows that were dropped since the gateway started, because more came than could be written; and those who follow now. */
  figures(): { readonly dropped: number; readonly waiting: number; readonly followers: number } {
    return { dropped: this.#droppedInAll, waiting: this.#writer.waiting, followers: this.#tails.followers };
  }

  line(of: FunctionVersion, requestId: string, { level, message, at }: GuestNote & { readonly at: number }): void {
    const { version } = of;
    const line = { id: this.#ids.next(), at: Math.floor(at), level, message: keptText(message), requestId, version };
    if (!this.#add(of, line)) this.#remember(of, requestId);
    // Whoever follows sees it also where there is no room to write it down.
    this.#tails.tell(of.id, line);
  }

  invocation(of: FunctionVersion, invocation: Omit<LoggedInvocation, "id">): void {
    const { requestId, attempt, trigger, triggerId, caller, startedAt, duration, status } = invocation;
    const error = invocation.error === undefined ? null : keptText(invocation.error);
    const values = [
      of.namespace,
      of.id,
      this.#ids.next(),
      invocation.version,
      requestId,
      attempt,
      trigger,
      triggerId ?? null,
      caller === undefined ? null : keptText(caller),
      Math.floor(startedAt),
      Math.round(duration * 1_000) / 1_000,
      status,
      invocation.inputBytes,
      invocation.outputBytes,
      invocation.memoryBytes,
      invocation.hostCalls,
      invocation.coldStart ? 1 : 0,
      error,
    ] as const;
    const bytes = 2 * ROW_BYTES + 2 * (error?.length ?? 0);
    if (!this.#writer.add("function_invocations", { namespace: of.namespace, functionId: of.id, values, bytes })) {
      this.#remember(of, requestId);
    }
  }

  async lines(
    namespace: string,
    name: string,
    query: LogQuery,
    { signal }: RequestContext,
  ): Promise<readonly LogLine[]> {
    const of = await this.#find(namespace, name, signal);
    await this.#writer.settle(of.functionId, signal);
    return await this.#rows.lines(of, bounded(query), signal);
  }

  async invocations(
    namespace: string,
    name: string,
    query: Pick<LogQuery, "limit" | "before" | "requestId">,
    { signal }: RequestContext,
  ): Promise<readonly LoggedInvocation[]> {
    const of = await this.#find(namespace, name, signal);
    await this.#writer.settle(of.functionId, signal);
    const { limit, before, requestId } = bounded(query);
    return await this.#rows.invocations(of, { limit, before, requestId }, signal);
  }

  async follow(
    namespace: string,
    name: string,
    since: string | undefined,
    { signal }: RequestContext,
  ): Promise<AsyncIterable<readonly LogLine[]>> {
    if (since !== undefined && !isLogId(since)) throw noPlace("since");
    const of = await this.#find(namespace, name, signal);
    if (since !== undefined) await this.#writer.settle(of.functionId, signal);
    return this.#tails.follow(of, since, () => this.#lives(of, name), signal);
  }

  /** Removes everything of a namespace. @throws the signal's reason, GatewayError `UNAVAILABLE` */
  async purge(namespace: string, signal: AbortSignal): Promise<void> {
    this.#drop((of) => of.namespace === namespace);
    await this.#retention.purge(namespace, signal);
  }

  /** Writes what waits, as far as that is possible in a few seconds, and ends everybody's following. */
  async close(): Promise<void> {
    this.#tails.end(() => true);
    await Promise.all([this.#retention.close(), this.#writer.close()]);
  }

  async #find(namespace: string, name: string, signal: AbortSignal): Promise<Logged> {
    const { id } = await this.#options.directory.resolve(namespace, name, undefined, () => 0, signal);
    return { namespace, functionId: id };
  }

  async #lives(of: Logged, name: string): Promise<boolean> {
    try {
      return (await this.#find(of.namespace, name, AbortSignal.timeout(PATIENCE))).functionId === of.functionId;
    } catch (error) {
      return !hasCode(error, "NOT_FOUND");
    }
  }

  #drop(isGone: (of: Logged) => boolean): void {
    this.#writer.drop(isGone);
    this.#tails.end(isGone);
    for (const [functionId, { of: { namespace } }] of this.#dropped) {
      if (isGone({ namespace, functionId })) this.#dropped.delete(functionId);
    }
  }

  #remember(of: FunctionVersion, requestId: string): void {
    this.#droppedInAll++;
    const known = this.#dropped.get(of.id);
    if (known) known.count++;
    else if (this.#dropped.size < MAX_DROPPED) this.#dropped.set(of.id, { of, requestId, count: 1 });
  }

  /** Says what was dropped, as soon as there is room to say it. */
  #tellDropped(): void {
    for (const [id, { of, requestId, count }] of this.#dropped) {
      const message = `${count} lines or calls were not written down: more came than could be written`;
      const at = Math.floor(this.#options.clock.now());
      const line = { id: this.#ids.next(), at, level: "warn", message, requestId, version: of.version } as const;
      if (!this.#add(of, line, true)) continue;
      this.#dropped.delete(id);
      this.#tails.tell(id, line);
    }
  }

  #add(of: FunctionVersion, { id, version, at, level, requestId, message }: LogLine, isNotice = false): boolean {
    const row = {
      namespace: of.namespace,
      functionId: of.id,
      values: [of.namespace, of.id, id, version, at, level, requestId, message],
      bytes: ROW_BYTES + 2 * message.length,
    } as const;
    return this.#writer.add("function_logs", row, isNotice);
  }
}

/** What a row takes in memory beside its text, roughly. */
const ROW_BYTES = 300;

function bounded<Query extends Pick<LogQuery, "limit" | "before">>(query: Query): Query {
  if (query.before !== undefined && !isLogId(query.before)) throw noPlace("before");
  return { ...query, limit: Math.min(Math.max(1, Math.floor(query.limit) || 1), MOST) };
}

const noPlace = (field: string) =>
  new GatewayError("INVALID_REQUEST", `${field}: not an id of this log`, {
    details: [{ field, problem: "not an id of this log" }],
  });
