import { dropAllButNet } from "../../../../../services/egress/process/host.ts";

const granted = () =>
  (["read", "write", "net", "env", "sys", "ffi", "import", "run"] as const).filter((name) =>
    Deno.permissions.querySync({ name } as Deno.PermissionDescriptor).state === "granted"
  );

// Says which rights it has before and after it gave them back.
const before = granted();
dropAllButNet();
await Deno.stdout.write(new TextEncoder().encode(JSON.stringify({ before, after: granted() })));
