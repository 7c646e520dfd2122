import { EgressProcess } from "../../../../../services/egress/link/process.ts";
import { DENY, IPV4 } from "../../process/support/sender.ts";

// Starts a process that sends, says which, and does nothing more: whoever started it ends it.
const process = new EgressProcess({
  kind: "direct",
  net: { allow: IPV4, deny: DENY },
  ipv6: false,
  ca: [],
  onLine() {},
});
await process.start();
await Deno.stdout.write(new TextEncoder().encode(String(process.pid)));
await new Promise((resolve) => setTimeout(resolve, 120_000));
