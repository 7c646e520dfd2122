import { deepEqual, equal, rejects } from "node:assert/strict";
import {
  ModuleContent,
  MODULES_NAMESPACE,
  moduleStorageRules,
  wasmCidOf,
} from "../../../../services/functions/registry/content.ts";
import { LocalDriver } from "../../../../services/storage/local/driver.ts";
import { StorageService } from "../../../../services/storage/service.ts";
import { code } from "../../auth/support/node.ts";
import { CONTEXT } from "../../control_plane/support/context.ts";
import { openControl } from "../../control_plane/support/control.ts";

Deno.test("a module of many blocks comes back as it was, and lies on the disk encrypted, each time under another name", async () => {
  await using control = await openControl();
  const folder = await Deno.makeTempDir();
  const storage: StorageService = new StorageService(
    new LocalDriver({ folder, roots: () => storage.roots(), collectInterval: 1e9 }),
    {
      control,
      rulesOf: moduleStorageRules,
      key: new Uint8Array(32).fill(3),
      now: Date.now,
      random: (n) => crypto.getRandomValues(new Uint8Array(n)),
      replication: { min: 1, max: 1 },
      unpinnedLife: 1e6,
      maxLinkLife: 1e6,
      remotePins: false,
      watchPins: false,
      onError: () => {},
    },
  );
  try {
    const content = new ModuleContent({ storage, control, now: Date.now, onError: () => {} });
    const bytes = Uint8Array.from({ length: 1_500_000 }, (_, i) => (i * 7919) >>> 5);
    const module = { wasmCid: await wasmCidOf(bytes), size: bytes.length };
    const one = await content.store(bytes, "shop.hello.wasm", CONTEXT);
    const two = await content.store(bytes, "shop.hello.wasm", CONTEXT);
    equal(new Set([one, two, module.wasmCid]).size, 3);
    for (const storedCid of [one, two]) deepEqual(await content.read({ ...module, storedCid }), bytes);
    for (const size of [bytes.length - 1, bytes.length + 1]) {
      await rejects(() => content.read({ ...module, storedCid: one, size }), code("UNAVAILABLE"));
    }
    await content.release([one]);
    await rejects(() => content.read({ ...module, storedCid: one }), code("UNAVAILABLE"));
    deepEqual(await content.read({ ...module, storedCid: two }), bytes);
    deepEqual(await storage.usage(MODULES_NAMESPACE, CONTEXT.signal), { bytes: bytes.length, objects: 1 });
  } finally {
    await storage.close();
    await Deno.remove(folder, { recursive: true });
  }
});
