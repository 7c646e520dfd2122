import { type Command, Option } from "commander";
import { loadConfig, type Loaded, readTextFile } from "../../config/index.ts";
import { readOrCreateRootKey, readRootKey, type RootKey } from "../../services/auth/crypto/root_key.ts";
import { CommandError, err } from "./output.ts";

/** What the commands that need a configuration are given. */
export interface ConfigFlags {
  readonly config?: string;
  readonly listen?: string;
  readonly data?: string;
  readonly set?: readonly string[];
}

/** Adds the options that make a configuration. */
export function withConfigFlags(command: Command): Command {
  return command
    .option("-c, --config <file>", "YAML file with settings")
    .option(
      "-l, --listen <address>",
      "where to listen (http.listen), such as 127.0.0.1:6001; port 0 lets the system choose",
    )
    .option("-d, --data <folder>", "data folder (data.dir)")
    .addOption(
      new Option("-s, --set <setting=value>", "any other setting by its path, such as log.level=debug; may be repeated")
        .argParser((text: string, before: readonly string[] = []) => [...before, text]),
    );
}

/** Loads the configuration that flags, environment and file make. @throws ConfigError */
export function loadFrom(
  flags: ConfigFlags,
  defaults?: { name: string; values: Readonly<Record<string, unknown>> },
): Loaded {
  return loadConfig({
    file: flags.config,
    readFile: readTextFile,
    env: Deno.env.toObject(),
    flags: [
      ["http.listen", flags.listen, "--listen"],
      ["data.dir", flags.data, "--data"],
      ...(flags.set ?? []).map((pair) => {
        const at = pair.indexOf("=");
        if (at < 1) throw new CommandError(`--set ${pair}: expected setting=value, such as log.level=debug`);
        return [pair.slice(0, at), pair.slice(at + 1), "--set"] as const;
      }),
    ],
    ...(defaults && { defaults }),
  });
}

/**
 * Reads the root key. A gateway with embedded drivers makes its own, because nobody shares it; one that shares a control
 * plane with others must be given theirs.
 */
export async function rootKeyFor({ config }: Loaded): Promise<RootKey> {
  const { auth, data, database } = config;
  const random = (n: number) => crypto.getRandomValues(new Uint8Array(n));
  let file;
  if (auth.root_key_file !== undefined) file = await readRootKey(auth.root_key_file);
  else if (database.driver === "sqlite") {
    await Deno.mkdir(data.dir, { recursive: true, mode: 0o700 });
    file = await readOrCreateRootKey(`${data.dir}/root.key`, random);
  } else {
    throw new CommandError(
      "auth.root_key_file is needed with database.driver rqlite: all gateways of a cluster share one root key. " +
        "Make one with: openssl rand -hex 32 > root.key && chmod 600 root.key",
    );
  }
  for (const warning of file.warnings) err(`warning: ${warning}`);
  return file.key;
}
