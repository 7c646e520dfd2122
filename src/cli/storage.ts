import { Command } from "commander";
import type { Config } from "../../config/index.ts";
import { type ConfigFlags, loadFrom, withConfigFlags } from "./load.ts";
import { CommandError } from "./output.ts";
import { collect } from "./storage_collect.ts";
import { inspect } from "./storage_inspect.ts";

/** What the commands of the storage are given. */
export interface StorageFlags extends ConfigFlags {
  readonly json?: boolean;
}

/** `storage`: the blocks of storage in a folder, on the node. */
export const storageCommand = (): Command =>
  new Command("storage")
    .description("Look after the blocks of storage in a folder (storage.driver: local).")
    .addCommand(
      flagged(new Command("inspect"))
        .description(
          "Read every block of all content that is claimed or pinned, and say what is damaged or missing and whose it is; exit 1 " +
            "if anything is. Changes nothing; works beside a running gateway.",
        )
        .action((flags: StorageFlags) => inspect(configOf(flags, "ipfs repo verify"), prints(flags))),
    )
    .addCommand(
      flagged(new Command("collect"))
        .description(
          "Delete, once, the blocks that belong to nothing and are older than storage.local.grace. Not while a gateway uses the " +
            "folder: that one does so itself, every storage.local.collect_interval.",
        )
        .action((flags: StorageFlags) => collect(configOf(flags, "ipfs repo gc"), prints(flags))),
    );

const flagged = (command: Command): Command =>
  withConfigFlags(command).option("--json", "JSON, one object a line, also on a terminal");

const prints = ({ json }: StorageFlags) => json || !Deno.stdout.isTerminal() ? "json" : "text";

/** @param instead what does the same on a Kubo node */
function configOf(flags: StorageFlags, instead: string): Config {
  const { config } = loadFrom(flags);
  if (config.storage.driver === "local") return config;
  throw new CommandError(
    `storage.driver is ${config.storage.driver}: the blocks are Kubo's; run \`${instead}\` on each of its nodes`,
  );
}
