import type { LogLevel } from "../../../src/contracts/function_logs.ts";
import type { GuestCall, GuestNote, GuestOutcome, GuestReply, GuestTask } from "../parts.ts";
import { Blocks, Variables } from "./blocks.ts";
import { type Ending, endingOf, STOP } from "./endings.ts";
import { LineWriter, LogLines } from "./lines.ts";
import { GuestMemory } from "./memory.ts";
import { Output } from "./output.ts";

/** What a call asks of the parent while it runs. */
export interface Parent {
  /** Waits for the reply. */
  call(call: GuestCall): unknown;
  note(note: GuestNote): void;
  /** Sends what waits, before the call sleeps. */
  flush(): void;
}

/** Why the last host call failed, for `last_error`. */
export interface CallError {
  readonly code: string;
  readonly message: string;
}

const NOTHING = new Uint8Array(0);
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Everything that one call of a function has; nothing of it outlives the call. */
export class Call {
  readonly memory = new GuestMemory();
  readonly lines: LogLines;
  /** Its answer. */
  readonly output = new Output();
  readonly stderr: LineWriter;
  /** What a plug-in writes to standard output, which is not its answer. */
  readonly chatter: LineWriter;
  /** How far it has read its standard input. */
  read = 0;
  /** Which of its file descriptors are which of the three that it began with; closed ones are none. */
  readonly descriptors: (number | undefined)[] = [0, 1, 2];
  /** Memory of a plug-in beside its own. */
  readonly blocks: Blocks;
  /** What a plug-in remembers by name. */
  readonly variables = new Variables();
  /** Which part of its blocks a plug-in has named as its answer. */
  answer: { readonly offset: number; readonly length: number } | undefined;
  /** The block with the words of the error that a plug-in has reported; 0 for none. */
  error = 0;
  lastError: CallError | undefined;
  #calls = 0;
  #ending: Ending | undefined;
  /** Pages that its memory had when it failed. */
  #pages: number | undefined;
  #bug: { readonly error: unknown } | undefined;
  readonly #parent: Parent;

  /**
   * @param started when it began, by the clock that nobody sets
   * @param plugIn whether it is one of a plug-in, whose answer is not what it writes
   */
  constructor(readonly task: GuestTask, readonly plugIn: boolean, readonly started: number, parent: Parent) {
    this.blocks = new Blocks(plugIn ? task.input : NOTHING, task.limits.pages);
    this.#parent = parent;
    this.lines = new LogLines(task.limits.log, (note) => this.#outside(() => parent.note(note)));
    this.stderr = new LineWriter(this.lines, "warn");
    this.chatter = new LineWriter(this.lines, "info");
  }

  /** Whether it has ended, whatever the module believes. */
  get over(): boolean {
    return this.#ending !== undefined;
  }

  /** Ends it; of several endings the first counts. @throws STOP always */
  stop(ending: Ending): never {
    this.#ending ??= ending;
    throw STOP;
  }

  /** Ends it for what was thrown while it ran. */
  endFor(error: unknown): void {
    if (error === STOP || this.#ending) return;
    const { memory, task: { limits } } = this;
    this.#pages = memory.pages;
    this.#ending = endingOf(error, () => memory.pages >= limits.pages || memory.scarce);
  }

  /** Writes to its answer. @throws STOP when that is longer than it may be */
  write(bytes: Uint8Array): void {
    this.checkOutput(this.output.length + bytes.length);
    this.output.write(bytes);
  }

  /** @throws STOP when an answer of so many bytes is longer than it may be */
  checkOutput(length: number): void {
    const { output } = this.task.limits;
    if (length > output) this.stop({ end: "output", message: "" });
  }

  /** Logs one line. */
  log(level: LogLevel, bytes: Uint8Array): void {
    this.lines.add(level, bytes);
  }

  /** Counts a host call. @throws STOP when it is one too many */
  count(): void {
    const { calls } = this.task.limits;
    if (this.#calls === calls) this.stop({ end: "calls", message: "" });
    this.#calls++;
  }

  /** Remembers why a host call failed. */
  fail(code: string, message: string): undefined {
    this.lastError = { code, message };
  }

  /** The text that the module means; `undefined`, with the error remembered, for what is no UTF-8. */
  text(bytes: Uint8Array): string | undefined {
    try {
      return decoder.decode(bytes);
    } catch {
      return this.fail("INVALID_UTF8", "a text must be UTF-8");
    }
  }

  /** Asks the parent, and waits for the reply. */
  ask(call: GuestCall): GuestReply {
    return this.#outside(() => this.#parent.call(call)) as GuestReply;
  }

  /** Sends what waits, before it sleeps. */
  flush(): void {
    this.#outside(() => this.#parent.flush());
  }

  /**
   * How it ended.
   * @throws what went wrong with the pipe to the parent: nothing that is written to it then would be understood
   */
  outcome(output: Uint8Array): GuestOutcome {
    try {
      this.stderr.flush();
      this.chatter.flush();
    } catch {
      // Whatever went wrong with the pipe, now or before, is thrown here.
    }
    if (this.#bug) throw this.#bug.error;
    const pages = this.#pages ?? this.memory.pages;
    const ending = this.#ending ?? { end: "done", message: "" };
    const calls = this.#calls;
    return { ...ending, output: ending.end === "done" ? output : NOTHING, pages, calls };
  }

  /** Uses the pipe. What is thrown there ends the process, once the module has been left. */
  #outside<T>(use: () => T): T {
    if (this.#bug) throw STOP;
    reserveStack(RESERVE);
    try {
      return use();
    } catch (error) {
      this.#bug ??= { error };
      return this.stop({ end: "trap", message: "" });
    }
  }
}

/** Frames of JavaScript, far more than the pipe needs. */
const RESERVE = 400;

/**
 * A module may call when its stack is all but full. Running over within the pipe would leave half a message there, so it has to
 * happen before. @throws RangeError
 */
function reserveStack(frames: number): number {
  return frames === 0 ? 0 : reserveStack(frames - 1) + 1;
}
