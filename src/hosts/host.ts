import { Deadline } from "./deadline.ts";
import { FrameReader, FrameWriter, type Order, type Report } from "./protocol.ts";
import { type HostProcess, type HostProgram, spawnHost } from "./spawn.ts";
import { HostStream } from "./stream.ts";

/** Why a host is no more. `crashed`: nobody here ended it, or it said what is no message. */
export type EndReason = "deadline" | "crashed" | "evicted" | "idle" | "closed";

/** The end of a host, as everybody learns it who waited for something from it. */
export class HostEnded extends Error {
  override readonly name = "HostEnded";

  /**
   * @param running whether it was this one's turn when the host ended: of the others the host had not begun, or had begun only
   *   what it knew to be short
   */
  constructor(readonly reason: EndReason, readonly running: boolean, sentence: string) {
    super(sentence);
  }
}

/** Who is told what, beside whoever waits for an answer. All are called at once and must not throw. */
export interface HostListeners {
  /** A line that the host wrote to standard error; beyond a bound there are no more. */
  readonly onLine: (line: string) => void;
  /** Nothing is asked of it any more. */
  readonly onIdle?: (() => void) | undefined;
  readonly onEnd?: ((reason: EndReason) => void) | undefined;
}

/**
 * How many batches of requests may be unanswered. What is asked meanwhile goes in the next one: under load a wakeup of the host, and
 * one of this process, is for many requests. Two, so that the host has work while this process reads its answers.
 */
const MAX_FLIGHTS = 2;

interface Waiter {
  readonly id: number;
  readonly timeout: number;
  readonly resolve: (body: unknown) => void;
  readonly reject: (error: Error) => void;
}

/**
 * One host: a child process that works off what it is asked, in order, one after the other. The parent holds the clock: the time
 * of a request runs only while it is its turn, and when it is over the process is killed, because what runs in it may not be
 * interruptible at all.
 */
export class Host {
  /** Resolves when the process is gone and everybody has been told. */
  readonly ended: Promise<EndReason>;
  readonly #process: HostProcess;
  readonly #listeners: HostListeners;
  readonly #reader = new FrameReader();
  readonly #writer = new FrameWriter();
  readonly #streams = new Map<number, HostStream>();
  readonly #deadline = new Deadline(() => this.kill("deadline"));
  /** In the order of the asking; those before `#first` have been answered. */
  #line: Waiter[] = [];
  #first = 0;
  #lastId = 0;
  /** Until what may go now is in the pipe. */
  #sending: Promise<void> | undefined;
  /** The last request of each batch that is on its way. */
  readonly #flights: number[] = [];
  /** The last request that waits for the next batch; 0 for none. */
  #gathered = 0;
  #settled: (() => void)[] = [];
  #busy: HostStream | undefined;
  /** Why it is being ended, once it is. */
  #reason: EndReason | undefined;
  #gone = false;

  private constructor(process: HostProcess, listeners: HostListeners) {
    this.#process = process;
    this.#listeners = listeners;
    this.ended = this.#listen();
  }

  /** Starts a process. What is asked of it before it is up waits in its pipe. */
  static start(program: HostProgram, listeners: HostListeners): Host {
    return new Host(spawnHost(program, listeners.onLine), listeners);
  }

  /** Its process id. */
  get pid(): number {
    return this.#process.pid;
  }

  /** How many requests and streams are not over. */
  get pending(): number {
    return this.#line.length - this.#first + this.#streams.size;
  }

  /** How many of them are streams. */
  get streams(): number {
    return this.#streams.size;
  }

  /** Whether it takes requests. */
  get open(): boolean {
    return this.#reason === undefined && !this.#gone;
  }

  /**
   * Asks for one answer.
   * @param timeout milliseconds that it may take from when it is its turn; then the process is killed
   * @throws HostEnded when there will be no answer
   */
  request(body: unknown, timeout: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (!this.open) return reject(this.#endedFor(false));
      const id = ++this.#lastId;
      this.#gathered = id;
      this.#send(["ask", id, body]);
      const waiter = { id, timeout, resolve, reject };
      if (this.#line.push(waiter) - this.#first === 1 && !this.#busy) this.#deadline.start(timeout);
    });
  }

  /**
   * Asks for a stream of items, which come at the reader's pace.
   * @param timeout milliseconds that all of it may run, without the time in which the reader keeps it waiting
   * @throws HostEnded when the host takes nothing more
   */
  stream(body: unknown, { timeout, patience }: StreamBounds): HostStream {
    if (!this.open) throw this.#endedFor(false);
    const id = ++this.#lastId;
    const stream = new HostStream(timeout, patience, {
      more: (credit) => this.#sendIfOpen(["more", id, credit]),
      stop: () => this.#sendIfOpen(["stop", id]),
    });
    this.#streams.set(id, stream);
    this.#send(["open", id, body, stream.credit]);
    return stream;
  }

