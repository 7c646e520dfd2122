import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { CompiledQuery } from "kysely";
import { DataFolderInUse, DataFolderLock } from "../../../services/control_plane/data_folder_lock.ts";
import { SqliteControlDatabase } from "../../../services/control_plane/sqlite.ts";

async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const parent = await Deno.makeTempDir();
  try {
    await run(`${parent}/data`);
  } finally {
    await Deno.remove(parent, { recursive: true });
  }
}

Deno.test("a second gateway on one data folder is told who has it", () =>
  inFolder(async (folder) => {
    using _first = await DataFolderLock.take(folder);
    await rejects(DataFolderLock.take(folder), (error) => {
      ok(error instanceof DataFolderInUse);
      ok(error.message.includes(folder) && error.message.includes(`process ${Deno.pid}`), error.message);
      return true;
    });
  }));

Deno.test("a data folder that was given back can be taken again", () =>
  inFolder(async (folder) => {
    (await DataFolderLock.take(folder))[Symbol.dispose]();
    using _second = await DataFolderLock.take(folder);
  }));

Deno.test("a gateway that was killed leaves its data folder free", () =>
  inFolder(async (folder) => {
    const module = new URL("../../../services/control_plane/data_folder_lock.ts", import.meta.url).href;
    const code = `const { DataFolderLock } = await import(${JSON.stringify(module)});
      await DataFolderLock.take(${JSON.stringify(folder)});
      await Deno.stdout.write(new Uint8Array([33]));
      await new Promise((resolve) => setTimeout(resolve, 60_000));`;
    const child = new Deno.Command(Deno.execPath(), { args: ["eval", code], stdout: "piped" }).spawn();
    const reader = child.stdout.getReader();
    deepEqual((await reader.read()).value, new Uint8Array([33]));
    await rejects(DataFolderLock.take(folder), (error: Error) => error.message.includes(`process ${child.pid}`));
    child.kill("SIGKILL");
    await child.status;
    await reader.cancel();
    using _lock = await DataFolderLock.take(folder);
  }));

Deno.test("the control database of a locked folder can still be opened, as the command line does", () =>
  inFolder(async (folder) => {
    using _lock = await DataFolderLock.take(folder);
    const path = `${folder}/control.sqlite`;
    const gateway = new SqliteControlDatabase({ path });
    const commandLine = new SqliteControlDatabase({ path });
    await gateway.run(CompiledQuery.raw("CREATE TABLE t (x INTEGER)"));
    await commandLine.run(CompiledQuery.raw("INSERT INTO t VALUES (1)"));
    equal((await gateway.run(CompiledQuery.raw("SELECT x FROM t"))).rows.length, 1);
    await gateway.close();
    await commandLine.close();
  }));
