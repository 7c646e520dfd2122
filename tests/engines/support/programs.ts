/** The programs that tests start, each by the name of its file. */
export type Program = "rqlited" | "olric-server" | "ipfs" | "ipfs-cluster-service" | "microsocks" | "tor";

/** Where systems have programs that not everybody has on `PATH`: Debian puts tor there. */
const SYSTEM = "/usr/sbin";

/** Where a program lies: in `TEST_ENGINES_DIR`, else in a folder of `PATH` or where systems have theirs; `undefined` when it is in none. */
export function findProgram(name: Program): string | undefined {
  const folders = [Deno.env.get("TEST_ENGINES_DIR") ?? "", ...(Deno.env.get("PATH") ?? "").split(":"), SYSTEM];
  return folders.filter((folder) => folder !== "").map((folder) => `${folder}/${name}`).find(isExecutable);
}

/**
 * Whether tests insist on it with `TEST_ENGINES_REQUIRED=1`. The proxies are Debian's, come from no script beside the checkout, and are not
 * to be had everywhere: like the browser they are used where they are, and `.ci/run` installs them where it can.
 */
export const isRequired = (name: Program): boolean =>
  name !== "microsocks" && name !== "tor" && Deno.env.get("TEST_ENGINES_REQUIRED") === "1";

/** @throws Error that says how to provide it */
export function requireProgram(name: Program): string {
  const found = findProgram(name);
  if (found === undefined) {
    throw new Error(`${name} is missing: put it on PATH, or name its folder in TEST_ENGINES_DIR.`);
  }
  return found;
}

function isExecutable(path: string): boolean {
  try {
    const { isFile, mode } = Deno.statSync(path);
    return isFile && ((mode ?? 0) & 0o111) !== 0;
  } catch {
    return false;
  }
}
