import { FrameWriter } from "../../../../src/hosts/protocol.ts";
import { spawnHost } from "../../../../src/hosts/spawn.ts";
import { PROGRAM } from "./hosts.ts";

// Starts a host that does not come to its program, asks it for something that takes long, says which process it is, and waits.
if (import.meta.main) {
  const host = spawnHost(PROGRAM, () => {});
  Deno.kill(host.pid, "SIGSTOP");
  const writer = new FrameWriter();
  writer.add(["ask", 1, { do: "spin", ms: 60_000 }]);
  await host.write(writer.take());
  await Deno.stdout.write(new TextEncoder().encode(`${host.pid}\n`));
  await host.exited;
}
