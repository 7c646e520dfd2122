import { LONGEST } from "../deadline.ts";
import { OramaError } from "../errors.ts";
import { unknownOutcome } from "../outcome.ts";
import { Lane } from "./lane.ts";
import type { Link } from "./link.ts";
import type { RealtimeClock } from "./platform.ts";
import { errorIn, type Told } from "./wire.ts";

/** How a command runs. */
export interface CommandOptions {
  /** Whether it changes nothing. */
  readonly effect: "read" | "write";
  /** Whether a write may be sent again over another connection, because the gateway knows it by its key. */
  readonly hasKey: boolean;
  /** Where it publishes: those of one topic keep their order. */
  readonly topic: string | undefined;
  /** Milliseconds for all of it, waiting for a connection included. */
  readonly timeout: number;
  readonly signal: AbortSignal | undefined;
}

interface Command extends CommandOptions {
  readonly number: number;
  readonly members: string;
  readonly resolve: (told: Told) => void;
  readonly reject: (reason: unknown) => void;
  readonly lane: Lane<Command>;
  /** By {@link RealtimeClock}, when its time is over. */
  readonly deadline: number;
  /** Takes it back from the link that has it. */
  withdraw: () => void;
  /** Whether it has left over that link, and is not answered. */
  isSent: boolean;
  /** Whether an earlier link took it, and ended without an answer. */
  maybeApplied: boolean;
  /** Whether its key is counted on. */
  isKeyed: boolean;
  /** Why it was not taken when it was tried last. */
  refusal: OramaError | undefined;
  readonly stop: (() => void)[];
}

/** Milliseconds for which a key is counted on, at most; a gateway remembers it for 5 minutes, unless too many others come. */
const KEY_LIFE = 4 * 60_000;

/** Answers to a repetition that tell of the first try as well: it was judged in the same way, or had happened. */
const JUDGED = ["INVALID_REQUEST", "BODY_TOO_LARGE", "IDEMPOTENCY_KEY_REUSED"];

/** Commands that wait for a connection or an answer, in the order in which they were given. */
export class Commands {
  readonly #clock: RealtimeClock;
  readonly #bound: number;
  readonly #waiting = new Set<Command>();
  readonly #lanes = new Map<string, Lane<Command>>();
  #numbers = 0;
  #size = 0;
  #link: Link | undefined;
  #refusal: OramaError | undefined;

  /** @param bound characters of all that wait, at most */
  constructor(clock: RealtimeClock, bound: number) {
    this.#clock = clock;
    this.#bound = bound;
  }

