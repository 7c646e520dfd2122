import type { LogLine } from "../../../src/contracts/function_logs.ts";

/** Lines that wait for a follower, and what they may take in memory, roughly; lines in one delivery. */
const MAX_LINES = 1_000, MAX_BYTES = 1024 * 1024, DELIVERY = 200;

/** What a follower reads before it hears of lines as they come. */
export interface CatchUp {
  /** The next lines that were written before, oldest first; none: it stands where the others stand. */
  next(): Promise<readonly LogLine[]>;
}

/** Somebody who follows a function's lines: they wait here until they are read, the oldest of too many are dropped. */
export class Follower implements AsyncIterableIterator<readonly LogLine[]> {
  #queue: LogLine[] = [];
  #bytes = 0;
  #dropped = 0;
  #lastDropped: LogLine | undefined;
  #waiting: PromiseWithResolvers<void> | undefined;
  #ended = false;

  /** @param over called once, when it is over */
  constructor(private catchUp: CatchUp | undefined, private readonly over: () => void) {}

  /** Takes a line that is new to it. */
  push(line: LogLine): void {
    if (this.#ended) return;
    this.#queue.push(line);
    this.#bytes += bytesOf(line);
    while (this.#queue.length > MAX_LINES || this.#bytes > MAX_BYTES && this.#queue.length > 1) {
      this.#lastDropped = this.#queue.shift()!;
      this.#bytes -= bytesOf(this.#lastDropped);
      this.#dropped++;
    }
    this.#wake();
  }

  async next(): Promise<IteratorResult<readonly LogLine[], undefined>> {
    for (;;) {
      if (this.#ended) return { done: true, value: undefined };
      if (this.catchUp !== undefined) {
        const lines = await this.#missed(this.catchUp);
        if (this.#ended) continue;
        if (lines.length > 0) return { done: false, value: lines };
        this.catchUp = undefined;
      }
      if (this.#queue.length > 0) return { done: false, value: this.#take() };
      await (this.#waiting ??= Promise.withResolvers<void>()).promise;
    }
  }

  return(): Promise<IteratorResult<readonly LogLine[], undefined>> {
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Nothing comes any more. Does nothing the second time. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#queue = [];
    this.#wake();
    this.over();
  }

  async #missed(catchUp: CatchUp): Promise<readonly LogLine[]> {
    try {
      return await catchUp.next();
    } catch (error) {
      const wasOver = this.#ended;
      this.end();
      if (wasOver) return [];
      throw error;
    }
  }

  #take(): readonly LogLine[] {
    const lines = this.#queue.splice(0, DELIVERY);
    for (const line of lines) this.#bytes -= bytesOf(line);
    lines.sort((a, b) => a.id < b.id ? -1 : 1);
    const last = this.#lastDropped;
    if (last === undefined) return lines;
    const message = `${this.#dropped} lines are not shown: they came faster than they were read`;
    this.#lastDropped = undefined;
    this.#dropped = 0;
    // It stands for what was dropped: whoever goes on behind it has lost nothing but that.
    return [{ ...last, level: "warn", message }, ...lines];
  }

  #wake(): void {
    this.#waiting?.resolve();
    this.#waiting = undefined;
  }
}

const bytesOf = ({ message }: LogLine) => 200 + 2 * message.length;
