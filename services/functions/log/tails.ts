import { GatewayError } from "../../../src/contracts/errors.ts";
import type { LogLine } from "../../../src/contracts/function_logs.ts";
import type { Clock } from "../../clock/clock.ts";
import type { Follower } from "./follower.ts";
import type { Logged, LogRows } from "./rows.ts";
import { Tail } from "./tail.ts";

/** What following needs. */
export interface TailsParts {
  readonly rows: Pick<LogRows, "linesAfter">;
  readonly clock: Clock;
  /** Followers of all namespaces. */
  readonly maxFollowers: number;
  /** Followers of one namespace. */
  readonly maxFollowersEach: number;
}

/** Those who follow lines on this gateway: one tail for each function that somebody follows. */
export class Tails {
  readonly #tails = new Map<string, Tail>();
  readonly #followersOf = new Map<string, number>();
  #followers = 0;

  constructor(private readonly parts: TailsParts) {}

  /** Those who follow now. */
  get followers(): number {
    return this.#followers;
  }

  /**
   * Follows a function until the signal fires.
   * @param since a line's id
   * @param lives whether the function is still the one that was meant
   * @throws GatewayError `TOO_MANY_LISTENERS`
   */
  follow(of: Logged, since: string | undefined, lives: () => Promise<boolean>, signal: AbortSignal): Follower {
    const { maxFollowers, maxFollowersEach, rows, clock } = this.parts;
    const each = this.#followersOf.get(of.namespace) ?? 0;
    if (each >= maxFollowersEach) throw tooMany(`${maxFollowersEach} follow functions of this namespace already`);
    if (this.#followers >= maxFollowers) throw tooMany(`${maxFollowers} follow functions on this gateway already`);
    let tail = this.#tails.get(of.functionId);
    if (tail === undefined) {
      const onEmpty = () => {
        if (this.#tails.get(of.functionId) === tail) this.#tails.delete(of.functionId);
      };
      tail = new Tail(of, { rows, clock, lives, onEmpty });
      this.#tails.set(of.functionId, tail);
    }
    this.#followers++;
    this.#followersOf.set(of.namespace, each + 1);
    const end = () => follower.end();
    const follower = tail.follow(since, () => {
      signal.removeEventListener("abort", end);
      this.#left(of.namespace);
    });
    signal.addEventListener("abort", end, { once: true });
    if (signal.aborted) end();
    return follower;
  }

  /** A line of this gateway. */
  tell(functionId: string, line: LogLine): void {
    if (this.#tails.size > 0) this.#tails.get(functionId)?.tell(line);
  }

  /** Ends following what is gone. */
  end(isGone: (of: Logged) => boolean): void {
    for (const tail of [...this.#tails.values()]) if (isGone(tail.of)) tail.close();
  }

  #left(namespace: string): void {
    this.#followers--;
    const each = this.#followersOf.get(namespace)! - 1;
    if (each === 0) this.#followersOf.delete(namespace);
    else this.#followersOf.set(namespace, each);
  }
}

const tooMany = (sentence: string) => new GatewayError("TOO_MANY_LISTENERS", sentence, { retryAfter: 5 });