  /**
   * Sends a command as soon as there is a connection, and the gateway takes so many. What it refuses for now is tried again.
   * @param members as JSON text of an object
   * @throws OramaError the gateway's own; `OUTCOME_UNKNOWN` for a write that was sent, and of which no answer tells; `TIMEOUT`,
   * `QUEUE_FULL` and whatever keeps the connection from being made, for what was not sent; the signal's reason
   */
  run(members: string, options: CommandOptions): Promise<Told> {
    const { timeout, signal, topic = "" } = options;
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      if (this.#refusal !== undefined) throw this.#refusal;
      if (!(timeout > 0 && timeout <= LONGEST)) {
        throw new RangeError(`requestTimeout must be 1 to ${LONGEST} milliseconds, not ${timeout}`);
      }
      if (this.#waiting.size > 0 && this.#size + members.length > this.#bound) throw queueFull(this.#bound);
      const command: Command = {
        ...options,
        number: ++this.#numbers,
        members,
        resolve,
        reject,
        lane: this.#laneOf(topic),
        deadline: this.#clock.monotonic() + timeout,
        withdraw: () => {},
        isSent: false,
        maybeApplied: false,
        isKeyed: false,
        refusal: undefined,
        stop: [],
      };
      this.#waiting.add(command);
      command.lane.add(command);
      this.#size += members.length;
      command.stop.push(this.#clock.after(timeout, () => this.#giveUp(command, command.refusal ?? tooLate())));
      if (signal !== undefined) {
        const left = () => this.#giveUp(command, signal.reason);
        signal.addEventListener("abort", left, { once: true });
        command.stop.push(() => signal.removeEventListener("abort", left));
      }
      command.lane.settle();
    });
  }

  /** There is a connection: what waits is sent, what was sent before included. */
  attach(link: Link): void {
    this.#refusal = undefined;
    this.#link = link;
    for (const { lane } of [...this.#waiting]) this.#sendNext(lane);
  }

  /** The connection broke off. */
  detach(): void {
    this.#link = undefined;
    for (const lane of this.#lanes.values()) lane.reset();
    for (const command of [...this.#waiting]) {
      if (!command.isSent) continue;
      command.isSent = false;
      command.maybeApplied = true;
      if (command.effect === "write" && !command.hasKey) this.#giveUp(command, broken());
    }
  }

  /** No connection will come: what waits fails, and what comes too, until there is one all the same. */
  refuse(error: OramaError): void {
    this.#refusal = error;
    for (const command of [...this.#waiting]) this.#giveUp(command, error);
  }

  /** One is tried again. */
  allow(): void {
    this.#refusal = undefined;
  }

  #laneOf(topic: string): Lane<Command> {
    const known = this.#lanes.get(topic);
    if (known !== undefined) return known;
    const lane: Lane<Command> = new Lane(this.#clock, () => {
      while (this.#sendNext(lane));
    });
    this.#lanes.set(topic, lane);
    return lane;
  }

  /** @returns whether there was one that may go */
  #sendNext(lane: Lane<Command>): boolean {
    const link = this.#link, command = link && lane.next();
    if (link === undefined || command === undefined) return false;
    const { members, topic } = command;
    if (!link.fits(members)) {
      const problem = "it is larger than a frame that the gateway takes";
      this.#giveUp(command, new OramaError(problem, { code: "BODY_TOO_LARGE" }));
      return true;
    }
    const sent = () => this.#sent(command);
    command.withdraw = link.ask(members, (told) => this.#answer(command, told), { sent, topic });
    return true;
  }

  #sent(command: Command): void {
    const { effect, hasKey, timeout, stop } = command;
    command.isSent = true;
    if (effect !== "write" || !hasKey || timeout <= KEY_LIFE || command.isKeyed) return;
    command.isKeyed = true;
    stop.push(this.#clock.after(KEY_LIFE, () => this.#giveUp(command, tooLate())));
  }

  #answer(command: Command, told: Told): void {
    if (!this.#waiting.has(command)) return;
    command.isSent = false;
    if (told.type === "ok") {
      command.lane.taken();
      this.#remove(command);
      return command.resolve(told);
    }
    const error = errorIn(told);
    if (error.code === "RATE_LIMITED" && error.retryAfter !== undefined) {
      return this.#again(command, error, error.retryAfter * 1_000);
    }
    this.#fail(command, error);
  }

  #fail(command: Command, error: OramaError): void {
    this.#remove(command);
    const isOpen = command.effect === "write" && command.maybeApplied && !JUDGED.includes(error.code);
    command.reject(isOpen ? unknownOutcome(error) : error);
  }

  /** Nothing came of it this time: it is tried again, and what is to stay behind it with it. */
  #again(command: Command, error: OramaError, retryAfter: number): void {
    const { lane } = command;
    command.refusal = error;
    lane.refuse(command, retryAfter);
    for (const one of lane.underWay) {
      if (one.isSent) continue;
      one.withdraw();
      lane.putBack(one);
    }
    if (this.#clock.monotonic() + retryAfter >= command.deadline) this.#fail(command, error);
    else lane.settle();
  }

  #giveUp(command: Command, reason: unknown): void {
    if (!this.#remove(command)) return;
    const isOpen = command.effect === "write" && (command.maybeApplied || command.isSent);
    command.reject(isOpen ? unknownOutcome(reason) : reason);
  }

  #remove(command: Command): boolean {
    if (!this.#waiting.delete(command)) return false;
    const { members, lane, topic = "" } = command;
    this.#size -= members.length;
    for (const stop of command.stop) stop();
    command.withdraw();
    lane.remove(command);
    lane.settle();
    if (lane.isEmpty && this.#lanes.get(topic) === lane) this.#lanes.delete(topic);
    return true;
  }
}

const tooLate = () => new OramaError("no answer came in time", { code: "TIMEOUT" });

const broken = () => new OramaError("the connection broke off", { code: "NETWORK_ERROR" });

const queueFull = (bound: number) =>
  new OramaError(`commands of ${bound} characters wait for the gateway already: wait for some of them`, {
    code: "QUEUE_FULL",
  });
