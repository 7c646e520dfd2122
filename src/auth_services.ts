import type { Config } from "../config/index.ts";
import type { ControlApiKeys } from "../services/auth/api_keys.ts";
import { CredentialAuthenticator } from "../services/auth/authenticator.ts";
import { ContractWallets } from "../services/auth/crypto/contract_wallet.ts";
import { Nonces } from "../services/auth/crypto/nonce.ts";
import type { RootKey } from "../services/auth/crypto/root_key.ts";
import { open, seal } from "../services/auth/crypto/seal.ts";
import { KeyUsage } from "../services/auth/key_usage.ts";
import { LoginCodes } from "../services/auth/login_codes.ts";
import { WalletSessions } from "../services/auth/sessions.ts";
import { SigningKeys } from "../services/auth/signing_keys.ts";
import { Tokens } from "../services/auth/tokens.ts";
import { SignedTopicTokens } from "../services/auth/topic_tokens.ts";
import { WalletSignIn } from "../services/auth/wallet_auth.ts";
import { type SignInSite, WalletProofs } from "../services/auth/wallet_proof.ts";
import type { ControlDatabase } from "../services/control_plane/control_database.ts";
import type { ControlServices } from "./control_services.ts";

/** What telling who calls is built from. */
export interface AuthServicesOptions {
  readonly config: Config;
  readonly rootKey: RootKey;
  /** Waits for the start of the gateway. */
  readonly control: ControlDatabase;
  /** Does not: signing keys are read before it is over. */
  readonly startingControl: ControlDatabase;
  readonly core: ControlServices;
  readonly apiKeys: ControlApiKeys;
  readonly now: () => number;
  readonly random: (n: number) => Uint8Array;
  /** Where this gateway can be reached; known only once it listens. */
  readonly url: () => string;
}

/** Wallets, sessions and tokens of one gateway. */
export interface AuthServices {
  readonly authenticator: CredentialAuthenticator;
  readonly walletAuth: WalletSignIn;
  readonly sessions: WalletSessions;
  readonly topicTokens: SignedTopicTokens;
  readonly signingKeys: SigningKeys;
  readonly usage: KeyUsage;
}

/** Builds what tells who calls. Nothing runs by itself: signing keys are maintained, and uses of keys written, by the upkeep. */
export function authServices(options: AuthServicesOptions): AuthServices {
  const { config, rootKey, control, core: { audit, revocations, namespaces }, apiKeys, now, random, url } = options;
  const { auth, pubsub } = config;
  const signingSeal = rootKey.subkey("signing-keys");
  const signingKeys = new SigningKeys(options.startingControl, {
    now,
    monotonic: () => performance.now(),
    seal: {
      seal: (text, label) => seal(signingSeal, text, label, random),
      open: (text, label) => open(signingSeal, text, label),
    },
    rotation: auth.signing_key_rotation,
    tokenTtl: Math.max(auth.access_token_ttl, pubsub.token_ttl),
  });
  const { issuer, audience, access_token_ttl: ttl } = auth;
  const tokens = new Tokens(signingKeys, { issuer, audience, ttl, now, random });
  const usage = new KeyUsage(control, now);
  const authenticator = new CredentialAuthenticator({
    control,
    revocations,
    tokens,
    used: (id) => usage.used(id),
    cache: { size: auth.principal_cache.size, life: 60_000, now },
  });
  const sessions = new WalletSessions({
    control,
    revocations,
    audit,
    now,
    random,
    derivation: rootKey.subkey("refresh-token"),
    refreshTtl: auth.refresh_token_ttl,
    grace: auth.refresh_grace,
  });
  const walletAuth = new WalletSignIn({
    control,
    revocations,
    audit,
    proofs: new WalletProofs({
      control,
      nonces: new Nonces(rootKey.subkey("nonce"), now, random),
      now,
      nonceTtl: auth.nonce_ttl,
      site: () => siteOf(config, url()),
      contracts: contractsOf(config),
    }),
    sessions,
    apiKeys,
    tokens,
    signingKeys,
    loginCodes: new LoginCodes({ control, now, random, callbacks: auth.login.callbacks }),
    admit: (namespace, wallet, context) => namespaces.admit(namespace, wallet, context),
    now,
    random,
    simpleKey: auth.simple_key,
  });
  const topicTokens = new SignedTopicTokens({ tokens, maxTtl: pubsub.token_ttl });
  return { authenticator, walletAuth, sessions, topicTokens, signingKeys, usage };
}

/** This gateway as sign-in messages name it. The request's `Host` has no part in it: anyone can write that. */
function siteOf({ http, auth }: Config, url: string): SignInSite {
  const own = http.public_url ?? url;
  const { port, hostname } = new URL(own);
  const aliases = hostname === "127.0.0.1" || hostname === "[::1]" ? [`http://localhost:${port}`] : [];
  const { origins, domain, uri, chain_ids, statement } = auth.sign_in;
  return { origins: [own, ...aliases, ...origins], domain, uri, chainIds: chain_ids, statement };
}

function contractsOf({ auth }: Config): ContractWallets | undefined {
  const endpoints = new Map(Object.entries(auth.ethereum_rpc).map(([chain, url]) => [Number(chain), url]));
  return endpoints.size > 0 ? new ContractWallets({ endpoints, timeout: auth.ethereum_rpc_timeout }) : undefined;
}
