import type { Config } from "../config/index.ts";
import { ControlApiKeys } from "../services/auth/api_keys.ts";
import type { RootKey } from "../services/auth/crypto/root_key.ts";
import { trustedWallet } from "../services/auth/crypto/wallet.ts";
import { type AuditEntry, ControlAuditLog } from "../services/control_plane/audit.ts";
import type { ControlDatabase } from "../services/control_plane/control_database.ts";
import { RevocationFeed } from "../services/control_plane/revocations.ts";
import { MemberRegistry } from "../services/namespaces/members.ts";
import { NamespaceRegistry } from "../services/namespaces/namespaces.ts";
import type { Namespaces } from "./contracts/namespaces.ts";

/** What the services on the control plane are built from. */
export interface ControlServicesOptions {
  readonly config: Config;
  readonly control: ControlDatabase;
  /** Databases that namespaces are given, one each; `undefined` where each gets a file of its own. */
  readonly databases: readonly string[] | undefined;
  readonly now: () => number;
  readonly random: (n: number) => Uint8Array;
  /** Told when reading revocations begins or ceases to fail. */
  readonly onRevocations?: (error: unknown) => void;
  /** Told of an entry of the audit log that was lost: of an act that was done elsewhere than in the control plane. */
  readonly onLostEntry?: (entry: AuditEntry, error: unknown) => void;
  /** Called when a namespace waits for its deletion. */
  readonly deletionWanted?: () => void;
}

/** The services that a gateway and a command beside it both work with. */
export interface ControlServices {
  readonly audit: ControlAuditLog;
  readonly revocations: RevocationFeed;
  readonly namespaces: NamespaceRegistry;
  readonly members: MemberRegistry;
  /** API keys; those of wallets are derived from the root key. */
  readonly apiKeysOf: (rootKey: RootKey) => ControlApiKeys;
}

/** Milliseconds in which a revocation reaches the other gateways. */
const REVOCATION_INTERVAL = 500;

/** Builds the services that need nothing but the control plane. Nothing runs by itself: the feed of revocations is started apart. */
export function controlServices(options: ControlServicesOptions): ControlServices {
  const { config, control, databases, now, random, onRevocations, onLostEntry, deletionWanted = () => {} } = options;
  const { shared_default: sharedDefault, max_per_wallet: maxPerWallet, creation } = config.namespaces;
  const audit = new ControlAuditLog(control, now, onLostEntry);
  const revocations = new RevocationFeed(control, {
    now,
    monotonic: () => performance.now(),
    interval: REVOCATION_INTERVAL,
    maxSilence: config.auth.principal_cache.max_stale,
    ...(onRevocations && { onState: onRevocations }),
  });
  const shared = { control, revocations, audit, now };
  return {
    audit,
    revocations,
    namespaces: new NamespaceRegistry({
      ...shared,
      rules: { sharedDefault, maxPerWallet, creation, databases },
      deletionWanted,
    }),
    members: new MemberRegistry({ ...shared, canonical: (wallet) => trustedWallet(wallet, "wallet") }),
    apiKeysOf: (rootKey) => new ControlApiKeys({ ...shared, derivation: rootKey.subkey("api-key"), random }),
  };
}

/** The two halves of the contract of namespaces as one. */
export const registryOf = (namespaces: NamespaceRegistry, members: MemberRegistry): Namespaces => ({
  admit: (...args) => namespaces.admit(...args),
  create: (namespace, caller, context, owner) =>
    namespaces.create(namespace, caller, context, owner && trustedWallet(owner, "owner")),
  list: (...args) => namespaces.list(...args),
  get: (...args) => namespaces.get(...args),
  delete: (...args) => namespaces.delete(...args),
  members: (...args) => members.list(...args),
  setMember: (...args) => members.set(...args),
  removeMember: (...args) => members.remove(...args),
});
