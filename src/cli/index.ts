import { Command, CommanderError } from "commander";
import { ConfigError } from "../../config/index.ts";
import { RootKeyError } from "../../services/auth/crypto/root_key.ts";
import { DataFolderInUse } from "../../services/control_plane/data_folder_lock.ts";
import { SchemaTooNew } from "../../services/control_plane/migrate.ts";
import { BUILD } from "../build.ts";
import { GatewayError } from "../contracts/errors.ts";
import { anyoneCommand } from "./anyone.ts";
import { configCommand } from "./config.ts";
import { databaseCommand } from "./database.ts";
import { devCommand } from "./dev.ts";
import { keysCommand } from "./keys.ts";
import { namespacesCommand } from "./namespaces.ts";
import { openApiCommand } from "./openapi.ts";
import { CommandError, err } from "./output.ts";
import { serveCommand } from "./serve.ts";
import { storageCommand } from "./storage.ts";
import { versionCommand } from "./version.ts";

/**
 * Runs one command.
 * @param args what stands behind the program's name
 * @returns the process's exit code: 0 done, 1 it failed, 2 it was called wrongly or the configuration is wrong
 */
export async function runCommandLine(args: readonly string[]): Promise<number> {
  const program = new Command("orama-gateway")
    .description("One HTTPS/WSS API in front of a decentralised back end.")
    .version(BUILD.version, "-V, --version")
    .exitOverride()
    .showHelpAfterError("(--help shows what there is)");
  for (
    const command of [
      serveCommand(),
      devCommand(),
      configCommand(),
      anyoneCommand(),
      databaseCommand(),
      keysCommand(),
      namespacesCommand(),
      storageCommand(),
      openApiCommand(),
      versionCommand(),
    ]
  ) program.addCommand(inheritExit(command));
  try {
    await program.parseAsync([...args], { from: "user" });
    return 0;
  } catch (error) {
    return report(error);
  }
}

function inheritExit(command: Command): Command {
  command.exitOverride();
  command.commands.forEach(inheritExit);
  return command;
}

/** Errors whose sentence is all that their reader needs. */
const SPOKEN = [GatewayError, DataFolderInUse, SchemaTooNew];

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof ConfigError || error instanceof RootKeyError) {
    err(error.message);
    return 2;
  }
  if (error instanceof CommandError) {
    err(`error: ${error.message}`);
    return 2;
  }
  if (SPOKEN.some((kind) => error instanceof kind)) err(`error: ${(error as Error).message}`);
  else if (error instanceof Deno.errors.AddrInUse) {
    err("error: the address is in use; choose another one with --listen HOST:PORT (port 0 lets the system choose)");
  } else err(error instanceof Error ? error.stack ?? error.message : String(error));
  return 1;
}
