import { Buffer } from "node:buffer";
import { createHash, createPrivateKey, createPublicKey } from "node:crypto";
import { GatewayError } from "../../src/contracts/errors.ts";
import { unlessMissing } from "../disk/files.ts";
import { spoken } from "./anonrc_file.ts";

/** How the network knows a relay. */
export interface RelayIdentity {
  /** 40 hexadecimal digits in capitals: SHA-1 of the public RSA key (tor-spec, "Identity keys"). */
  readonly fingerprint: string;
  /** The public Ed25519 key in Base64 without padding; `undefined` where only its secret half is kept. */
  readonly ed25519: string | undefined;
}

/** Bytes; no key of a relay comes near it. */
const MAX_KEY = 16_384;
const RSA = /^-----BEGIN RSA PRIVATE KEY-----\s([A-Za-z\d+/=\s]+)-----END RSA PRIVATE KEY-----/;
/** What a file with a public Ed25519 key begins with, filled up to 32 bytes; then come the 32 of the key. */
const ED25519_PUBLIC = "== ed25519v1-public: type0 ==";

/** The file of the RSA key (tor(1), "Files"). */
export const RSA_KEY = "secret_id_key";
/** The file of the public Ed25519 key. */
export const ED25519_KEY = "ed25519_master_id_public_key";

/**
 * The identity whose keys are in a folder.
 * @returns `undefined` where there is no RSA key
 * @throws GatewayError `CONFLICT` for what is no key, `FORBIDDEN` for what this user may not read
 */
export async function identityIn(folder: string): Promise<RelayIdentity | undefined> {
  const rsa = await readKey(`${folder}/${RSA_KEY}`);
  if (rsa === undefined) return undefined;
  const ed25519 = await readKey(`${folder}/${ED25519_KEY}`);
  try {
    return {
      fingerprint: fingerprintOf(new TextDecoder().decode(rsa)),
      ed25519: ed25519 && ed25519Of(ed25519),
    };
  } catch (cause) {
    throw new GatewayError("CONFLICT", `${folder}: ${(cause as Error).message}`, { cause });
  }
}

/**
 * Reads the file of a key.
 * @returns `undefined` where there is none
 * @throws GatewayError `CONFLICT` for a link, a folder, or what is too large; `FORBIDDEN`
 */
export async function readKey(path: string): Promise<Uint8Array | undefined> {
  try {
    const info = await unlessMissing(Deno.lstat(path));
    if (info === undefined) return undefined;
    if (!info.isFile || info.size > MAX_KEY) {
      throw new GatewayError("CONFLICT", `${path} is no file of up to ${MAX_KEY} bytes, as keys are`);
    }
    return await Deno.readFile(path);
  } catch (error) {
    throw spoken(error, path);
  }
}

/** @param pem what the file of an RSA key holds; it may end with a zero byte, as tor writes it. @throws Error */
export function fingerprintOf(pem: string): string {
  const [, base64] = RSA.exec(pem) ?? [];
  if (base64 === undefined) throw new Error(`${RSA_KEY} is no RSA key in PEM`);
  let der: Uint8Array;
  try {
    const key = createPrivateKey({ key: Buffer.from(base64, "base64"), format: "der", type: "pkcs1" });
    der = createPublicKey(key).export({ format: "der", type: "pkcs1" });
  } catch (cause) {
    throw new Error(`${RSA_KEY} is no RSA key in PEM`, { cause });
  }
  return createHash("sha1").update(der).digest("hex").toUpperCase();
}

/** @param bytes what the file of a public Ed25519 key holds. @throws Error */
export function ed25519Of(bytes: Uint8Array): string {
  const head = new TextDecoder("latin1").decode(bytes.subarray(0, 32)).replace(/\0+$/, "");
  if (bytes.length !== 64 || head !== ED25519_PUBLIC) throw new Error(`${ED25519_KEY} is no Ed25519 key of tor's form`);
  return bytes.subarray(32).toBase64({ omitPadding: true });
}
