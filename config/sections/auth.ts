import { field, group, section } from "../field.ts";
import { list, mapOf } from "../kinds/collections.ts";
import { duration } from "../kinds/duration.ts";
import { flag, integer, path, text } from "../kinds/plain.ts";
import { origin, originOrUrl, secretUrl, url } from "../kinds/url.ts";

const domain = text({
  max: 255,
  pattern: /^([a-z\d._-]+|\[[\da-f:.]+\])(:\d{1,5})?$/i,
  expected: "a host name, with a port where it is not the usual one, such as gateway.example",
});
const chainId = { name: "chain id", expected: "an EIP-155 chain id such as 1", pattern: /^[1-9]\d{0,15}$/ };

/** Wallets, keys, tokens and sessions. */
export const auth = section({
  description: "Wallets that sign in, and the keys, tokens and sessions they get.",
  fields: {
    root_key_file: field(path, {
      description:
        "The file with the 32 bytes that every other secret of a cluster is derived from or wrapped by: the same for all its gateways, and the one thing to back up apart. `dev` makes one in its data folder.",
    }),
    issuer: field(text({ max: 255 }), {
      default: "orama-gateway",
      description: "`iss` of the access tokens. Tokens of another issuer are refused.",
    }),
    audience: field(text({ max: 255 }), {
      default: "gateway",
      description: "`aud` of the access tokens. Tokens for another audience are refused.",
    }),
    access_token_ttl: field(duration({ min: "1s", max: "1d" }), {
      default: "15m",
      description: "Life of an access token.",
    }),
    refresh_token_ttl: field(duration({ min: "1s", max: "3650d" }), {
      default: "30d",
      description: "Life of a refresh token. Each use gives a new one, so this is how long a session may rest.",
    }),
    refresh_grace: field(duration({ max: "5m" }), {
      default: "30s",
      description:
        "How long the same use of a refresh token has the same answer: for a client that lost it, or tabs that share it. Later repetition counts as theft and ends the session.",
    }),
    nonce_ttl: field(duration({ min: "1s", max: "1h" }), {
      default: "5m",
      description: "How long a wallet has to sign a challenge.",
    }),
    signing_key_rotation: field(duration({ min: "1m" }), {
      default: "90d",
      description:
        "Age at which the key that signs access tokens is replaced. The old one stays published while its tokens live.",
    }),
    sign_in: group({
      domain: field(domain, {
        description:
          "The domain in sign-in messages (EIP-4361). Without it: the host of `http.public_url`, or of `http.listen`.",
      }),
      uri: field(url, {
        description: "The URI in sign-in messages. Without it: `http.public_url`, or that of `http.listen`.",
      }),
      origins: field(list(origin), {
        default: [],
        description:
          "Origins of applications that may write sign-in messages themselves, under their own domain, with a nonce of this gateway's.",
      }),
      chain_ids: field(list(integer({ min: 1 })), {
        default: [1],
        description:
          "EIP-155 chains that a sign-in message may name. The first one is put into messages when the client names none.",
      }),
      statement: field(text({ max: 256 }), {
        description: "The sentence in sign-in messages that a wallet shows to its owner.",
      }),
    }),
    ethereum_rpc: field(mapOf(chainId, secretUrl), {
      default: {},
      secret: true,
      description:
        "JSON-RPC endpoint for each EIP-155 chain id, to check signatures of contract wallets (ERC-1271, ERC-6492). Without one for a chain, only plain wallets of that chain can sign in.",
    }),
    ethereum_rpc_timeout: field(duration({ min: "100ms", max: "60s" }), {
      default: "3s",
      description: "How long one check of a contract wallet's signature may take on the endpoint of its chain.",
    }),
    login: group({
      callbacks: field(list(originOrUrl), {
        default: [],
        description:
          "Where the login page may send a browser back to, beside loopback addresses: whole origins (`https://app.example`) or exact URLs (`https://app.example/callback`). They get a one-time code, never a key.",
      }),
    }),
    principal_cache: group({
      size: field(integer({ min: 1, max: 10_000_000 }), {
        default: 100_000,
        unit: "credentials",
        description: "How many credentials a gateway remembers the owner of.",
      }),
      max_stale: field(duration({ max: "60s" }), {
        default: "60s",
        description:
          "How long a remembered credential is still taken while the control plane cannot be asked whether it was revoked.",
      }),
    }),
    simple_key: field(flag, {
      default: false,
      description:
        "Whether `POST /v1/auth/simple-key` gives a key to anyone who asks, without a signature. For development only.",
    }),
  },
  check: (auth) => [
    ...(auth.refresh_token_ttl < auth.access_token_ttl
      ? [{
        key: "refresh_token_ttl",
        because: "access_token_ttl",
        expected: "a life at least as long as auth.access_token_ttl",
      }]
      : []),
    ...(auth.sign_in.chain_ids.length === 0 ? [{ key: "sign_in.chain_ids", expected: "at least one chain id" }] : []),
  ],
});
