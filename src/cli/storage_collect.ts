import type { Config } from "../../config/index.ts";
import { DataFolderInUse, DataFolderLock } from "../../services/control_plane/data_folder_lock.ts";
import type { Collected } from "../../services/storage/local/collector.ts";
import { GatewayError } from "../contracts/errors.ts";
import { CONTEXT, onControlPlane } from "./on_control_plane.ts";
import { CommandError, err, out } from "./output.ts";

/** `storage collect`. @throws GatewayError where the folder is in use, or nothing may be removed because something cannot be read */
export async function collect(config: Config, prints: "json" | "text"): Promise<void> {
  const [{ claimedRoots }, { LocalDriver }, { localFolder }] = await Promise.all([
    import("../../services/storage/claim_roots.ts"),
    import("../../services/storage/local/driver.ts"),
    import("../storage_drivers.ts"),
  ]);
  await onControlPlane(config, async (_, control) => {
    const driver = new LocalDriver({
      folder: localFolder(config),
      roots: () => claimedRoots(control),
      grace: config.storage.local.grace,
      lock,
    });
    try {
      report(await driver.collect(CONTEXT.signal), prints);
    } finally {
      await driver.close();
    }
  });
}

/** Only who adds and reads knows which blocks are too young, or in use, to go. */
async function lock(folder: string): Promise<Disposable> {
  try {
    return await DataFolderLock.take(folder);
  } catch (cause) {
    if (!(cause instanceof DataFolderInUse)) throw new CommandError(`${folder}: ${(cause as Error).message}`);
    const owner = await Deno.readTextFile(`${folder}/gateway.lock`).catch(() => "");
    throw new GatewayError(
      "CONFLICT",
      `${folder} is in use${owner && ` by process ${owner}`}: a gateway that runs collects by itself, every ` +
        "storage.local.collect_interval; stop it to collect from here",
      { cause },
    );
  }
}

function report(
  { roots, marked, spared, removed, bytes, unreadable, absent }: Collected,
  prints: "json" | "text",
): void {
  if (prints === "json") {
    out(JSON.stringify({ removed, removed_bytes: bytes, kept: marked, spared, roots, unreadable, absent }));
  } else {
    out(`${removed} blocks removed, ${bytes} bytes; ${marked} belong to ${roots} roots, ${spared} are too young`);
  }
  if (absent.length > 0) err(`of ${absent.length} roots nothing is there: \`storage inspect\` says whose they are`);
  if (unreadable.length === 0) return;
  for (const cid of unreadable) err(`cannot be read: ${cid}`);
  throw new GatewayError(
    "UNAVAILABLE",
    "nothing more is removed while blocks with links cannot be read; `storage inspect` says whose they are",
  );
}
