import { EgressFailure } from "../../src/contracts/egress.ts";

/** A name server. */
export interface NameServer {
  /** An address. */
  readonly host: string;
  /** Default 53. */
  readonly port?: number | undefined;
}

/** How names are looked up. */
export interface ResolverOptions {
  /** Asked in this order, until one answers. None: those of the system. */
  readonly servers: readonly NameServer[];
  /** Whether addresses of IPv6 are asked for. */
  readonly ipv6: boolean;
  /** Milliseconds for one question to one server. Default 5,000. */
  readonly timeout?: number | undefined;
}

/** Looks up the addresses of names by DNS (RFC 1035), and by nothing else: files and names of the local network are not for strangers. */
export class Resolver {
  readonly #options: ResolverOptions;

  constructor(options: ResolverOptions) {
    this.#options = options;
  }

  /**
   * All addresses of a name, those of IPv4 first. None is kept: what is looked up is what is connected to.
   * @param name in ASCII, without a dot at its end
   * @throws EgressFailure `EGRESS_NAME_NOT_FOUND`, and the signal's reason
   */
  async addresses(name: string, signal: AbortSignal): Promise<readonly string[]> {
    const types = this.#options.ipv6 ? ["A", "AAAA"] as const : ["A"] as const;
    const answers = await Promise.allSettled(types.map((type) => this.#ask(name, type, signal)));
    signal.throwIfAborted();
    const found = answers.flatMap((answer) => answer.status === "fulfilled" ? answer.value : []);
    if (found.length > 0) return found;
    const failed = answers.find((answer) => answer.status === "rejected");
    throw new EgressFailure(
      "EGRESS_NAME_NOT_FOUND",
      failed ? `the name ${name} cannot be looked up now` : `there is no address of ${name}`,
      failed?.reason,
    );
  }

  async #ask(name: string, type: "A" | "AAAA", signal: AbortSignal): Promise<readonly string[]> {
    const { servers, timeout = 5_000 } = this.#options;
    let failure: unknown;
    for (const server of servers.length > 0 ? servers : [undefined]) {
      const own = AbortSignal.any([signal, AbortSignal.timeout(timeout)]);
      try {
        // With the dot at its end no domain of this machine is tried behind the name.
        return await Deno.resolveDns(`${name}.`, type, {
          ...(server && { nameServer: { ipAddr: server.host, port: server.port ?? 53 } }),
          signal: own,
        });
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof Deno.errors.NotFound) return [];
        failure = error;
      }
    }
    throw failure;
  }
}
