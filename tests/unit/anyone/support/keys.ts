import { createHash, createPublicKey, generateKeyPairSync } from "node:crypto";

/** What a relay's folder of keys holds, in the form of tor's files. */
export interface MadeKeys {
  readonly fingerprint: string;
  readonly files: Readonly<Record<string, Uint8Array>>;
}

/** Makes the keys of a relay that never was. */
export function makeKeys(): MadeKeys {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 1024 });
  const pem = String(privateKey.export({ type: "pkcs1", format: "pem" }));
  const der = createPublicKey(privateKey).export({ type: "pkcs1", format: "der" });
  const tagged = (tag: string, length: number) => {
    const bytes = new Uint8Array(32 + length);
    new TextEncoder().encodeInto(tag, bytes);
    crypto.getRandomValues(bytes.subarray(32));
    return bytes;
  };
  return {
    fingerprint: createHash("sha1").update(der).digest("hex").toUpperCase(),
    files: {
      // tor writes a zero byte at the end.
      secret_id_key: new TextEncoder().encode(`${pem}\0`),
      ed25519_master_id_secret_key: tagged("== ed25519v1-secret: type0 ==", 64),
      ed25519_master_id_public_key: tagged("== ed25519v1-public: type0 ==", 32),
      secret_onion_key: new TextEncoder().encode(pem),
    },
  };
}

/** Writes files into a folder that is made. */
export async function putFiles(folder: string, files: Readonly<Record<string, Uint8Array | string>>): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  for (const [name, content] of Object.entries(files)) {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    await Deno.writeFile(`${folder}/${name}`, bytes);
  }
}

/** Everything below a folder: paths, modes, and contents in hexadecimal digits. */
export async function snapshot(folder: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    const mode = ((await Deno.lstat(path)).mode! & 0o777).toString(8);
    if (isDirectory) {
      found[name] = mode;
      for (const [below, what] of Object.entries(await snapshot(path))) found[`${name}/${below}`] = what;
    } else found[name] = `${mode} ${(await Deno.readFile(path)).toHex()}`;
  }
  return found;
}

/** A folder that goes after the work in it. */
export async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
