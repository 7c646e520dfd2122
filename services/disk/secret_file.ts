import { createOnce, unlessMissing } from "./files.ts";

/** More is no secret of ours. */
const MAX_BYTES = 4_096;

/** What a file of a secret holds, and how others may read it. */
export interface SecretFile {
  readonly text: string;
  /** Whether other users of this machine can read it. */
  readonly open: boolean;
}

/**
 * Reads a small secret from a file, or makes it first where there is none, for this user alone (mode 0600). Of several that start
 * at once one makes it and all read the same; a crash never leaves half of it.
 * @param make the text of a new one
 * @throws what the system says, and Error for a file that is too large
 */
export async function readOrCreateSecret(path: string, make: () => string | Promise<string>): Promise<SecretFile> {
  return await readSecret(path) ?? await create(path, await make());
}

async function create(path: string, text: string): Promise<SecretFile> {
  await createOnce(path, `${path}.${crypto.randomUUID()}`, text);
  return (await readSecret(path))!;
}

/** `undefined` where there is none. */
async function readSecret(path: string): Promise<SecretFile | undefined> {
  using file = await unlessMissing(Deno.open(path));
  if (file === undefined) return undefined;
  const { isFile, size, mode } = await file.stat();
  if (!isFile || size > MAX_BYTES) throw new Error(`${path} is no file of up to ${MAX_BYTES} bytes`);
  return { text: await new Response(file.readable).text(), open: mode !== null && (mode & 0o077) !== 0 };
}
