/** The version of the Node on PATH, such as `v20.20.2`; `undefined` where there is none that the client runs on. */
export function usableNode(): string | undefined {
  try {
    const { stdout } = new Deno.Command("node", { args: ["--version"] }).outputSync();
    const version = new TextDecoder().decode(stdout).trim();
    return Number(/^v(\d+)/.exec(version)?.[1] ?? 0) >= 20 ? version : undefined;
  } catch {
    return undefined;
  }
}

/** Variables with which this Node has sockets: they are part of it since 22, and for whoever asks before. */
export const withSockets = (version = ""): Readonly<Record<string, string>> =>
  Number(/^v(\d+)/.exec(version)?.[1]) < 22 ? { NODE_OPTIONS: "--experimental-websocket" } : {};

/** What became of one scenario. */
export interface Ran {
  readonly name: string;
  /** What went wrong; `null`: nothing. */
  readonly problem: string | null;
}

/** Bundles a module of this folder, runs it on Node, and gives the lines that it printed as JSON. @throws Error when it fails */
export async function runOnNode(module: string, env: Readonly<Record<string, string>>): Promise<Ran[]> {
  const folder = await Deno.makeTempDir({ prefix: "orama-client-" });
  try {
    const bundle = `${folder}/client.mjs`;
    const entry = new URL(module, import.meta.url).pathname;
    const how = ["--quiet", "--platform", "browser", "--external", "node:*"];
    await output(Deno.execPath(), ["bundle", ...how, "--output", bundle, entry], {});
    const lines = await output("node", [bundle], env);
    return lines.trim().split("\n").map((line) => JSON.parse(line));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function output(program: string, args: string[], env: Readonly<Record<string, string>>): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args, env }).output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(`${program} ${args.join(" ")}: ${decoder.decode(stderr)}`);
  return decoder.decode(stdout);
}
