import { HOST_COMMAND } from "./src/hosts/kinds.ts";

if (import.meta.main) {
  // A host must not load what the gateway is made of: it would start ten times slower.
  const [command, kind] = Deno.args;
  if (command === HOST_COMMAND) await (await import("./src/cli/host.ts")).runHost(kind);
  const code = await (await import("./src/cli/index.ts")).runCommandLine(Deno.args);
  // What a library left running must not keep alive what has failed.
  if (code !== 0) Deno.exit(code);
}
