import { GatewayError } from "../../src/contracts/errors.ts";
import { identityIn, type RelayIdentity } from "./identity.ts";
import { knock } from "./listener.ts";
import type { AnyoneSettings } from "./settings.ts";

/** What of `anon` there is on this machine, beside its `anonrc`. */
export interface Installation {
  /** Path of the program; `undefined` where there is none. */
  readonly program: string | undefined;
  /** What it says of itself, such as `0.4.9.11`; `undefined` where it says nothing. */
  readonly version: string | undefined;
  /** Whose keys are in the data folder; a sentence where that cannot be told, `undefined` where there are none. */
  readonly identity: RelayIdentity | string | undefined;
  /** Whether somebody listens at the ports, by the name of their settings; those that are 0 are not looked at. */
  readonly listening: Readonly<Partial<Record<"or_port" | "socks_port" | "control_port", boolean>>>;
}

/** Where else the program may be (Debian's package `anon`; `debian/systemd/anon@default.service` in anyone-protocol/ator-protocol). */
const PROGRAM = "/usr/bin/anon";
/** Milliseconds for a program to say its version. */
const PATIENCE = 5_000;
const MAX_VERSION_TEXT = 4_096;

/**
 * Looks at what is there. Changes nothing, and reaches nobody outside this machine.
 * @param path folders of programs, as in the variable `PATH`
 */
export async function installationOf(
  settings: Pick<AnyoneSettings, "mode" | "orPort" | "socksPort" | "controlPort">,
  dataDir: string,
  path: string,
): Promise<Installation> {
  const program = await findProgram(path);
  const ports = [
    ["or_port", settings.mode === "relay" ? settings.orPort : 0],
    ["socks_port", settings.socksPort],
    ["control_port", settings.controlPort],
  ] as const;
  const [version, identity, ...answers] = await Promise.all([
    program === undefined ? undefined : versionOf(program),
    identityFor(dataDir),
    ...ports.map(([, port]) => port === 0 ? undefined : knock({ port, patience: 500 })),
  ]);
  const listening = ports.flatMap(([name], i) => {
    const answer = answers[i];
    return answer === undefined ? [] : [[name, "latency" in answer] as const];
  });
  return { program, version, identity, listening: Object.fromEntries(listening) };
}

async function identityFor(dataDir: string): Promise<RelayIdentity | string | undefined> {
  try {
    return await identityIn(`${dataDir}/keys`);
  } catch (error) {
    if (error instanceof GatewayError) return error.message;
    throw error;
  }
}

async function findProgram(path: string): Promise<string | undefined> {
  const folders = path.split(":").filter((folder) => folder.startsWith("/"));
  for (const file of [...folders.map((folder) => `${folder}/anon`), PROGRAM]) {
    const info = await Deno.stat(file).catch(() => undefined);
    if (info?.isFile && ((info.mode ?? 0) & 0o111) !== 0) return file;
  }
  return undefined;
}

/**
 * Asks a program for its version, as tor tells it.
 * @returns `undefined` when it does not say one in time
 */
export async function versionOf(program: string): Promise<string | undefined> {
  const late = AbortSignal.timeout(PATIENCE);
  try {
    const child = new Deno.Command(program, {
      args: ["--version"],
      stdin: "null",
      stdout: "piped",
      stderr: "null",
      signal: late,
    }).spawn();
    let text = "";
    for await (const part of child.stdout.pipeThrough(new TextDecoderStream())) {
      text += part;
      if (text.length > MAX_VERSION_TEXT) child.kill("SIGKILL");
    }
    await child.status;
    return /\bversion (\d[\w.+-]{0,60}?)\.?(?=\s|$)/i.exec(text.slice(0, MAX_VERSION_TEXT))?.[1];
  } catch {
    return undefined;
  }
}
