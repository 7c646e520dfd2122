import { dirname } from "node:path";
import { Backoff } from "../../../src/hosts/backoff.ts";
import { abortable } from "../../clock/abortable.ts";
import { type Clock, SYSTEM_CLOCK } from "../../clock/clock.ts";
import { atMost, pause } from "../../clock/waiting.ts";
import { type Hop, HopFailure, type HopResponse, type Hops, type SocksProxy } from "../parts.ts";
import { Exchange, NotTaken } from "./exchange.ts";
import { removeLeftFolders } from "./left_folders.ts";
import { type RunningOptions, RunningProcess } from "./running.ts";

/** How a process that sends is kept. */
export interface EgressProcessOptions extends RunningOptions {
  /** Default: that of this machine. */
  readonly clock?: Clock;
  /** Milliseconds that a hop waits for the process when it is not there. Default 2,000. */
  readonly patience?: number;
}

/** Milliseconds for which a process may be starting; then it is killed. */
const START = 20_000;
const PATIENCE = 2_000;
/** Milliseconds in which a process that took nothing must show that it is at work; then it is killed. */
const ANSWER = 5_000;
/** Milliseconds between two tries to connect. */
const CONNECT_AGAIN = 10;
const KEY = "egress";

/**
 * A process that sends, and can reach nothing else than it must: started when it is first needed, and again whenever it ends, at once
 * after one end and later and later after several in a row.
 */
export class EgressProcess implements Hops {
  /** In a compiled file a process has the rights of the build, and its own checks alone keep it. */
  readonly confined = !Deno.build.standalone;
  readonly #options: EgressProcessOptions;
  readonly #clock: Clock;
  readonly #backoff = new Backoff();
  readonly #closing = new AbortController();
  /** The one that takes connections, or that which will be the next. */
  #running: PromiseWithResolvers<RunningProcess> | undefined;
  /** The one that takes connections; `undefined` while there is none. */
  #serving: RunningProcess | undefined;
  /** Until the process that there is has ended; `undefined` while there is none. */
  #life: Promise<void> | undefined;
  /** Until it is known whether the process hangs. */
  #check: Promise<void> | undefined;
  /** Until what a gateway before this one left is removed. */
  #removal: Promise<void> | undefined;
  #pid: number | undefined;

  constructor(options: EgressProcessOptions) {
    this.#options = options;
    this.#clock = options.clock ?? SYSTEM_CLOCK;
  }

  /** Its process id; `undefined` while there is none. */
  get pid(): number | undefined {
    return this.#pid;
  }

  /** Starts it, so that the first hop need not wait. @throws HopFailure when it does not start in 20 s */
  async start(): Promise<void> {
    await this.#ready(START, NEVER);
  }

  async send(hop: Hop, signal: AbortSignal): Promise<HopResponse> {
    try {
      return await this.#exchange(signal, (exchange) => exchange.send(hop));
    } catch (error) {
      // Whoever makes the body shall not go on in vain; where the exchange had begun it has been told.
      if (hop.body instanceof ReadableStream && !hop.body.locked) hop.body.cancel(error).catch(() => {});
      throw error;
    }
  }

