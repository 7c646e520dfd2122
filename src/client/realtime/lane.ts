import type { RealtimeClock } from "./platform.ts";

/** Milliseconds before what was refused for now is tried again, at least; and up to which that doubles where nothing was taken. */
const SHORTEST = 100, LONGEST = 5_000;

/** What a lane needs to know of a command. */
export interface InLane {
  /** By which the order is kept. */
  readonly number: number;
}

/**
 * Commands that keep their order: those that publish in one topic. What is refused for now holds back the others, and is tried again
 * before them; and no more go at once than were taken, until more are.
 */
export class Lane<Command extends InLane> {
  readonly #clock: RealtimeClock;
  readonly #goOn: () => void;
  #waiting = new Set<Command>();
  readonly #underWay = new Set<Command>();
  #refused: Command[] = [];
  #window = Infinity;
  #taken = 0;
  #failures = 0;
  /** Milliseconds for which the gateway asked. */
  #asked: number | undefined;
  #stopPause: (() => void) | undefined;
  #isGoingOn = false;

  /** @param goOn is called when more of them may go */
  constructor(clock: RealtimeClock, goOn: () => void) {
    this.#clock = clock;
    this.#goOn = goOn;
  }

  /** Whether nothing waits and nothing is under way. */
  get isEmpty(): boolean {
    return this.#waiting.size === 0 && this.#underWay.size === 0 && this.#refused.length === 0;
  }

  /** Those that are under way, in order. */
  get underWay(): readonly Command[] {
    return [...this.#underWay];
  }

  /** One more, behind all others. */
  add(command: Command): void {
    this.#waiting.add(command);
  }

  /** @returns the next that may go, which is under way from now on */
  next(): Command | undefined {
    if (this.#asked !== undefined || this.#underWay.size >= this.#window) return undefined;
    const [command] = this.#waiting;
    if (command === undefined) return undefined;
    this.#waiting.delete(command);
    this.#underWay.add(command);
    return command;
  }

  /** One was taken. */
  taken(): void {
    this.#taken++;
    this.#window++;
    this.#failures = 0;
  }

  /** One that is under way was refused for now. @param retryAfter milliseconds */
  refuse(command: Command, retryAfter: number): void {
    if (this.#asked === undefined) {
      this.#window = Math.max(1, this.#taken);
      this.#taken = 0;
    }
    this.#asked = Math.max(this.#asked ?? 0, retryAfter);
    this.putBack(command);
  }

  /** One that is under way is not, after all. */
  putBack(command: Command): void {
    this.#underWay.delete(command);
    this.#refused.push(command);
  }

  /** One is done with, wherever it is. */
  remove(command: Command): void {
    this.#waiting.delete(command);
    this.#underWay.delete(command);
    const at = this.#refused.indexOf(command);
    if (at >= 0) this.#refused.splice(at, 1);
  }

  /** To be called behind all that happens to it: goes on as soon as that may be. */
  settle(): void {
    if (this.isEmpty) return this.#endPause();
    if (this.#asked === undefined) return this.#goesOn();
    // Behind one that is still under way, the first might overtake it.
    if (this.#underWay.size > 0 || this.#stopPause !== undefined) return;
    const least = Math.min(SHORTEST * 2 ** this.#failures++, LONGEST);
    const pause = Math.max(this.#asked, least) + this.#clock.random() * least;
    this.#stopPause = this.#clock.after(pause, () => {
      this.#endPause();
      this.#putInOrder();
      this.#goesOn();
    });
  }

  #goesOn(): void {
    // Whoever goes on comes back here with each that cannot be sent.
    if (this.#isGoingOn) return;
    this.#isGoingOn = true;
    this.#goOn();
    this.#isGoingOn = false;
  }

  /** There is another gateway, or none: everything waits, and nothing is known of what is taken. */
  reset(): void {
    this.#endPause();
    this.#refused.push(...this.#underWay);
    this.#underWay.clear();
    this.#putInOrder();
    this.#window = Infinity;
    this.#taken = this.#failures = 0;
  }

  #endPause(): void {
    this.#stopPause?.();
    this.#stopPause = undefined;
    this.#asked = undefined;
  }

  #putInOrder(): void {
    if (this.#refused.length === 0) return;
    const first = this.#refused.sort((a, b) => a.number - b.number);
    this.#waiting = new Set([...first, ...this.#waiting]);
    this.#refused = [];
  }
}
