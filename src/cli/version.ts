import { Command } from "commander";
import { BUILD } from "../build.ts";
import { out } from "./output.ts";

/** `version`: which build this is. */
export const versionCommand = (): Command =>
  new Command("version")
    .description("Print version, commit and build time as JSON.")
    .action(() => {
      const { version, commit, buildTime } = BUILD;
      out(JSON.stringify({ version, commit, build_time: buildTime, deno: Deno.version.deno }));
    });
