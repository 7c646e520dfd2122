import type { InvocationFigures } from "../../../src/contracts/function_invocations.ts";
import { Backoff } from "../../../src/hosts/backoff.ts";
import { Host } from "../../../src/hosts/host.ts";
import { Spares } from "../../../src/hosts/spares.ts";
import type { HostProgram } from "../../../src/hosts/spawn.ts";
import { ModuleChecks } from "./checks.ts";
import { type Confinement, UNCONFINED } from "./confinement.ts";
import { CallRefused, type FunctionHostPool, type HostModule, type HostRun, type HostWork } from "./contract.ts";
import type { KnownModulesBounds } from "./known_modules.ts";
import { PendingCall } from "./pending_call.ts";
import { Priorities } from "./priority.ts";
import { NotBegun, Seat } from "./seat.ts";
import { Sharing } from "./sharing.ts";
import type { Tenant } from "./tenant.ts";

/** How function hosts are kept. */
export interface FunctionHostsOptions {
  /** Default bounds of what it sends: {@link maxOutput} at once, 16 KiB of it outside of texts. */
  readonly program: HostProgram;
  /** Bytes of the longest answer, or argument of a host call, that a process may send. Default 64 MiB. */
  readonly maxOutput?: number;
  readonly confinement?: Confinement;
  /** Hosts of namespaces at once. */
  readonly max: number;
  /** Started ahead, beyond `max`. */
  readonly spares: number;
  /** Milliseconds after which a host that nobody calls ends. */
  readonly idle: number;
  /** Milliseconds that a call waits for its place. Default 10,000. */
  readonly patience?: number;
  /** Milliseconds that a host may take to compile a module that was checked before. Default 10,000. */
  readonly loadTimeout?: number;
  /** Modules that are checked at once. Default 2. */
  readonly checks?: number;
  /** What a host knows at once. Default 32 modules of 128 MiB together. */
  readonly modules?: KnownModulesBounds;
  /** Milliseconds that calls have to end by themselves in `close`. Default 5,000. */
  readonly grace?: number;
  /** A line that a host wrote to standard error. @param namespace `undefined` for one that belongs to none */
  readonly line?: (line: string, namespace: string | undefined) => void;
}

/** Bytes: the longest answer that may be configured, and what a message has beside it. */
const MAX_OUTPUT = 64 * 1024 * 1024, BESIDE = 64 * 1024;
/** Bytes: what a guest sends is lists of a few texts. */
const MAX_STRUCTURE = 16 * 1024;
/** Milliseconds between two looks at who computes for long. */
const LOOK = 25;
/** Milliseconds of waiting after crashes that a call bears; for longer ones it is refused. */
const BEARABLE = 1_000;
/** Milliseconds of running after which the end of a host is not held against the module: its start was little beside that. */
const SOUND_RUN = 1_000;
/** Hosts that a call loses before it began on one. */
const MAX_LOSSES = 2;
/** What an engine says that ends for want of memory. */
const NO_MEMORY = /out of memory|memory allocation of \d+ bytes failed/i;

/**
 * The pool of function hosts. A host serves one namespace for its life, and one call at a time; who has which is told by
 * {@link Sharing}.
 */
export class FunctionHosts implements FunctionHostPool {
  readonly #options: FunctionHostsOptions;
  readonly #program: HostProgram;
  readonly #sharing: Sharing;
  readonly #spares: Spares;
  readonly #checks: ModuleChecks;
  readonly #priorities = new Priorities();
  readonly #backoff = new Backoff();
  readonly #seatOf = new Map<Host, Seat>();
  readonly #ended: Record<string, number> = {};
  #timers: ReturnType<typeof setInterval>[] = [];
  #closed = false;

