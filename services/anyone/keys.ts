import { GatewayError } from "../../src/contracts/errors.ts";
import { removeIfThere, unlessMissing } from "../disk/files.ts";
import { spoken } from "./anonrc_file.ts";
import { identityIn, readKey, type RelayIdentity, RSA_KEY } from "./identity.ts";

/** Keys of a relay that are to be brought to another folder. */
export interface KeyMigration {
  readonly from: string;
  /** `keys` in the data folder. */
  readonly to: string;
  readonly identity: RelayIdentity;
  /** Names of the files that will be there anew. */
  readonly files: readonly string[];
  /** Names of those that are left behind, because they are no keys of a relay. */
  readonly left: readonly string[];
}

/** The keys of a relay (tor(1), "Files"), without those of directory authorities and onion services. */
const NAMES = [
  /^secret_id_key$/,
  /^secret_onion_key(_ntor)?(\.old)?$/,
  /^ed25519_master_id_(secret_key(_encrypted)?|public_key)$/,
  /^ed25519_signing_(secret_key(_encrypted)?|cert)$/,
  /^[\w.-]{1,200}\.secret_family_key$/,
];
/** Each of these sets holds what is needed to go on with an Ed25519 identity: the key itself, or what it has signed. */
const ED25519_SETS = [
  ["ed25519_master_id_secret_key"],
  ["ed25519_master_id_secret_key_encrypted"],
  ["ed25519_master_id_public_key", "ed25519_signing_secret_key", "ed25519_signing_cert"],
];
const MAX_FILES = 100;

/**
 * Plans what bringing a relay's keys takes. Changes nothing.
 * @param from a data folder of `anon` or tor, or the folder of the keys themselves
 * @param dataDir the data folder that is to have them
 * @throws GatewayError `NOT_FOUND` for no keys, `CONFLICT` for keys that do not belong together or an identity that is there already
 * and another one, `FORBIDDEN`
 */
export async function planKeys(from: string, dataDir: string): Promise<KeyMigration> {
  const source = await isFolder(`${from}/keys`) ? `${from}/keys` : from;
  const names = await namesIn(source);
  const identity = await identityIn(source);
  if (identity === undefined) {
    throw new GatewayError("NOT_FOUND", `${from}: there are no keys of a relay (${RSA_KEY}), neither here nor in keys`);
  }
  if (!ED25519_SETS.some((set) => set.every((name) => names.keys.includes(name)))) {
    throw new GatewayError(
      "CONFLICT",
      `${source}: there is no Ed25519 key that belongs to ${RSA_KEY}; with a new one, no directory would take the relay`,
    );
  }
  await assertToldFingerprint(from, identity);
  const to = `${dataDir}/keys`;
  if (!await isFolder(dataDir)) {
    throw new GatewayError(
      "NOT_FOUND",
      `${dataDir}: there is no such folder; install anon first, whose package makes it`,
    );
  }
  const there = await isFolder(to) ? await namesIn(to) : { keys: [], others: [] };
  await assertSame(identity, to, there.keys);
  return {
    from: source,
    to,
    identity,
    files: names.keys.filter((name) => !there.keys.includes(name)),
    left: names.others,
  };
}

/**
 * Brings them: each file whole, for the owner of the data folder alone (modes 0700 and 0600), and never in place of one that is there.
 * @throws GatewayError `CONFLICT` when others did so meanwhile, `FORBIDDEN`
 */
