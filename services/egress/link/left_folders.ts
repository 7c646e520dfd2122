/** What the folder of a process is called, before what makes its name nobody's yet. */
export const FOLDER_PREFIX = "orama_egress_";

/** Milliseconds of age until which a folder may be one whose process does not listen yet. */
const YOUNG = 60_000;

/**
 * Removes the folders of processes whose gateway was killed, which left nobody to do it: those of this user where nobody listens any more.
 * Never rejects: what cannot be removed stays.
 * @param temp where the folders are
 */
export async function removeLeftFolders(temp: string): Promise<void> {
  try {
    for await (const { name, isDirectory } of Deno.readDir(temp)) {
      if (!isDirectory || !name.startsWith(FOLDER_PREFIX)) continue;
      const folder = `${temp}/${name}`;
      if (await isLeft(folder).catch(() => false)) await Deno.remove(folder, { recursive: true }).catch(() => {});
    }
  } catch {
    // It cannot be looked into, so nothing is known to be left.
  }
}

async function isLeft(folder: string): Promise<boolean> {
  // A link is not followed: what it leads to is somebody else's.
  const { isDirectory, uid, mtime } = await Deno.lstat(folder);
  if (!isDirectory || uid !== Deno.uid() || !mtime || Date.now() - mtime.getTime() < YOUNG) return false;
  const path = `${folder}/socket`;
  try {
    if (!(await Deno.lstat(path)).isSocket) return false;
    (await Deno.connect({ transport: "unix", path })).close();
    return false;
  } catch (error) {
    return error instanceof Deno.errors.NotFound || error instanceof Deno.errors.ConnectionRefused;
  }
}