  constructor(options: FunctionHostsOptions) {
    this.#options = options;
    const { wrap } = options.confinement ?? UNCONFINED;
    // Bytes go as base64.
    const maxFrame = Math.ceil((options.maxOutput ?? MAX_OUTPUT) * 4 / 3) + BESIDE;
    this.#program = { maxFrame, maxStructure: MAX_STRUCTURE, ...options.program, wrap };
    this.#spares = new Spares(options.spares, () => this.#start());
    this.#checks = new ModuleChecks({
      max: options.checks ?? 2,
      patience: options.patience ?? 10_000,
      take: () => this.#take(),
    });
    this.#sharing = new Sharing({
      max: options.max,
      patience: options.patience ?? 10_000,
      holdUp: (namespace, call) => this.#backoff.wait(`${namespace}\0${call.work.moduleKey}`),
      open: (tenant) => this.#open(tenant),
      serve: (seat, call) => void this.#serve(seat, call),
      evict: (seat) => seat.kill("evicted"),
    });
  }

  /** Starts the spares, a little later. Nothing waits for them. */
  warm(): void {
    this.#spares.warm();
  }

  async run(work: HostWork, signal: AbortSignal): Promise<HostRun> {
    signal.throwIfAborted();
    if (this.#closed) throw closed();
    const wait = this.#backoff.wait(`${work.namespace}\0${work.moduleKey}`);
    if (wait > BEARABLE) {
      throw new CallRefused("busy", Math.ceil(wait / 1_000), "the function ends its process again and again");
    }
    if (this.#timers.length === 0) this.#look();
    const call = new PendingCall(work, signal);
    this.#sharing.enter(call);
    return await call.result;
  }

  async check(module: HostModule, timeout: number, signal: AbortSignal): Promise<string | undefined> {
    if (this.#closed) throw closed();
    return await this.#checks.check(module, timeout, signal);
  }

  async forget(namespace: string): Promise<void> {
    const refusal = new CallRefused("forgotten", 1, "the namespace is no more");
    const seats = this.#sharing.clear(namespace, refusal);
    for (const seat of seats) {
      seat.call?.refuse(refusal);
      seat.kill("closed", "forgotten");
    }
    await Promise.all(seats.map(({ host }) => host.ended));
  }

  figures(): InvocationFigures {
    const { running, waiting, busy, idle } = this.#sharing.figures();
    return {
      running,
      waiting,
      hosts: { busy, idle, spare: this.#spares.count },
      ended: { ...this.#ended },
      confinement: (this.#options.confinement ?? UNCONFINED).inForce,
    };
  }

  async close(): Promise<void> {
    if (!this.#closed) this.#timers.forEach(clearInterval);
    this.#closed = true;
    this.#sharing.close(closed());
    const seats = [...this.#seatOf.values()];
    for (const { call } of seats) call?.refuse(closed());
    const timer = setTimeout(() => seats.forEach((seat) => seat.kill("closed")), this.#options.grace ?? 5_000);
    await Promise.all([
      this.#spares.close(),
      this.#checks.close(),
      ...seats.map(async (seat) => {
        await seat.host.settled();
        seat.kill("closed");
        await seat.host.ended;
      }),
    ]);
    clearTimeout(timer);
  }

  #take(): Host {
    return this.#spares.take() ?? this.#start();
  }

  #start(): Host {
    const host: Host = Host.start(this.#program, {
      onLine: (line) => {
        const seat = this.#seatOf.get(host);
        if (seat && NO_MEMORY.test(line)) seat.outOfMemory = true;
        this.#options.line?.(line, seat?.tenant.namespace);
      },
      onKill: () => this.#priorities.hurry(host.pid),
    });
    this.#priorities.begin(host.pid);
    return host;
  }

  /** Gives a namespace one more host. @throws what keeps a process from being started */
  #open(tenant: Tenant): Seat {
    const host = this.#take();
    const seat = new Seat(tenant, host, this.#priorities, this.#options.modules ?? MODULES);
    this.#seatOf.set(host, seat);
    void host.ended.then((reason) => {
      this.#seatOf.delete(host);
      const cause = seat.cause ?? reason;
      this.#ended[cause] = (this.#ended[cause] ?? 0) + 1;
      this.#sharing.lost(seat);
    });
    return seat;
  }

  async #serve(seat: Seat, call: PendingCall): Promise<void> {
    const began = performance.now();
    let again = false;
    try {
      const run = await this.#attempt(seat, call);
      this.#judge(seat, call, run);
      call.resolve(run);
    } catch (error) {
      if (error instanceof NotBegun || isNotReady(error)) this.#backoff.crashed(key(seat, call), 0);
      again = error instanceof NotBegun && call.losses++ < MAX_LOSSES && !call.refusal;
      if (!again) call.reject(error instanceof NotBegun ? await this.#lost(call) : error);
    } finally {
      this.#sharing.leave(seat, call, performance.now() - began, again);
    }
  }

  /** Why a call is refused that lost its hosts: a module that ends them is its namespace's affair, and nobody else's. */
  async #lost(call: PendingCall): Promise<CallRefused> {
    const mayBeIts = call.refusal === undefined && await this.#checks.lives();
    return call.refusal ?? (mayBeIts ? notReady() : lifeless());
  }

  async #attempt(seat: Seat, call: PendingCall): Promise<HostRun> {
    const { work, signal } = call;
    const timeout = this.#options.loadTimeout ?? 10_000;
    if (work.admit) await call.within(timeout, work.admit(signal));
    const problem = await seat.load(call, timeout);
    call.mustBeWanted();
    if (problem === undefined) return await seat.run(call);
    const outcome = { end: "link", output: new Uint8Array(), message: problem, pages: 0, calls: 0 } as const;
    const waited = performance.now() - call.arrived;
    return { ended: "outcome", outcome, waited, ran: 0, coldStart: call.coldStart, calls: 0 };
  }

  /** What ends hosts soon after they began waits longer each time; those that ran side by side count once. */
  #judge(seat: Seat, call: PendingCall, { ended, ran }: HostRun): void {
    if (ended === "outcome") this.#backoff.forget(key(seat, call));
    else if (ended !== "closed" && ran < SOUND_RUN && this.#backoff.wait(key(seat, call)) === 0) {
      this.#backoff.crashed(key(seat, call), ran);
    }
  }

  /** Lets long calls yield, and unused hosts end. */
  #look(): void {
    const every = (ms: number, run: () => void) => {
      const timer = setInterval(run, ms);
      Deno.unrefTimer(Number(timer));
      this.#timers.push(timer);
    };
    every(LOOK, () => this.#seatOf.forEach((seat) => seat.yieldToOthers()));
    const { idle } = this.#options;
    every(Math.max(10, idle / 4), () => {
      for (const seat of this.#sharing.idleSince(performance.now() - idle)) seat.kill("idle");
    });
  }
}

const MODULES: KnownModulesBounds = { count: 32, bytes: 128 * 1024 * 1024 };

const closed = () => new CallRefused("closed", 1, "the gateway is stopping");
const lifeless = () => new CallRefused("unavailable", 1, "no process of functions stays alive now");
const notReady = () => new CallRefused("not_ready", 1, "the function's module ends its processes");
const isNotReady = (error: unknown) => error instanceof CallRefused && error.reason === "not_ready";
const key = ({ tenant: { namespace } }: Seat, { work: { moduleKey } }: PendingCall) => `${namespace}\0${moduleKey}`;
