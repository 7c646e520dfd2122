import { z, type ZodType } from "zod";
import type { ChainType, KeyGrant, TokenGrant, WalletProof } from "../../src/contracts/wallet_auth.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import { DEFAULT_NAMESPACE } from "../../src/contracts/namespaces.ts";
import { MAX_NAME_BYTES, nameProblem } from "../../src/contracts/topic_rights.ts";

const text = (max: number) => z.string().max(max);

/** A member that may be left out; `null` says the same. */
export function optional<Schema extends ZodType>(schema: Schema) {
  const made = schema.nullish().transform((value) => value ?? undefined);
  return schema.description === undefined ? made : made.describe(schema.description);
}

/** A name of a topic or a member, or a pattern of topics. */
export const named = (description: string) =>
  z.string().min(1).max(MAX_NAME_BYTES).superRefine((text, context) => {
    const message = nameProblem(text);
    if (message !== undefined) context.addIssue({ code: "custom", message });
  }).meta({ pattern: "^[^\\u0000-\\u001f\\u007f]+$", description });

/** A namespace as clients send it: blank means `default`. */
export const namespaceField = z.string().regex(
  /^\s*([a-zA-Z0-9][a-zA-Z0-9_-]{0,63})?\s*$/,
  "1 to 64 letters, digits, - and _, beginning with a letter or digit",
).max(80).describe("Namespace; blank or absent: `default`.");
/** The namespace that is meant: `default` when nothing was given, or blanks. */
export const namespaceOf = (given: string | undefined): string => given?.trim() || DEFAULT_NAMESPACE;

/** The family of a wallet, as `chain_type` names it. */
export const chainType = z.string().trim().toUpperCase().pipe(z.enum(["ETH", "SOL"]))
  .describe("`ETH` (default) or `SOL`, in any case.");

/** A wallet's address as its owner spells it. Whether it is one, the service says. */
export const walletField = z.string({ error: "wallet is required" }).trim().min(1, "wallet is required").max(128)
  .describe("Wallet address: `0x…` for Ethereum, base58 for Solana.");

/** Members of a proof: a signed bare nonce, or a signed message. */
export const proofFields = {
  wallet: optional(text(128)).describe("Wallet that signed. Not needed with `message`."),
  nonce: optional(text(128)).describe("The nonce of the challenge, when it was signed bare."),
  signature: z.string({ error: "wallet, nonce and signature are required" }).min(
    1,
    "wallet, nonce and signature are required",
  )
    .max(20_000)
    .describe("ETH: hex of `personal_sign`. SOL: base64 of Ed25519."),
  message: optional(text(8192)).describe("The whole signed EIP-4361 message, in place of `wallet` and `nonce`."),
  namespace: optional(namespaceField),
  chain_type: optional(chainType),
  purpose: optional(text(64)).describe("Only for a purpose of your own: the one that the challenge was made for."),
};

interface ProofBody {
  readonly wallet?: string | undefined;
  readonly nonce?: string | undefined;
  readonly signature: string;
  readonly message?: string | undefined;
  readonly namespace?: string | undefined;
  readonly chain_type?: ChainType | undefined;
  readonly purpose?: string | undefined;
}

/** @throws GatewayError `INVALID_REQUEST` when neither form is complete */
export function proofOf(body: ProofBody): WalletProof {
  const { wallet, nonce, signature, message, namespace, chain_type, purpose } = body;
  if (message) return { kind: "message", message, signature };
  if (!wallet?.trim() || !nonce?.trim()) {
    const field = wallet?.trim() ? "nonce" : "wallet";
    throw new GatewayError("INVALID_REQUEST", "wallet, nonce and signature are required", {
      details: [{ field, problem: "is required unless message is given" }],
    });
  }
  return {
    kind: "nonce",
    wallet,
    nonce: nonce.trim(),
    signature,
    namespace: namespaceOf(namespace),
    chainType: chain_type ?? "ETH",
    purpose: purpose?.trim() || undefined,
  };
}

/** Members of every answer with a token. */
export const tokenOutput = {
  access_token: z.string(),
  token: z.string().describe("The same as `access_token`."),
  token_type: z.literal("Bearer"),
  expires_in: z.number().describe("Seconds."),
  refresh_token: z.string().optional(),
  subject: z.string(),
  namespace: z.string(),
};

/** The members that every answer with a token has. */
export const tokenMembers = (grant: TokenGrant, namespace: string) => ({
  access_token: grant.accessToken,
  token: grant.accessToken,
  token_type: "Bearer" as const,
  expires_in: grant.expiresIn,
  refresh_token: grant.refreshToken,
  subject: grant.subject,
  namespace,
});

/** The answer that gives a wallet its key. */
export const keyGrantOutput = z.object({ api_key: z.string(), namespace: z.string(), wallet: z.string() });
/** That answer. @param namespace as the client wrote it, which older ones compare */
export const keyGrantMembers = ({ apiKey, wallet }: KeyGrant, namespace: string) => ({
  api_key: apiKey,
  namespace,
  wallet,
});
