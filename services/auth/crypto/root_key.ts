import { hkdfSync } from "node:crypto";
import { bytesToHex, hexToBytes } from "@noble/hashes/utils.js";
import { base64nopad, base64urlnopad } from "@scure/base";
import { createOnce } from "../../disk/files.ts";

/** What the keys derived from the root key are for. A label keeps its meaning for ever: another label is another key. */
export const SUBKEY_LABELS = [
  "nonce",
  "api-key",
  "refresh-token",
  "signing-keys",
  "function-secrets",
  "storage",
  "pubsub-network",
  "webhooks",
  "egress",
] as const;
/** One of {@link SUBKEY_LABELS}. */
export type SubkeyLabel = typeof SUBKEY_LABELS[number];

const SIZE = 32;
const MAX_FILE_BYTES = 1024;
const SALT = "orama-gateway root key v1";
const EXPECTED =
  "expected 32 random bytes, raw, as 64 hex digits or in base64 (for example from `openssl rand -hex 32`)";

/** A root key that cannot be used. The message names the file and what was expected, and holds nothing of the content. */
export class RootKeyError extends Error {
  override readonly name = "RootKeyError";
}

/** The only secret that a gateway keeps at rest. Everything else is derived from it or sealed by what is derived. */
export class RootKey {
  readonly #bytes: Uint8Array;

  /**
   * @param bytes 32 random bytes
   * @param source where they came from, for the message
   * @throws RootKeyError when they are not 32, or plainly not random: few different bytes, or a passphrase
   */
  constructor(bytes: Uint8Array, source = "root key") {
    if (bytes.length !== SIZE) throw new RootKeyError(`${source} holds ${bytes.length} bytes: ${EXPECTED}`);
    if (new Set(bytes).size < 8) throw new RootKeyError(`${source} is not random: ${EXPECTED}`);
    // Of 10^13 random keys one has only printable characters.
    if (bytes.every((byte) => byte >= 0x09 && byte < 0x7f)) {
      throw new RootKeyError(`${source} holds 32 characters of text, not a key: ${EXPECTED}`);
    }
    this.#bytes = bytes.slice();
  }

  /** The 32-byte key for one use (HKDF-SHA256, RFC 5869). Knowing it tells nothing about the root key or other uses. */
  subkey(label: SubkeyLabel): Uint8Array {
    return new Uint8Array(hkdfSync("sha256", this.#bytes, SALT, label, SIZE));
  }
}

/** A root key and what the operator should hear about its file. */
export interface RootKeyFile {
  readonly key: RootKey;
  /** Sentences, such as that others can read the file; empty when all is well. */
  readonly warnings: readonly string[];
}

/**
 * Reads a root key from a file that holds 32 raw bytes, 64 hex digits, or base64 (standard or URL-safe, padding optional);
 * blanks around a text are dropped.
 * @throws RootKeyError when the file cannot be read or holds anything else
 */
export async function readRootKey(path: string): Promise<RootKeyFile> {
  const { bytes, mode } = await readSmallFile(path);
  const key = new RootKey(bytes.length === SIZE ? bytes : bytesOfText(bytes, path), path);
  if (mode === null || (mode & 0o077) === 0) return { key, warnings: [] };
  const octal = (mode & 0o777).toString(8).padStart(3, "0");
  return { key, warnings: [`${path} is open to other users of this machine (mode ${octal}): chmod 600 ${path}`] };
}

/**
 * Reads the root key, or makes it first where there is none: for development and the first start of a single gateway. Of
 * several that start at once one makes it and all read the same; a crash never leaves half a key.
 * @param random cryptographically strong bytes
 * @throws RootKeyError as {@link readRootKey}, and when the file cannot be written
 */
export async function readOrCreateRootKey(path: string, random: (n: number) => Uint8Array): Promise<RootKeyFile> {
  try {
    await Deno.lstat(path);
  } catch (error) {
    // Anything but a missing file is reported by the reading below.
    if (error instanceof Deno.errors.NotFound) await createRootKey(path, random);
  }
  return await readRootKey(path);
}

async function createRootKey(path: string, random: (n: number) => Uint8Array): Promise<void> {
  try {
    await createOnce(path, `${path}.${bytesToHex(random(8))}`, bytesToHex(random(SIZE)) + "\n");
  } catch (cause) {
    throw new RootKeyError(`${path} cannot be written (${nameOf(cause)})`, { cause });
  }
}

async function readSmallFile(path: string): Promise<{ bytes: Uint8Array; mode: number | null }> {
  let file: Deno.FsFile;
  try {
    file = await Deno.open(path);
  } catch (cause) {
    throw new RootKeyError(`${path} cannot be read (${nameOf(cause)}): ${EXPECTED}`, { cause });
  }
  using opened = file;
  const { isFile, size, mode } = await opened.stat();
  if (!isFile) throw new RootKeyError(`${path} is not a file: ${EXPECTED}`);
  if (size > MAX_FILE_BYTES) throw new RootKeyError(`${path} holds ${size} bytes: ${EXPECTED}`);
  return { bytes: new Uint8Array(await new Response(opened.readable).arrayBuffer()), mode };
}

function bytesOfText(bytes: Uint8Array, path: string): Uint8Array {
  const text = new TextDecoder().decode(bytes).trim();
  if (/^[0-9a-fA-F]{64}$/.test(text)) return hexToBytes(text);
  const digits = text.replace(/=$/, "");
  try {
    if (/^[A-Za-z0-9+/]{43}$/.test(digits)) return base64nopad.decode(digits);
    if (/^[A-Za-z0-9_-]{43}$/.test(digits)) return base64urlnopad.decode(digits);
  } catch {
    // Bits beyond the last byte that are not zero: cut or mistyped.
  }
  throw new RootKeyError(`${path} holds ${bytes.length} bytes that are no key: ${EXPECTED}`);
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : String(error);
}