  /** Ends the process at once, whatever it does. Whoever waits for an answer gets a {@link HostEnded}. */
  kill(reason: EndReason): void {
    if (this.#gone) return;
    this.#reason ??= reason;
    this.#process.kill();
  }

  /** Takes nothing more and lets the process end by itself, which ends its streams; after the grace it is killed. */
  async end(reason: EndReason, grace = 2_000): Promise<void> {
    if (!this.open) return void await this.ended;
    this.#reason = reason;
    // What was asked before is still sent.
    void this.settled().then(() => this.#sending).then(() => this.#process.closeInput());
    const timer = setTimeout(() => this.kill(reason), grace);
    await this.ended;
    clearTimeout(timer);
  }

  /** Resolves when no request is left; streams may go on. */
  settled(): Promise<void> {
    return this.#line.length === this.#first
      ? Promise.resolve()
      : new Promise((resolve) => this.#settled.push(resolve));
  }

  #sendIfOpen(order: Order): void {
    if (this.open) this.#send(order);
  }

  /** Whatever is sent in one turn of the event loop, while the pipe is full or while enough is on its way, goes in one write. */
  #send(order: Order): void {
    this.#writer.add(order);
    this.#wake();
  }

  #wake(): void {
    if (this.#flights.length < MAX_FLIGHTS) this.#sending ??= this.#drain();
  }

  async #drain(): Promise<void> {
    await undefined;
    try {
      while (this.#writer.length > 0 && this.#flights.length < MAX_FLIGHTS) {
        if (this.#gathered > 0) this.#flights.push(this.#gathered);
        this.#gathered = 0;
        await this.#process.write(this.#writer.take());
      }
    } catch {
      // A broken pipe: the end of the output, which follows, tells everybody.
    } finally {
      this.#sending = undefined;
    }
  }

  async #listen(): Promise<EndReason> {
    try {
      for await (const chunk of this.#process.output) {
        for (const message of this.#reader.push(chunk)) this.#take(message as Report);
      }
    } catch (error) {
      this.#listeners.onLine(`the host is killed for what it sent: ${String(error)}`);
      this.kill("crashed");
    }
    this.#gone = true;
    this.#deadline.stop();
    const how = await this.#process.exited;
    const reason = this.#reason ??= "crashed";
    if (reason === "crashed") this.#listeners.onLine(`the host has ended by itself: ${how}`);
    this.#tellEverybody();
    this.#listeners.onEnd?.(reason);
    return reason;
  }

  #tellEverybody(): void {
    const waiters = this.#line.slice(this.#first), busy = this.#busy;
    this.#line = [];
    this.#first = 0;
    waiters.forEach(({ reject }, at) => reject(this.#endedFor(at === 0 && !busy)));
    for (const stream of this.#streams.values()) stream.fail(this.#endedFor(stream === busy));
    this.#streams.clear();
    for (const resolve of this.#settled.splice(0)) resolve();
    this.#deadline.close();
  }

  #endedFor(running: boolean): HostEnded {
    const reason = this.#reason ?? "crashed";
    return new HostEnded(reason, running, `the host has ended (${reason})`);
  }

  #take(report: Report): void {
    const [kind, id] = report;
    if (kind === "done") return this.#answer(id, report[2]);
    const stream = this.#streams.get(id);
    if (!stream) throw new Error(`a report about ${id}, which nobody asked for`);
    if (kind === "busy") {
      this.#busy = stream;
      this.#deadline.start(stream.begin());
      return;
    }
    if (this.#busy === stream) {
      this.#busy = undefined;
      stream.pause();
    }
    if (kind === "item") stream.push(report[2]);
    else if (kind === "end") {
      this.#streams.delete(id);
      stream.finish();
    } else throw new Error(`a report of the kind ${kind}`);
    this.#next();
  }

  #answer(id: number, body: unknown): void {
    const waiter = this.#line[this.#first];
    if (waiter?.id !== id) throw new Error(`an answer to ${id}, whose turn it is not`);
    if (++this.#first === this.#line.length || this.#first > 1_000) {
      this.#line = this.#line.slice(this.#first);
      this.#first = 0;
    }
    if (this.#flights[0] === id) {
      this.#flights.shift();
      if (this.#writer.length > 0) this.#wake();
    }
    waiter.resolve(body);
    this.#next();
  }

  /** The clock goes on with whoever's turn it is now. */
  #next(): void {
    const head = this.#line[this.#first];
    if (head) this.#deadline.start(head.timeout);
    else {
      this.#deadline.stop();
      for (const resolve of this.#settled.splice(0)) resolve();
    }
    if (!head && this.#streams.size === 0) this.#listeners.onIdle?.();
  }
}

/** Bounds of a stream, in milliseconds. */
export interface StreamBounds {
  /** What it may run in all. */
  readonly timeout: number;
  /** How long its reader may leave it waiting. */
  readonly patience: number;
}
