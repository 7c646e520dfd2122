import { Command } from "commander";
import { planAnyone, type PlanFlags } from "./anyone_plan.ts";
import { showStatus, type StatusFlags } from "./anyone_status.ts";
import { withConfigFlags } from "./load.ts";

/** `anyone`: the `anon` of the Anyone network on this machine. */
export const anyoneCommand = (): Command =>
  new Command("anyone")
    .description("Set up the anon of the Anyone network on this machine, as client or relay, and ask how it is.")
    .addCommand(
      withConfigFlags(new Command("plan"))
        .description(
          "Print what is there, and what section anyone of the configuration would make of anon's anonrc, as a difference. " +
            "Changes nothing without --apply.",
        )
        .option("--apply", "write it; what was there stays beside it as anonrc.<time>.bak")
        .option(
          "--keys-from <folder>",
          "bring the keys of a relay, so that it keeps its identity: its data folder, or the keys in it; never over others",
        )
        .option("--accept-exit-risks", "say without being asked that traffic of strangers may leave here (anyone.exit)")
        .action((flags: PlanFlags) => planAnyone(flags)),
    )
    .addCommand(
      withConfigFlags(new Command("status"))
        .description("Ask the proxy and the control port of anon; exit 1 if anything is not well.")
        .option("--json", "one JSON object instead of a table")
        .action((flags: StatusFlags) => showStatus(flags)),
    );
