import { type GroupedStatement, Lane, type LaneOptions } from "../../../services/rqlite/groups.ts";
import type { RqliteAnswer, RqliteResult } from "../../../services/rqlite/wire.ts";
import { type ErrorCode, GatewayError } from "../../../src/contracts/errors.ts";

const waiter = { signal: new AbortController().signal };
/** A statement with a number for its argument. */
export const statement = (n: number, more: Partial<GroupedStatement> = {}): GroupedStatement => (
  { text: '"S ?"', args: [n], timeout: 1_000, waiter, wildcard: false, ...more }
);
/** That an error has this code. */
export const is = (code: ErrorCode) => (error: unknown) => error instanceof GatewayError && error.code === code;

/** What a lane has sent, and when it is answered: by default with the number of each statement. */
export class Engine {
  readonly sent: number[][] = [];
  readonly bodies: string[] = [];
  readonly timeouts: number[] = [];
  /** Whether each request was one transaction. */
  readonly atomic: boolean[] = [];
  readonly groups: number[] = [];
  readonly #answers: ((answer: RqliteAnswer | Error) => void)[] = [];
  readonly lane: Lane;

  constructor(more: Partial<LaneOptions> = {}) {
    this.lane = new Lane({
      access: "write",
      send: (body, timeout, atomic) => {
        this.atomic.push(atomic);
        return this.#take(body, timeout);
      },
      onGroup: (_access, count) => this.groups.push(count),
      ...more,
    });
  }

  get inFlight(): number {
    return this.#answers.length;
  }

  answer(answer?: RqliteAnswer | Error): void {
    const results = this.sent[this.sent.length - this.#answers.length]!.map(change);
    this.#answers.shift()!(answer ?? { results, error: undefined });
  }

  async #take(body: string, timeout: number): Promise<RqliteAnswer> {
    this.bodies.push(body);
    this.sent.push((JSON.parse(`[${body}]`) as unknown[][]).map((one) => Number(one[1] ?? -1)));
    this.timeouts.push(timeout);
    const { promise, resolve } = Promise.withResolvers<RqliteAnswer | Error>();
    this.#answers.push(resolve);
    const answer = await promise;
    if (answer instanceof Error) throw answer;
    return answer;
  }
}

/** What the write with this number gives. */
export const change = (n: number): RqliteResult => ({ kind: "change", lastInsertId: n, rowsAffected: 1 });
/** Lets everything happen that waits for nothing. */
export const turn = () => new Promise<void>((resolve) => setTimeout(resolve, 0));

/** A statement that a constraint refused. */
export const failure: RqliteResult = { kind: "error", error: "UNIQUE constraint failed: t.a" };
/** A transaction that its second statement ended. */
export const undone: RqliteAnswer = { results: [change(1), failure], error: undefined };
