import { deepEqual } from "node:assert/strict";
import { removeLeftFolders } from "../../../../services/egress/link/left_folders.ts";

/** Seconds of age that a folder must have to be one that was left. */
const OLD = 3_600;

/** Its socket, and whoever listens there; without a listener as a process leaves it that is killed. */
async function folderIn(temp: string, name: string, { age = OLD, listens = false, socket = true } = {}) {
  const folder = `${temp}/${name}`;
  await Deno.mkdir(folder, { mode: 0o700 });
  const path = `${folder}/socket`;
  const listener = socket ? Deno.listen({ transport: "unix", path }) : undefined;
  if (listener && !listens) listener.close();
  const then = Date.now() / 1_000 - age;
  await Deno.utime(folder, then, then);
  return listens ? listener : undefined;
}

Deno.test("folders that killed gateways left are removed, and nothing else", async () => {
  const temp = await Deno.makeTempDir(), elsewhere = await Deno.makeTempDir();
  let listener: Deno.Listener | undefined;
  try {
    await folderIn(temp, "orama_egress_1d96c2395d60a6a9");
    await folderIn(temp, "orama_egress_2");
    await folderIn(temp, "orama_egress_none", { socket: false });
    await Deno.writeTextFile(`${elsewhere}/kept`, "");
    await Deno.writeTextFile(`${temp}/orama_egress_1d96c2395d60a6a9/authorities.pem`, "");
    await Deno.symlink(elsewhere, `${temp}/orama_egress_1d96c2395d60a6a9/link`);
    // What is used, may be about to be, or is something else.
    listener = await folderIn(temp, "orama_egress_used", { listens: true });
    await folderIn(temp, "orama_egress_young", { age: 10 });
    await folderIn(temp, "orama_other_1");
    await Deno.symlink(elsewhere, `${temp}/orama_egress_symlink`);
    await Deno.writeTextFile(`${temp}/orama_egress_file`, "");
    await folderIn(temp, "orama_egress_file_as_socket", { socket: false });
    await Deno.writeTextFile(`${temp}/orama_egress_file_as_socket/socket`, "");
    const then = Date.now() / 1_000 - OLD;
    for (const one of [elsewhere, `${temp}/orama_egress_file`, `${temp}/orama_egress_file_as_socket`]) {
      await Deno.utime(one, then, then);
    }
    await Deno.utime(`${temp}/orama_egress_1d96c2395d60a6a9`, then, then);
    await removeLeftFolders(temp);
    deepEqual([...Deno.readDirSync(temp)].map(({ name }) => name).sort(), [
      "orama_egress_file",
      "orama_egress_file_as_socket",
      "orama_egress_symlink",
      "orama_egress_used",
      "orama_egress_young",
      "orama_other_1",
    ]);
    deepEqual([...Deno.readDirSync(elsewhere)].map(({ name }) => name), ["kept"]);
  } finally {
    listener?.close();
    for (const one of [temp, elsewhere]) await Deno.remove(one, { recursive: true });
  }
});

Deno.test({
  name: "folders of others are not touched",
  ignore: Deno.build.os !== "linux" || Deno.uid() !== 0,
  async fn() {
    const temp = await Deno.makeTempDir();
    try {
      await folderIn(temp, "orama_egress_others");
      await Deno.chown(`${temp}/orama_egress_others`, 65_534, 65_534);
      await removeLeftFolders(temp);
      deepEqual([...Deno.readDirSync(temp)].map(({ name }) => name), ["orama_egress_others"]);
    } finally {
      await Deno.remove(temp, { recursive: true });
    }
  },
});

Deno.test("where nothing can be looked at, nothing happens", async () => {
  await removeLeftFolders("/no such folder");
});
