import { Command } from "commander";
import { printConfig, reference } from "../../config/index.ts";
import { type ConfigFlags, loadFrom, withConfigFlags } from "./load.ts";
import { err, out } from "./output.ts";

/** `config`: what is configured, whether it is right, and what there is to configure. */
export const configCommand = (): Command =>
  new Command("config")
    .description("Check or print the configuration.")
    .addCommand(
      withConfigFlags(new Command("check"))
        .description("Say whether the configuration is right; exit 2 and say what is wrong if not.")
        .action((flags: ConfigFlags) => {
          const { notes } = loadFrom(flags);
          for (const note of notes) err(`note: ${note}`);
          out("the configuration is right");
        }),
    )
    .addCommand(
      withConfigFlags(new Command("print"))
        .description("Print every setting's value and where it came from; secrets are not shown.")
        .action((flags: ConfigFlags) => out(printConfig(loadFrom(flags)).trimEnd())),
    )
    .addCommand(
      new Command("reference")
        .description("Print the reference of all settings as Markdown (docs/configuration.md).")
        .action(() => out(reference().trimEnd())),
    );
