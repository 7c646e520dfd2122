import { EgressFailure } from "../../src/contracts/egress.ts";
import type { EgressRules } from "../../src/contracts/settings.ts";
import type { Target } from "./parts.ts";
import type { AddressRules } from "./targets/addresses.ts";
import { TargetRules } from "./targets/hosts.ts";
import { isLocalName, isProxyOnlyName } from "./targets/target.ts";

/** Where nobody, or nobody of a namespace, may send requests. */
export interface PermissionOptions {
  /** Of addresses, as they are now: whose they are may change. */
  readonly addresses: Pick<AddressRules, "refusal">;
  /** What the operator lets all namespaces reach. */
  readonly targets: TargetRules;
}

/** A request that asks whether it may be sent. */
export interface Permitted {
  readonly target: Target;
  readonly method: string;
  readonly rules: EgressRules;
}

/** As clients of the wire format know it. */
const INNER = "requests to private/local addresses are not allowed";

/** Says whether a request may be sent where it wants to go. */
export class Permission {
  readonly #options: PermissionOptions;
  /** Rules stay the same object for as long as nobody changes them. */
  readonly #own = new WeakMap<EgressRules, TargetRules>();

  constructor(options: PermissionOptions) {
    this.#options = options;
  }

  /** @throws EgressFailure `EGRESS_TARGET_REFUSED`, `EGRESS_ADDRESS_REFUSED` */
  ask({ target, method, rules }: Permitted, way: "direct" | "socks5"): void {
    const { targets } = this.#options;
    if (target.kind === "name") {
      if (isLocalName(target.host)) throw refused(`${target.host} is a name of the local network`);
      if (way === "direct" && isProxyOnlyName(target.host)) {
        throw new EgressFailure("EGRESS_TARGET_REFUSED", `${target.host} is reached through an anonymous proxy alone`);
      }
    } else {
      const why = this.#options.addresses.refusal(target.host);
      if (why !== undefined) throw refused(`${target.host}: ${why}`);
      // Where an address lies seen from the exit nobody here can say.
      if (way === "socks5") throw refused("through an anonymous proxy servers are asked for by name");
    }
    const problem = targets.refusal(target, method) ?? this.#rulesOf(rules).refusal(target, method);
    if (problem !== undefined) throw new EgressFailure("EGRESS_TARGET_REFUSED", problem);
  }

  /** Asks once more, with an address that the target's name has. @throws EgressFailure `EGRESS_ADDRESS_REFUSED`, `EGRESS_TARGET_REFUSED` */
  askFor(address: string, { target, rules }: Permitted): void {
    const why = this.#options.addresses.refusal(address);
    // Which address it is stays untold: names that only this machine can look up would give it away.
    if (why !== undefined) throw refused(`${target.host} has an address that nobody may reach`, why);
    const problem = this.#options.targets.addressRefusal(address) ?? this.#rulesOf(rules).addressRefusal(address);
    if (problem !== undefined) throw new EgressFailure("EGRESS_TARGET_REFUSED", problem);
  }

  #rulesOf(rules: EgressRules): TargetRules {
    let own = this.#own.get(rules);
    if (!own) this.#own.set(rules, own = readRules(rules));
    return own;
  }
}

/** @throws EgressFailure for what another version of the gateway may have written: what cannot be read forbids everything */
function readRules({ allowHosts, denyHosts, ports, methods }: EgressRules): TargetRules {
  try {
    return new TargetRules({ allow_hosts: allowHosts ?? null, deny_hosts: denyHosts, ports, methods: methods ?? null });
  } catch (cause) {
    const sentence = "the namespace's settings for outbound requests cannot be read: set them anew";
    throw new EgressFailure("EGRESS_TARGET_REFUSED", sentence, cause);
  }
}

const refused = (what: string, cause?: string) =>
  new EgressFailure("EGRESS_ADDRESS_REFUSED", `${INNER}: ${what}`, cause);
