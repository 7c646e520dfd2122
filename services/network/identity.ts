import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from "@libp2p/crypto/keys";
import type { Ed25519PrivateKey } from "@libp2p/interface";
import { base64 } from "@scure/base";
import { readOrCreateSecret } from "../disk/secret_file.ts";

/** A gateway's own key, and what the operator should hear about its file. */
export interface Identity {
  readonly key: Ed25519PrivateKey;
  /** Sentences; empty when all is well. */
  readonly warnings: readonly string[];
}

/** The file with a gateway's own key cannot be used. The message names it, and holds nothing of the content. */
export class IdentityError extends Error {
  override readonly name = "IdentityError";
}

/**
 * Reads a gateway's own Ed25519 key from its file, in libp2p's form (protobuf) as base64, or makes one first where there is none.
 * @throws IdentityError
 */
export async function openIdentity(path: string): Promise<Identity> {
  try {
    const { text, open } = await readOrCreateSecret(path, newKey);
    const key = privateKeyFromProtobuf(base64.decode(text.trim()));
    if (key.type !== "Ed25519") throw new Error(`a key of type ${key.type}`);
    const warnings = open ? [`${path} is open to other users of this machine: chmod 600 ${path}`] : [];
    return { key, warnings };
  } catch (cause) {
    throw new IdentityError(`${path} does not hold the Ed25519 key of a gateway, in base64`, { cause });
  }
}

const newKey = async () => `${base64.encode(privateKeyToProtobuf(await generateKeyPair("Ed25519")))}\n`;
