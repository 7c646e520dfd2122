/** The programs that tests start, each by the name of its file. */
export type Program = "rqlited" | "olric-server" | "ipfs" | "ipfs-cluster-service";

/** Where a program lies: in `TEST_ENGINES_DIR`, else in a folder of `PATH`; `undefined` when it is in neither. */
export function findProgram(name: Program): string | undefined {
  const folders = [Deno.env.get("TEST_ENGINES_DIR") ?? "", ...(Deno.env.get("PATH") ?? "").split(":")];
  return folders.filter((folder) => folder !== "").map((folder) => `${folder}/${name}`).find(isExecutable);
}

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
