import { deepEqual, equal, match, rejects } from "node:assert/strict";
import { AnonrcFile } from "../../../services/anyone/anonrc_file.ts";
import { inFolder } from "./support/keys.ts";

const NOW = Date.UTC(2030, 0, 31, 12, 30, 15, 250);
const BACKUP = "anonrc.20300131T123015.250Z.bak";
const names = (folder: string) => [...Deno.readDirSync(folder)].map(({ name }) => name).sort();

Deno.test("a file that is written leaves what was there beside it, and keeps its rights", () =>
  inFolder(async (folder) => {
    const path = `${folder}/anonrc`;
    await Deno.writeTextFile(path, "before\n");
    await Deno.chmod(path, 0o640);
    const file = await AnonrcFile.read(path);
    equal(file.text, "before\n");
    const backup = await file.write("after\n", NOW);
    equal(backup, `${await Deno.realPath(folder)}/${BACKUP}`);
    deepEqual(names(folder), ["anonrc", BACKUP]);
    deepEqual([await Deno.readTextFile(path), await Deno.readTextFile(backup!)], ["after\n", "before\n"]);
    for (const one of [path, backup!]) equal((await Deno.stat(one)).mode! & 0o777, 0o640);
  }));

Deno.test("a file that was not there is made, and nothing stays beside it", () =>
  inFolder(async (folder) => {
    const file = await AnonrcFile.read(`${folder}/anonrc`);
    equal(file.text, undefined);
    equal(await file.write("new\n", NOW), undefined);
    deepEqual(names(folder), ["anonrc"]);
    equal(await Deno.readTextFile(`${folder}/anonrc`), "new\n");
    equal((await Deno.stat(`${folder}/anonrc`)).mode! & 0o777, 0o644);
  }));

Deno.test("what somebody changed or made since it was read is left as it is", () =>
  inFolder(async (folder) => {
    const path = `${folder}/anonrc`;
    const absent = await AnonrcFile.read(path);
    await Deno.writeTextFile(path, "theirs\n");
    await rejects(absent.write("ours\n", NOW), { code: "CONFLICT" });
    const present = await AnonrcFile.read(path);
    await Deno.writeTextFile(path, "theirs again\n");
    await rejects(present.write("ours\n", NOW), { code: "CONFLICT" });
    deepEqual(names(folder), ["anonrc"]);
    equal(await Deno.readTextFile(path), "theirs again\n");
  }));

Deno.test("a backup is never written over another", () =>
  inFolder(async (folder) => {
    const path = `${folder}/anonrc`;
    await Deno.writeTextFile(path, "one\n");
    await (await AnonrcFile.read(path)).write("two\n", NOW);
    await rejects((await AnonrcFile.read(path)).write("three\n", NOW), { code: "CONFLICT" });
    deepEqual(names(folder), ["anonrc", BACKUP]);
    deepEqual([await Deno.readTextFile(path), await Deno.readTextFile(`${folder}/${BACKUP}`)], ["two\n", "one\n"]);
  }));

Deno.test("through a link the file itself is written, and the link stays one", () =>
  inFolder(async (folder) => {
    await Deno.mkdir(`${folder}/real`);
    await Deno.writeTextFile(`${folder}/real/anonrc`, "before\n");
    await Deno.symlink(`${folder}/real/anonrc`, `${folder}/anonrc`);
    await (await AnonrcFile.read(`${folder}/anonrc`)).write("after\n", NOW);
    equal((await Deno.lstat(`${folder}/anonrc`)).isSymlink, true);
    deepEqual(names(`${folder}/real`), ["anonrc", BACKUP]);
    equal(await Deno.readTextFile(`${folder}/real/anonrc`), "after\n");
  }));

Deno.test("a mark at its beginning is part of a file, and stays", () =>
  inFolder(async (folder) => {
    const path = `${folder}/anonrc`;
    await Deno.writeTextFile(path, "\ufeffone\n");
    const file = await AnonrcFile.read(path);
    equal(file.text, "\ufeffone\n");
    await file.write(`${file.text}two\n`, NOW);
    deepEqual((await Deno.readFile(path)).subarray(0, 4), Uint8Array.of(0xef, 0xbb, 0xbf, 0x6f));
  }));

Deno.test("what is no text file of a fair size is refused", () =>
  inFolder(async (folder) => {
    await Deno.mkdir(`${folder}/folder`);
    await Deno.writeFile(`${folder}/latin`, Uint8Array.of(0x4e, 0xff, 0x0a));
    await Deno.writeFile(`${folder}/zero`, Uint8Array.of(0x4e, 0, 0x0a));
    await Deno.writeFile(`${folder}/large`, new Uint8Array(2 ** 20 + 1).fill(35));
    for (const name of ["folder", "latin", "zero", "large"]) {
      await rejects(AnonrcFile.read(`${folder}/${name}`), { code: "CONFLICT" }, name);
    }
  }));

Deno.test("without its folder a file is not made, and the sentence says what makes it", () =>
  inFolder(async (folder) => {
    const file = await AnonrcFile.read(`${folder}/nowhere/anonrc`);
    await rejects(file.write("new\n", NOW), (error: Error) => {
      match(error.message, /install anon first/);
      return true;
    });
  }));
