import { GatewayError } from "../../../src/contracts/errors.ts";
import type { RequestContext } from "../../../src/contracts/request.ts";
import { Host } from "../../../src/hosts/host.ts";
import type { FilesDriver } from "./driver.ts";
import type { FileReport, FileTask } from "./tasks.ts";
import type { Usage } from "../../../src/contracts/health.ts";
import { removeIfThere, sizeIfThere } from "../../disk/files.ts";
import { assertRoom, noRoom, type SpaceAt } from "../room.ts";
import { filesOf } from "../sqlite/namespace_file.ts";

type Waiter = Pick<RequestContext, "signal">;

/** What the driver of SQLite files does for copies of them. */
export interface SqliteFileSource {
  /** Writes a copy of the database as it is at one moment to a new file. */
  backup(namespace: string, toPath: string, waiter: Waiter): Promise<void>;
  /** What the database takes on the disk. */
  usage(namespace: string): Promise<Usage>;
  /** Runs something while nobody has the database open; statements wait meanwhile. */
  suspend<T>(namespace: string, run: (path: string) => Promise<T>): Promise<T>;
}

/** Milliseconds that putting the log into a file may take. */
const SETTLING = 60_000;

/** Whole databases out of and into SQLite files. */
export class SqliteFiles implements FilesDriver {
  /**
   * @param onLine told what the processes write to standard error
   * @param spaceAt default: as the system tells it
   */
  constructor(
    private readonly source: SqliteFileSource,
    private readonly onLine: (line: string) => void,
    private readonly spaceAt?: SpaceAt,
  ) {}

  async save(namespace: string, path: string, waiter: Waiter): Promise<void> {
    const { database_bytes: bytes = 0 } = await this.source.usage(namespace);
    await assertRoom(path.slice(0, path.lastIndexOf("/")), bytes, this.spaceAt);
    await this.source.backup(namespace, path, waiter);
  }

  async replace(namespace: string, path: string): Promise<void> {
    await this.source.suspend(namespace, async (current) => {
      // The log belongs to the old file: beside the new one it would be taken for its own.
      if (await sizeIfThere(`${current}-wal`) > 0) await this.#settle(current);
      for (const suffix of ["-wal", "-shm", "-journal"]) await removeIfThere(current + suffix);
      await Deno.rename(path, current);
      await synchronizeFolder(current);
    });
  }

  async #settle(path: string): Promise<void> {
    const rights = { read: filesOf(path), write: filesOf(path) };
    const host = Host.start({ kind: "files", rights }, { onLine: this.onLine });
    try {
      const report = await host.request({ kind: "settle", path } satisfies FileTask, SETTLING) as FileReport;
      if (report.ok) return;
      if (report.code === "NO_CAPACITY") throw noRoom(new Error(report.message));
      throw new GatewayError("UNAVAILABLE", "the database of this namespace is in use; nothing was changed", {
        cause: new Error(report.message),
      });
    } finally {
      host.kill("closed");
      await host.ended;
    }
  }
}

/** Until then a crash of the machine could bring the old name back. */
async function synchronizeFolder(path: string): Promise<void> {
  if (Deno.build.os === "windows") return;
  using folder = await Deno.open(path.slice(0, path.lastIndexOf("/")));
  await folder.sync();
}
