import { deepEqual, equal } from "node:assert/strict";
import { type ContentSubject, filesOf, onEveryContentDriver, WAITER } from "../support/test_content.ts";

/** With its CID it has 256 bytes of the 256 KiB from which on a directory is spread over blocks. */
const nameOf = (i: number) => String(i).padStart(220, "0");
const files = (count: number, pathOf: (i: number) => string = nameOf) =>
  Array.from({ length: count }, (_, i): readonly [string, string] => [pathOf(i), `content ${i}`]);

const rootOf = async (subject: ContentSubject, of: ReturnType<typeof files>) =>
  (await subject.driver.addDirectory(filesOf(of), WAITER)).root.cid;

// The CIDs are those of `ipfs add -r --cid-version=1 --raw-leaves --chunker=size-262144` (Kubo 0.39).
onEveryContentDriver({
  "a directory is spread over blocks from the very entry on from which Kubo spreads it": async (subject) => {
    equal(await rootOf(subject, files(1_023)), "bafybeibvtbz7oztdsycat2ayak64prfkfpwrxuywtsc7mcpul7dm47jigq");
    equal(await rootOf(subject, files(1_024)), "bafybeih4f756bb2typlpguqdrdb52clxzgidk52xxuxsfvfpsdpcij64y4");
  },

  "a large directory of folders is spread over blocks as well": async (subject) => {
    const root = await rootOf(subject, files(1_024, (i) => `${nameOf(i)}/a`));
    equal(root, "bafybeic7qcvd56yi2xokie2qb77mpnrt44vbrpek5sihmifeaunztxx4yi");
    equal(await subject.text((await subject.look(root, nameOf(1_023), "a")).cid), "content 1023");
  },

  "a large directory within small ones has the CID that it has elsewhere": async (subject) => {
    const root = await rootOf(subject, [...files(1_024, (i) => `deep/x/${nameOf(i)}`), ["deep/y/z", "z"]]);
    equal(root, "bafybeiai3uwr4eny2m44tm46et7tlb3dgmf4wpiulbvdf5vd3n6boylzhe");
    equal((await subject.entries((await subject.look(root, "deep", "x")).cid)).length, 1_024);
  },

  "a backslash is a letter of a name, also before a slash": async (subject) => {
    const { root } = await subject.addDirectory({ "a\\/b": "1", "\\\\/\\": "2" });
    deepEqual((await subject.entries(root.cid)).map(({ name, kind }) => [name, kind]).toSorted(), [
      ["\\\\", "directory"],
      ["a\\", "directory"],
    ]);
    equal(await subject.text((await subject.look(root.cid, "a\\", "b")).cid), "1");
    equal(await subject.text((await subject.look(root.cid, "\\\\", "\\")).cid), "2");
  },
});
