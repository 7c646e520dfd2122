import { deepEqual, equal, ok } from "node:assert/strict";
import { CID } from "multiformats/cid";
import { noise } from "../support/blocks.ts";
import {
  type ContentSubject,
  filesOf,
  leaver,
  onEveryContentDriver,
  refuses,
  WAITER,
} from "../support/test_content.ts";

const CHUNK = 256 * 2 ** 10;

/** More entries than fit in one block. */
const MANY = Array.from({ length: 6_000 }, (_, i): readonly [string, string] => [nameOf(i), String(i)]);

function nameOf(i: number): string {
  return `file number ${i} of a directory that is large.txt`;
}

const addMany = (subject: ContentSubject) => subject.driver.addDirectory(filesOf(MANY), WAITER);

onEveryContentDriver({
  "a directory is looked at, listed and read by path": async (subject) => {
    const large = noise(CHUNK + 3);
    const { root, files } = await subject.addDirectory({ "a.txt": "a", "b/c/d.bin": large, "b/e": "", "ü ñ/😀": "x" });
    equal(root.size, large.length + 2);
    deepEqual(files.map(({ path, size }) => [path, size]), [["a.txt", 1], ["b/c/d.bin", large.length], ["b/e", 0], [
      "ü ñ/😀",
      1,
    ]]);
    deepEqual(await subject.look(root.cid), { cid: root.cid, kind: "directory", size: 0 });
    const found = await subject.look(root.cid, "b", "c", "d.bin");
    deepEqual(found, { cid: files[1]!.cid, kind: "file", size: large.length });
    deepEqual(await subject.read(found.cid), large);
    deepEqual(await subject.text((await subject.look(root.cid, "ü ñ", "😀")).cid), "x");
    const entries = (await subject.entries(root.cid)).toSorted((a, b) => a.name < b.name ? -1 : 1);
    deepEqual(entries.map(({ name, kind, size }) => [name, kind, size]), [
      ["a.txt", "file", 1],
      ["b", "directory", 0],
      ["ü ñ", "directory", 0],
    ]);
    equal(entries[0]!.cid, files[0]!.cid);
    const inner = await subject.entries((await subject.look(root.cid, "b")).cid);
    deepEqual(inner.map(({ name, kind, size }) => [name, kind, size]), [["c", "directory", 0], ["e", "file", 0]]);
  },

  "the order in which files come does not change a directory": async (subject) => {
    const one = await subject.addDirectory({ "x/a": "1", "x/b": "2", c: "3" });
    const other = await subject.addDirectory({ c: "3", "x/b": "2", "x/a": "1" });
    equal(one.root.cid, other.root.cid);
    deepEqual(other.files.map(({ path }) => path), ["c", "x/b", "x/a"]);
  },

  "a directory without files, and one with a single one": async (subject) => {
    const { root, files } = await subject.addDirectory({});
    equal(root.cid, "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354");
    deepEqual([root.size, files], [0, []]);
    deepEqual(await subject.entries(root.cid), []);
    const single = await subject.addDirectory({ "only/one.txt": "1" });
    deepEqual((await subject.entries(single.root.cid)).map(({ name }) => name), ["only"]);
  },

  "names that mean something elsewhere are names here": async (subject) => {
    const names = [
      "__proto__",
      "constructor",
      "toString",
      "...",
      " ",
      "a\\b",
      "%2e%2e",
      "C:",
      "-rf",
      "a\nb",
      "\u00e9",
      "e\u0301",
    ];
    const { root } = await subject.addDirectory(Object.fromEntries(names.map((name) => [name, `in ${name}`])));
    deepEqual((await subject.entries(root.cid)).map(({ name }) => name).toSorted(), names.toSorted());
    for (const name of names) equal(await subject.text((await subject.look(root.cid, name)).cid), `in ${name}`);
  },

  "a path that leads nowhere finds nothing": async (subject) => {
    const { root, files } = await subject.addDirectory({ "a.txt": "a", "b/c": "c" });
    for (
      const path of [["x"], ["a.txt", "x"], ["b", "x"], ["b", "c", "d"], [""], ["."], [".."], ["b", "..", "a.txt"], [
        "b/c",
      ]]
    ) {
      await refuses(subject.look(root.cid, ...path), "NOT_FOUND");
    }
    await refuses(subject.look(files[0]!.cid, "x"), "NOT_FOUND");
    await refuses(subject.car(root.cid, ["x"]), "NOT_FOUND");
  },

  "paths that are none are refused, and nothing is added": async (subject) => {
    const wrong: readonly (readonly [readonly string[], RegExp])[] = [
      [[""], /empty/],
      [["/a"], /empty/],
      [["a/"], /empty/],
      [["a//b"], /empty/],
      [["."], /`\.`/],
      [["a/./b"], /`\.`/],
      [[".."], /`\.\.`/],
      [["../a"], /`\.\.`/],
      [["a/../../b"], /`\.\.`/],
      [["a\0b"], /NUL/],
      [["\ud800"], /surrogate/],
      [["x".repeat(256)], /255/],
      [["é".repeat(128)], /255/],
      [[Array(65).fill("a").join("/")], /segments/],
      [["a", "a"], /twice/],
      [["a/b", "c", "a/b"], /twice/],
      [["a", "a/b"], /file and a folder/],
      [["a/b", "a"], /file and a folder/],
      [["a/b/c", "a/b"], /file and a folder/],
    ];
    for (const [paths, pattern] of wrong) {
      const files = filesOf(paths.map((path) => [path, "x"] as const));
      await refuses(subject.driver.addDirectory(files, WAITER), "INVALID_REQUEST", pattern);
    }
    const { files } = await subject.addDirectory({ ["x".repeat(255)]: "", [Array(64).fill("a").join("/")]: "" });
    equal(files.length, 2);
  },

  "who leaves between two files is not waited for": async (subject) => {
    const caller = leaver();
    async function* files() {
      yield* filesOf([["a", "a"]]);
      caller.leave();
      await new Promise(() => {});
    }
    await refusesWith(subject.driver.addDirectory(files(), caller), caller.reason);
  },

  "a directory of many entries is spread over blocks, and like any other": async (subject) => {
    const { root, files } = await addMany(subject);
    equal(root.cid, "bafybeig75n55dizmdzb7vethd4ll5bg6uj3lr6kj3qjc7kg54oakc3t67i");
    equal(files.length, MANY.length);
    deepEqual(files.map(({ path }) => path), MANY.map(([path]) => path));
    equal((await subject.look(root.cid)).kind, "directory");
    const entries = await subject.entries(root.cid);
    deepEqual(entries.map(({ name }) => name).toSorted(), MANY.map(([name]) => name).toSorted());
    deepEqual(new Set(entries.map(({ kind }) => kind)), new Set(["file"]));
    for (const i of [0, 1, 17, 2_999, 5_999]) {
      const found = await subject.look(root.cid, nameOf(i));
      equal(await subject.text(found.cid), String(i));
    }
    await refuses(subject.look(root.cid, nameOf(6_000)), "NOT_FOUND");
    // A part of it is no entry, whatever it is called inside.
    await refuses(subject.look(root.cid, "00"), "NOT_FOUND");
    await refuses(subject.look(root.cid, `00${nameOf(0)}`), "NOT_FOUND");
  },

  "a CAR of a path in a large directory has the blocks that lead there": async (subject) => {
    const { root } = await addMany(subject);
    const { CarReader } = await import("@ipld/car/reader");
    const reader = await CarReader.fromBytes(await subject.car(root.cid, [nameOf(17)], "block"));
    const cids = await Array.fromAsync(reader.cids(), (cid) => cid.toString());
    equal(cids[0], root.cid);
    equal(cids.at(-1), (await subject.look(root.cid, nameOf(17))).cid);
    ok(cids.length >= 2 && cids.length <= 5, String(cids.length));
    ok(cids.slice(0, -1).every((cid) => CID.parse(cid).code === 0x70));
    const all = await CarReader.fromBytes(await subject.car(root.cid, [], "entity"));
    const shards = await Array.fromAsync(all.cids());
    ok(shards.length > 2 && shards.every(({ code }) => code === 0x70), "shards, and no file");
  },
});

async function refusesWith(work: Promise<unknown>, reason: Error): Promise<void> {
  try {
    await work;
  } catch (error) {
    return equal(error, reason);
  }
  throw new Error("it did not fail");
}
