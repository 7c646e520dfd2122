import { type EndReason, type Host, HostEnded, type RequestListener } from "../../../src/hosts/host.ts";
import { CallRefused, type HostModule, type HostRun } from "./contract.ts";
import { KnownModules, type KnownModulesBounds } from "./known_modules.ts";
import type { PendingCall } from "./pending_call.ts";
import { type Priorities, processorTime } from "./priority.ts";
import { GuardedListener, loadedOf, outcomeOf } from "./reports.ts";
import type { Tenant } from "./tenant.ts";

/** The host of a call ended before it had begun. Another one may run it. */
export class NotBegun extends Error {
  override readonly name = "NotBegun";
}

/** Milliseconds in which a host forgets a module. */
const FORGET = 5_000;

/** What runs in a host, for whoever looks how long it computes. */
interface Work {
  readonly began: number;
  /** Of a call; while a module is compiled there is none. */
  readonly guard: GuardedListener | undefined;
  /** Milliseconds of a processor that its host had used when somebody first looked. */
  used?: number | undefined;
}

/** Milliseconds that a call computes before it yields to others, and a host that starts up and compiles. */
const COMPUTES = 25, COMPILES = 250;
/** So many times that where what yields has to be ended afterwards: its start must be a small part of what it did. */
const FOR_GOOD = 10;

/** A host that belongs to a namespace, and runs one call at a time. */
export class Seat {
  readonly since = performance.now();
  readonly modules: KnownModules;
  idleSince = 0;
  /** The call that has it. */
  call: PendingCall | undefined;
  /** Why it is ended, where that says more than the host's own reason. */
  cause: string | undefined;
  /** Whether its engine said that it had no memory. */
  outOfMemory = false;
  #work: Work | undefined;
  #lowered = false;

  constructor(
    readonly tenant: Tenant,
    readonly host: Host,
    private readonly priorities: Priorities,
    modules: KnownModulesBounds,
  ) {
    this.modules = new KnownModules(modules);
  }

  /** Ends it at once. */
  kill(reason: EndReason, cause?: string): void {
    this.cause ??= cause;
    this.host.kill(reason);
  }

  /** Lets what computes in it for long yield to others. To be called now and then. */
  yieldToOthers(): void {
    if (this.#lowered || !this.#work) return;
    const { began, guard, used } = this.#work;
    const bound = (guard ? COMPUTES : COMPILES) * (this.priorities.reversible ? 1 : FOR_GOOD);
    const time = performance.now() - began - (guard?.waited ?? 0);
    if (time < bound) return;
    const now = processorTime(this.host.pid);
    if (now !== undefined) {
      this.#work.used ??= now;
      if (now - (used ?? now) < bound) return;
    }
    this.#lowered = true;
    this.priorities.lower(this.host.pid);
  }

  /** Its call is over. @returns whether it may have another one */
  restore(): boolean {
    this.call = undefined;
    if (!this.host.open) return false;
    if (this.#lowered && !this.priorities.raise(this.host.pid)) {
      // It would be slow for good.
      this.kill("idle", "slowed");
      return false;
    }
    this.#lowered = false;
    this.idleSince = performance.now();
    return true;
  }

  /**
   * Makes the call's module known.
   * @param timeout milliseconds for fetching it, and as many for compiling it
   * @returns what is wrong with the module
   * @throws NotBegun, CallRefused, what fetching the module throws
   */
  async load(call: PendingCall, timeout: number): Promise<string | undefined> {
    const { work: { moduleKey, module: fetch }, signal } = call;
    if (this.modules.use(moduleKey)) return undefined;
    const module = await call.within(timeout, fetch(signal));
    for (const dropped of this.modules.add(moduleKey, module.bytes.length)) {
      // Its end, which follows, tells everybody.
      this.host.request({ kind: "forget", module: dropped }, FORGET).catch(() => {});
    }
    const loaded = loadedOf(await this.#ask({ kind: "load", load: wireOf(moduleKey, module) }, timeout));
    if (!loaded) {
      this.kill("crashed");
      throw new NotBegun("the host answered what is no answer");
    }
    if (loaded.problem !== undefined) this.modules.drop(moduleKey);
    return loaded.problem;
  }

  /** @throws NotBegun, CallRefused */
  async run(call: PendingCall): Promise<HostRun> {
    const { task, timeout, moduleKey, listener, kill } = call.work;
    const { limits } = task;
    const guard = new GuardedListener(limits, listener, () => this.cause = "calls");
    const began = performance.now();
    const end = () => this.kill("closed");
    kill?.addEventListener("abort", end, { once: true });
    const facts = () => ({
      waited: began - call.arrived,
      ran: performance.now() - began,
      coldStart: call.coldStart,
      calls: guard.calls,
    });
    try {
      if (kill?.aborted) throw new CallRefused("closed", 1, "the call was ended before it began");
      const answer = await this.#ask({ kind: "run", task: { ...task, module: moduleKey } }, timeout, guard);
      const outcome = outcomeOf(answer, limits);
      if (outcome) return { ended: "outcome", outcome, ...facts() };
      this.kill("crashed");
      await this.host.ended;
      return { ended: "crashed", outOfMemory: false, ...facts() };
    } catch (error) {
      if (!(error instanceof HostEnded)) throw error;
      if (guard.excessive) {
        const { calls } = guard;
        const outcome = { end: "calls", output: new Uint8Array(), message: "", pages: 0, calls } as const;
        return { ended: "outcome", outcome, ...facts() };
      }
      if (error.reason === "deadline") return { ended: "deadline", ...facts() };
      if (error.reason === "crashed") return { ended: "crashed", outOfMemory: this.outOfMemory, ...facts() };
      return { ended: "closed", ...facts() };
    } finally {
      kill?.removeEventListener("abort", end);
    }
  }

  /** @throws HostEnded when what was asked had begun; NotBegun, CallRefused when not */
  async #ask(order: unknown, timeout: number, guard?: GuardedListener): Promise<unknown> {
    this.#work = { began: performance.now(), guard };
    try {
      return await this.host.request(order, timeout, guard satisfies RequestListener | undefined);
    } catch (error) {
      if (!(error instanceof HostEnded) || (error.running && guard)) throw error;
      if (this.call?.refusal) throw this.call.refusal;
      if (error.reason === "closed") throw new CallRefused("closed", 1, "the call was ended before it began");
      if (error.running && error.reason === "deadline") {
        throw new CallRefused("not_ready", 1, "the function could not be made ready in time");
      }
      throw new NotBegun("the host ended before the call began", { cause: error });
    } finally {
      this.#work = undefined;
    }
  }
}

/** As it goes through the pipe. */
export const wireOf = (module: string, { bytes, abi, entry }: HostModule) => ({ module, bytes, abi, entry });
