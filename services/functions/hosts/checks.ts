import { type Host, HostEnded } from "../../../src/hosts/host.ts";
import { NoHost, Places } from "../../../src/hosts/places.ts";
import { CallRefused, type HostModule } from "./contract.ts";
import { loadedOf } from "./reports.ts";
import { wireOf } from "./seat.ts";

/** How modules are checked. */
interface ModuleChecksOptions {
  /** At once. */
  readonly max: number;
  /** Milliseconds that anybody waits for a turn. */
  readonly patience: number;
  /** A host that nobody has. @throws what keeps a process from being started */
  readonly take: () => Host;
}

/** Compiles modules of strangers, each in a host of its own, which ends after it: what it did to the engine is gone with it. */
export class ModuleChecks {
  readonly #options: ModuleChecksOptions;
  readonly #places: Places;
  readonly #hosts = new Set<Host>();
  #closed = false;
  #probe: Promise<boolean> | undefined;

  constructor(options: ModuleChecksOptions) {
    this.#options = options;
    this.#places = new Places(options.max, options.patience);
  }

  /**
   * @param timeout milliseconds
   * @returns what is wrong with the module; `undefined` for nothing
   * @throws CallRefused, the signal's reason
   */
  async check(module: HostModule, timeout: number, signal: AbortSignal): Promise<string | undefined> {
    signal.throwIfAborted();
    try {
      await this.#places.take(() => {});
    } catch (error) {
      if (error instanceof NoHost) throw new CallRefused("busy", 1, "too many modules are checked now");
      throw error;
    }
    try {
      const problem = await this.#inHostOfItsOwn(module, timeout, signal);
      if (problem !== BROKE) return problem;
      // It may be the host that cannot live, whatever it compiles.
      const nothing = await this.#inHostOfItsOwn({ ...module, bytes: EMPTY }, timeout, signal);
      if (nothing === BROKE) throw new CallRefused("unavailable", 1, "no process of functions stays alive now");
      return problem;
    } finally {
      this.#places.free();
    }
  }

  /** Whether a host that is given nothing of anybody's lives. Who asks while another one does gets the same answer. */
  lives(): Promise<boolean> {
    const nothing = { bytes: EMPTY, abi: "wasi", entry: "_start" } as const;
    return this.#probe ??= this.#inHostOfItsOwn(nothing, PROBE, STAYS)
      .then((problem) => problem !== BROKE, () => false)
      .finally(() => this.#probe = undefined);
  }

  /** Ends all of them. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#places.open();
    for (const host of this.#hosts) host.kill("closed");
    await Promise.all([...this.#hosts].map((host) => host.ended));
  }

  async #inHostOfItsOwn(module: HostModule, timeout: number, signal: AbortSignal): Promise<string | undefined> {
    signal.throwIfAborted();
    if (this.#closed) throw ended();
    const host = this.#take();
    const leave = () => host.kill("closed");
    this.#hosts.add(host);
    signal.addEventListener("abort", leave, { once: true });
    try {
      return await this.#ask(host, module, timeout, signal);
    } finally {
      signal.removeEventListener("abort", leave);
      host.kill("closed");
      await host.ended;
      this.#hosts.delete(host);
    }
  }

  #take(): Host {
    try {
      return this.#options.take();
    } catch {
      throw new CallRefused("unavailable", 1, "no process can be started now");
    }
  }

  async #ask(host: Host, module: HostModule, timeout: number, signal: AbortSignal): Promise<string | undefined> {
    try {
      const loaded = loadedOf(await host.request({ kind: "check", load: wireOf("check", module) }, timeout));
      return loaded ? loaded.problem : BROKE;
    } catch (error) {
      if (!(error instanceof HostEnded)) throw error;
      signal.throwIfAborted();
      if (this.#closed) throw ended();
      return error.reason === "deadline" ? `it takes longer than ${timeout} ms to compile` : BROKE;
    }
  }
}

/** A module that has nothing (WebAssembly Core Specification 5.5.16: magic and version). */
const EMPTY = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
/** Milliseconds for that one: a host which is only slow lives. */
const PROBE = 5_000;
const STAYS = new AbortController().signal;
const BROKE = "the engine ends when it compiles it";
const ended = () => new CallRefused("closed", 1, "the gateway is stopping");
