import { Deadline } from "./deadline.ts";
import { Outbox } from "./outbox.ts";
import { type FrameBounds, FrameReader, type Order, type Report } from "./protocol.ts";
import { type HostProcess, type HostProgram, spawnHost } from "./spawn.ts";
import { HostStream } from "./stream.ts";

/** Why a host is no more. `crashed`: nobody here ended it, or it said what is no message. */
export type EndReason = "deadline" | "crashed" | "evicted" | "idle" | "closed";

/** The end of a host, as everybody learns it who waited for something from it. */
export class HostEnded extends Error {
  override readonly name = "HostEnded";

  /**
   * @param running whether it was this one's turn when the host ended, and the host may have read it: of the others the host had not
   *   begun, or had begun only what it knew to be short
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
  /** It is about to be killed. */
  readonly onKill?: (() => void) | undefined;
}

/** Who answers what a request asks of the parent while it runs. */
export interface RequestListener {
  /**
   * A call, which the host waits for. A request makes one after the other, and its clock goes on meanwhile.
   * @param body is not to be trusted
   * @returns the reply; what rejects, or throws, ends the host, as garbage does
   */
  call(body: unknown): Promise<unknown>;
  /**
   * Something that the host tells.
   * @param body is not to be trusted; throwing ends the host, as garbage does
   */
  note(body: unknown): void;
}

interface Waiter {
  readonly id: number;
  readonly timeout: number;
  readonly listener: RequestListener | undefined;
  /** A call of it has no reply yet. */
  calling: boolean;
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
  readonly #reader: FrameReader;
  readonly #outbox: Outbox;
  readonly #streams = new Map<number, HostStream>();
  readonly #deadline = new Deadline(() => this.kill("deadline"));
  /** In the order of the asking; those before `#first` have been answered. */
  #line: Waiter[] = [];
  #first = 0;
  #lastId = 0;
  #settled: (() => void)[] = [];
  #busy: HostStream | undefined;
  /** Why it is being ended, once it is. */
  #reason: EndReason | undefined;
  #killed = false;
  #gone = false;

  private constructor(process: HostProcess, bounds: FrameBounds, listeners: HostListeners) {
    this.#process = process;
    this.#reader = new FrameReader(bounds);
    this.#outbox = new Outbox((bytes) => process.write(bytes));
    this.#listeners = listeners;
    this.ended = this.#listen();
  }

  /** Starts a process. What is asked of it before it is up waits in its pipe. */
  static start(program: HostProgram, listeners: HostListeners): Host {
    return new Host(spawnHost(program, listeners.onLine), program, listeners);
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
   * @param timeout milliseconds that it may take from when it is its turn, its calls included; then the process is killed
   * @param listener without one it may neither call nor note
   * @throws HostEnded when there will be no answer
   */
  request(body: unknown, timeout: number, listener?: RequestListener): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (!this.open) return reject(this.#endedFor(false));
      const id = ++this.#lastId;
      this.#outbox.send(["ask", id, body], id);
      const waiter = { id, timeout, listener, calling: false, resolve, reject };
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
    this.#outbox.send(["open", id, body, stream.credit]);
    return stream;
  }

  /** Ends the process at once, whatever it does. Whoever waits for an answer gets a {@link HostEnded}. */
  kill(reason: EndReason): void {
    if (this.#gone) return;
    this.#reason ??= reason;
    if (!this.#killed) this.#listeners.onKill?.();
    this.#killed = true;
    this.#process.kill();
  }

  /** Takes nothing more and lets the process end by itself, which ends its streams; after the grace it is killed. */
  async end(reason: EndReason, grace = 2_000): Promise<void> {
    if (!this.open) return void await this.ended;
    this.#reason = reason;
    // What was asked before is still sent.
    void this.settled().then(() => this.#outbox.sent()).then(() => this.#process.closeInput());
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
    if (this.open) this.#outbox.send(order);
  }

  async #listen(): Promise<EndReason> {
    try {
      for await (const chunk of this.#process.output) {
        for (const message of this.#reader.push(chunk)) this.#take(message as Report);
      }
    } catch (error) {
      this.#distrust(error);
    }
    this.#gone = true;
    this.#deadline.stop();
    const how = await this.#process.exited;
    if (this.#outbox.delivered < (this.#line[this.#first]?.id ?? 0)) await this.#outbox.lastWrite();
    const reason = this.#reason ??= "crashed";
    if (reason === "crashed") this.#listeners.onLine(`the host has ended by itself: ${how}`);
    this.#tellEverybody();
    this.#listeners.onEnd?.(reason);
    return reason;
  }

  #distrust(error: unknown): void {
    this.#listeners.onLine(`the host is killed for what it sent: ${String(error)}`);
    this.kill("crashed");
  }

  #tellEverybody(): void {
    const waiters = this.#line.slice(this.#first), busy = this.#busy;
    this.#line = [];
    this.#first = 0;
    const { delivered } = this.#outbox;
    waiters.forEach(({ id, reject }, at) => reject(this.#endedFor(at === 0 && !busy && id <= delivered)));
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
    if (kind === "call" || kind === "note") return this.#hear(kind, id, report[2]);
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

  /** A request calls or notes: the one whose turn it is, and only while no call of it waits. */
  #hear(kind: "call" | "note", id: number, body: unknown): void {
    const waiter = this.#line[this.#first];
    if (waiter?.id !== id || this.#busy || !waiter.listener || waiter.calling) {
      throw new Error(`a ${kind} of ${String(id)}, which may make none`);
    }
    // What it did not bring before its end is no longer done.
    if (this.#killed) return;
    if (kind === "note") return waiter.listener.note(body);
    waiter.calling = true;
    waiter.listener.call(body).then((reply) => {
      if (this.#gone || this.#line[this.#first] !== waiter) return;
      waiter.calling = false;
      this.#outbox.reply(["reply", id, reply]);
    }).catch((error) => this.#distrust(error));
  }

  #answer(id: number, body: unknown): void {
    const waiter = this.#line[this.#first];
    if (waiter?.id !== id || waiter.calling) throw new Error(`an answer to ${String(id)}, whose turn it is not`);
    if (++this.#first === this.#line.length || this.#first > 1_000) {
      this.#line = this.#line.slice(this.#first);
      this.#first = 0;
    }
    this.#outbox.answered(id);
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