  async probe(
    proxy: SocksProxy,
    credentials: { readonly username: string; readonly password: string },
    signal: AbortSignal,
  ): Promise<number> {
    const { username, password } = credentials;
    // No longer than whoever looks waits: it must not seem to be the proxy that does not answer.
    const patience = Math.min(this.#options.patience ?? PATIENCE, PATIENCE);
    return await this.#exchange(signal, (exchange) => exchange.probe({ proxy, username, password }), patience);
  }

  /** Ends the process, and with it whatever is on its way. Resolves when it is gone. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#running?.reject(unavailable());
    await Promise.all([this.#life, this.#check, this.#removal]);
  }

  /** Asks the process, or the one after it. @throws HopFailure, and the signal's reason */
  async #exchange<T>(
    signal: AbortSignal,
    ask: (exchange: Exchange) => Promise<T>,
    patience = this.#options.patience ?? PATIENCE,
  ): Promise<T> {
    const began = this.#clock.monotonic();
    for (;;) {
      const running = await this.#ready(patience - (this.#clock.monotonic() - began), signal);
      try {
        return await ask(new Exchange(await connected(running), signal, this.#clock));
      } catch (error) {
        if (!(error instanceof NotTaken)) throw error;
        if (error.late) this.#check ??= this.#killIfHanging(running).finally(() => this.#check = undefined);
        if (error.late || this.#clock.monotonic() - began >= patience) throw unavailable(error.cause);
        // It has ended and nobody knows yet, or too many connect in the same moment.
        await abortable(atMost(this.#clock, CONNECT_AGAIN, running.ended), signal);
      }
    }
  }

  /** @param patience milliseconds @throws HopFailure, and the signal's reason */
  async #ready(patience: number, signal: AbortSignal): Promise<RunningProcess> {
    signal.throwIfAborted();
    if (this.#closing.signal.aborted) throw unavailable();
    if (this.#serving) return this.#serving;
    const late = new AbortController();
    const stop = this.#clock.after(Math.max(0, patience), () => late.abort(unavailable()));
    try {
      this.#life ??= this.#live();
      return await abortable(this.#running!.promise, AbortSignal.any([signal, late.signal]));
    } finally {
      stop();
    }
  }

  /** One process after the other, until all is closed. Never rejects. */
  async #live(): Promise<void> {
    this.#running = nextProcess();
    while (!this.#closing.signal.aborted) {
      const wait = this.#backoff.wait(KEY);
      if (wait > 0) await pause(this.#clock, wait, this.#closing.signal).catch(() => {});
      if (this.#closing.signal.aborted) break;
      const began = this.#clock.monotonic();
      try {
        await this.#liveOnce();
      } catch (error) {
        this.#options.onLine(`the process that sends requests did not start: ${String(error)}`);
      }
      this.#backoff.crashed(KEY, this.#clock.monotonic() - began);
    }
  }

  /** @throws what keeps it from starting */
  async #liveOnce(): Promise<void> {
    const running = await RunningProcess.start(this.#options);
    this.#removal ??= removeLeftFolders(dirname(running.folder));
    const kill = () => running.kill();
    this.#closing.signal.addEventListener("abort", kill);
    const late = this.#clock.after(START, kill, true);
    this.#pid = running.pid;
    let taken = false;
    const replaced = running.ended.then(() => {
      this.#pid = undefined;
      // Whoever finds that it has ended, and looks again, waits for the next one, as those do who wait already.
      if (taken) this.#running = nextProcess();
      this.#serving = undefined;
      if (this.#closing.signal.aborted) this.#running?.reject(unavailable());
    });
    try {
      if (this.#closing.signal.aborted) kill();
      await running.ready;
      late();
      taken = true;
      this.#running!.resolve(running);
      this.#serving = running;
      await replaced;
      if (!this.#closing.signal.aborted) this.#options.onLine("the process that sends requests has ended by itself");
    } finally {
      late();
      await replaced;
      this.#closing.signal.removeEventListener("abort", kill);
    }
  }

  /** One that is stopped or spins does nothing for anybody, and would be asked for ever. Never rejects. */
  async #killIfHanging(running: RunningProcess): Promise<void> {
    let answered = false, over = false;
    const ask = async () => {
      while (!answered && !over) {
        try {
          await running.answers();
          answered = true;
        } catch {
          // As many connections wait as may, or it has ended.
          await atMost(this.#clock, CONNECT_AGAIN, running.ended);
        }
      }
    };
    const asking = ask();
    await atMost(this.#clock, ANSWER, Promise.race([asking, running.ended]));
    over = true;
    if (!answered && this.#serving === running) {
      this.#options.onLine("the process that sends requests does not answer, and is killed");
      running.kill();
    }
    await asking;
  }
}

/** @throws NotTaken */
async function connected(running: RunningProcess): Promise<Deno.UnixConn> {
  try {
    return await running.connect();
  } catch (error) {
    throw new NotTaken(error);
  }
}

function nextProcess(): PromiseWithResolvers<RunningProcess> {
  const next = Promise.withResolvers<RunningProcess>();
  next.promise.catch(() => {});
  return next;
}

const NEVER = new AbortController().signal;

const unavailable = (cause?: unknown): HopFailure =>
  new HopFailure("EGRESS_UNAVAILABLE", "Requests cannot be sent now. Try again in a moment.", cause);
