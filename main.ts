import { runCommandLine } from "./src/cli/index.ts";

if (import.meta.main) Deno.exitCode = await runCommandLine(Deno.args);
