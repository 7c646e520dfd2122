/** The folder of the project. */
export const ROOT: URL = new URL("../../../../", import.meta.url);

/** Folders that hold code of the gateway. */
export const CODE = ["src", "routes", "middleware", "services", "config"] as const;

/** Every file below some folders, by its path in the project. */
export function filesOf(folders: readonly string[], name: RegExp = /./): string[] {
  const found: string[] = [];
  const walk = (folder: string) => {
    for (const { name: entry, isDirectory } of Deno.readDirSync(new URL(folder, ROOT))) {
      if (isDirectory) walk(`${folder}/${entry}`);
      else if (name.test(entry)) found.push(`${folder}/${entry}`);
    }
  };
  folders.forEach(walk);
  return found.sort();
}

/** A file's text. */
export const textOf = (file: string): string => Deno.readTextFileSync(new URL(file, ROOT));

/** Every module of the gateway itself. */
export const codeFiles = (): string[] => [...filesOf(CODE, /\.ts$/), "main.ts"];

/** Runs this Deno and reads what it prints as JSON. @throws Error with what it said when it failed */
export async function denoJson(...args: string[]): Promise<unknown> {
  const command = new Deno.Command(Deno.execPath(), {
    args,
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    stdout: "piped",
    stderr: "piped",
  });
  const { success, stdout, stderr } = await command.output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}
