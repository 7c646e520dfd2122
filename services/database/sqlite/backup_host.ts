import { backup, DatabaseSync } from "node:sqlite";
import { dropRights, serve, watchParent } from "../../../src/hosts/guest.ts";
import type { BackupOrder, BackupReply } from "./backup.ts";
import { errorFromSentence, troubleOf } from "./trouble.ts";

/** Copies one database, then waits for its end. */
export async function run(): Promise<void> {
  watchParent();
  await serve({
    async work(asked, answers) {
      for (const { id, body } of asked) answers.answer(id, await copied(body as BackupOrder));
    },
  });
}

/** All in one step: between two, a write of somebody else's would make SQLite begin again, for ever. */
const ALL_PAGES = 2 ** 31 - 1;

async function copied({ from, to, busyTimeout }: BackupOrder): Promise<BackupReply> {
  try {
    using db = new DatabaseSync(from, { readOnly: true, timeout: busyTimeout });
    const copying = backup(db, to, { rate: ALL_PAGES });
    // Both files are open by now.
    dropRights();
    await copying;
    return { kind: "done" };
  } catch (error) {
    // What fails while pages are copied comes without a result code.
    const trouble = troubleOf(error, false) ?? troubleOf(errorFromSentence(String((error as Error).message)), false);
    if (!trouble) throw error;
    return { kind: "trouble", message: trouble.message, mayHaveApplied: false, reopen: false };
  }
}