export async function bringKeys({ from, to, files }: KeyMigration): Promise<void> {
  if (files.length === 0) return;
  try {
    const { uid, gid } = await Deno.stat(parentOf(to));
    if (await isFolder(to)) {
      for (const name of files) await bringOne(`${from}/${name}`, `${to}/${name}`, uid, gid);
      return;
    }
    // The keys of one identity must appear at once, or anon would make what is missing anew.
    const draft = `${to}.${crypto.randomUUID()}.tmp`;
    try {
      await Deno.mkdir(draft, { mode: 0o700 });
      await owned(draft, uid, gid, 0o700);
      for (const name of files) await bringOne(`${from}/${name}`, `${draft}/${name}`, uid, gid);
      await Deno.rename(draft, to);
    } finally {
      await unlessMissing(Deno.remove(draft, { recursive: true }));
    }
  } catch (error) {
    // A folder is renamed over none that has something in it.
    if ((error as { code?: unknown } | undefined)?.code === "ENOTEMPTY") {
      throw new GatewayError("CONFLICT", `${to}: somebody else made it meanwhile; repeat the command`, {
        cause: error,
      });
    }
    throw spoken(error, to);
  }
}

async function bringOne(from: string, to: string, uid: number | null, gid: number | null): Promise<void> {
  const bytes = await readKey(from);
  if (bytes === undefined) throw new GatewayError("CONFLICT", `${from} is not there any more`);
  const draft = `${to}.${crypto.randomUUID()}.tmp`;
  try {
    await Deno.writeFile(draft, bytes, { createNew: true, mode: 0o600 });
    await owned(draft, uid, gid, 0o600);
    // A link, unlike a rename, never replaces what is there.
    await Deno.link(draft, to);
  } finally {
    await removeIfThere(draft);
  }
}

async function owned(path: string, uid: number | null, gid: number | null, mode: number): Promise<void> {
  const own = await Deno.stat(path);
  if (own.uid !== uid || own.gid !== gid) await Deno.chown(path, uid, gid);
  await Deno.chmod(path, mode);
}

async function assertSame(identity: RelayIdentity, to: string, names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  const there = await identityIn(to);
  if (there === undefined) {
    throw new GatewayError(
      "CONFLICT",
      `${to}: there are keys without ${RSA_KEY}, of who knows whom; move them away first`,
    );
  }
  const other = there.fingerprint !== identity.fingerprint ||
    (there.ed25519 !== undefined && identity.ed25519 !== undefined && there.ed25519 !== identity.ed25519);
  if (!other) return;
  throw new GatewayError(
    "CONFLICT",
    `${to} has the identity ${there.fingerprint} already, and not ${identity.fingerprint}: nothing is overwritten; ` +
      "move that folder away first, if that relay is to be no more",
  );
}

/** What the old relay wrote down as its fingerprint must be that of its key, or the two are of different relays. */
async function assertToldFingerprint(from: string, { fingerprint }: RelayIdentity): Promise<void> {
  const bytes = await readKey(`${from}/fingerprint`);
  const [, told] = /\b([0-9a-fA-F]{40})\s*$/.exec(new TextDecoder().decode(bytes ?? new Uint8Array())) ?? [];
  if (told === undefined || told.toUpperCase() === fingerprint) return;
  throw new GatewayError(
    "CONFLICT",
    `${from}: the file fingerprint says ${told.toUpperCase()}, and the key is that of ${fingerprint}`,
  );
}

async function namesIn(folder: string): Promise<{ keys: string[]; others: string[] }> {
  const found: { keys: string[]; others: string[] } = { keys: [], others: [] };
  try {
    for await (const { name, isDirectory } of Deno.readDir(folder)) {
      const isKey = !isDirectory && NAMES.some((pattern) => pattern.test(name));
      found[isKey ? "keys" : "others"].push(name);
      if (found.keys.length > MAX_FILES) throw new GatewayError("CONFLICT", `${folder} has more keys than a relay's`);
    }
  } catch (error) {
    throw error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory
      ? new GatewayError("NOT_FOUND", `${folder}: there is no such folder`, { cause: error })
      : spoken(error, folder);
  }
  found.keys.sort();
  found.others.sort();
  return found;
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await unlessMissing(Deno.stat(path)))?.isDirectory ?? false;
  } catch (error) {
    if (error instanceof Deno.errors.NotADirectory) return false;
    throw spoken(error, path);
  }
}

const parentOf = (path: string): string => path.slice(0, path.lastIndexOf("/"));
