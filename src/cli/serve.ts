import { Command } from "commander";
import { type ConfigFlags, loadFrom, withConfigFlags } from "./load.ts";
import { runGateway } from "./run.ts";

/** `serve`: runs a gateway by its configuration. */
export const serveCommand = (): Command =>
  withConfigFlags(new Command("serve"))
    .description("Run the gateway by its configuration.")
    .action((flags: ConfigFlags) => runGateway(loadFrom(flags), () => {}));
