import { createHash } from "node:crypto";

/**
 * The file of a namespace's database, without its folder. Different namespaces never share one, also where a file system does
 * not tell upper case from lower; no name leads out of the folder or means a device.
 */
export function namespaceFile(namespace: string): string {
  // Percent signs of its own have `%25`, so the spelling can be undone and is therefore unique.
  const spelled = Array.from(new TextEncoder().encode(namespace), spell).join("");
  const name = spelled.length <= 200 ? `ns-${spelled}` : `long-${createHash("sha256").update(namespace).digest("hex")}`;
  return `${name}.sqlite`;
}

function spell(byte: number): string {
  const character = String.fromCharCode(byte);
  return /[a-z0-9_-]/.test(character) ? character : `%${byte.toString(16).padStart(2, "0")}`;
}

/** What SQLite puts beside a database file, and the file itself. */
export const filesOf = (path: string): string[] => ["", "-wal", "-shm", "-journal"].map((suffix) => path + suffix);
