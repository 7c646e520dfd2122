import { DatabaseSync } from "node:sqlite";
import { importJWK, type JWTPayload, SignJWT } from "jose";
import { readRootKey } from "../../services/auth/crypto/root_key.ts";
import { open } from "../../services/auth/crypto/seal.ts";

/** The key with which a gateway signs its access tokens, taken from its data folder: for tokens that it would never make. */
export interface StolenKey {
  readonly kid: string;
  /** The public half as `/v1/auth/jwks` shows it. */
  readonly publicJwk: Readonly<Record<string, string>>;
  /** Signs claims as they are. */
  sign(claims: JWTPayload, header?: Readonly<Record<string, string>>): Promise<string>;
}

/** @param dataFolder of a gateway with the embedded driver */
export async function stealSigningKey(dataFolder: string): Promise<StolenKey> {
  const { key } = await readRootKey(`${dataFolder}/root.key`);
  using file = new DatabaseSync(`${dataFolder}/control.sqlite`, { readOnly: true });
  const row = file.prepare("SELECT kid, public_jwk, sealed_private_jwk FROM signing_keys ORDER BY active_from DESC")
    .get();
  if (!row) throw new Error("the gateway has no signing key yet");
  const kid = String(row.kid);
  const jwk = JSON.parse(open(key.subkey("signing-keys"), String(row.sealed_private_jwk), `signing-key:${kid}`));
  const privateKey = await importJWK(jwk, "EdDSA");
  return {
    kid,
    publicJwk: JSON.parse(String(row.public_jwk)),
    sign: (claims, header = {}) =>
      new SignJWT(claims).setProtectedHeader({ alg: "EdDSA", kid, typ: "JWT", ...header }).sign(privateKey),
  };
}

/** The parts of a compact JWS, decoded. */
export function decodeToken(token: string): { readonly header: Record<string, string>; readonly claims: JWTPayload } {
  const [header = "", claims = ""] = token.split(".");
  const decode = (part: string) =>
    JSON.parse(new TextDecoder().decode(Uint8Array.fromBase64(part, { alphabet: "base64url" })));
  return { header: decode(header), claims: decode(claims) };
}

/** A text as a part of a compact JWS. */
export const encodePart = (value: unknown): string =>
  new TextEncoder().encode(JSON.stringify(value)).toBase64({ alphabet: "base64url", omitPadding: true });
