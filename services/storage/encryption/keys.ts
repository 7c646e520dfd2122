import { hkdfSync } from "node:crypto";

const BYTES = 32;
const ROOT_SALT = "orama-gateway storage v1";
const OBJECT_INFO = "orama-gateway storage object v1";

/**
 * The key of one namespace (HKDF-SHA256, RFC 5869). Another namespace of the same name, later, has another one.
 * @param root 32 bytes, the same on every gateway
 * @param createdAt Unix milliseconds at which the namespace was made
 */
export const namespaceKey = (root: Uint8Array, namespace: string, createdAt: number): Uint8Array =>
  new Uint8Array(hkdfSync("sha256", root, ROOT_SALT, `encryption\0${namespace}\0${createdAt}`, BYTES));

/** The key of one object. @param salt random, its own */
export const objectKey = (namespace: Uint8Array, salt: Uint8Array): Promise<CryptoKey> =>
  crypto.subtle.importKey("raw", hkdfSync("sha256", namespace, salt, OBJECT_INFO, BYTES), "AES-GCM", false, [
    "encrypt",
    "decrypt",
  ]);

/** The key by which links are signed. @param root 32 bytes, the same on every gateway */
export const linkKey = (root: Uint8Array): Uint8Array =>
  new Uint8Array(hkdfSync("sha256", root, ROOT_SALT, "links", BYTES));
