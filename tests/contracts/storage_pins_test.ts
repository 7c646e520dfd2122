import { deepEqual, equal } from "node:assert/strict";
import { until } from "../engines/support/wait.ts";
import { cidOf, CODES, noise } from "../support/blocks.ts";
import { type ContentSubject, onEveryContentDriver, refuses, WAITER } from "../support/test_content.ts";

const CHUNK = 256 * 2 ** 10;
const OPTIONS = { name: "a name", replication: { min: 1, max: 1 } };

const statusOf = async (subject: ContentSubject, cid: string) => (await subject.driver.pinState(cid, WAITER)).status;

onEveryContentDriver({
  "what was added is not pinned by itself, and what is pinned says so": async (subject) => {
    const cid = await subject.add(noise(3 * CHUNK));
    deepEqual((await subject.driver.pinState(cid, WAITER)).status, "unpinned");
    await subject.driver.pin(cid, OPTIONS, WAITER);
    await until("it is pinned", async () => await statusOf(subject, cid) === "pinned");
    const state = await subject.driver.pinState(cid, WAITER);
    equal(state.error, undefined);
    equal(state.peers.filter(({ status }) => status === "pinned").length >= 1, true);
  },

  "a pin may be told again, with other options": async (subject) => {
    const { root } = await subject.addDirectory({ a: "a", b: noise(CHUNK + 1) });
    for (const name of ["one", "two", "two"]) await subject.driver.pin(root.cid, { ...OPTIONS, name }, WAITER);
    await until("it is pinned", async () => await statusOf(subject, root.cid) === "pinned");
    await subject.driver.recover(root.cid, WAITER);
    await until("it is pinned again", async () => await statusOf(subject, root.cid) === "pinned");
  },

  "what is unpinned is not to be kept, and unpinning it twice is no mistake": async (subject) => {
    const cid = await subject.add("let go");
    await subject.driver.unpin(cid, WAITER);
    await subject.driver.pin(cid, OPTIONS, WAITER);
    await until("it is pinned", async () => await statusOf(subject, cid) === "pinned");
    for (let i = 0; i < 2; i++) {
      await subject.driver.unpin(cid, WAITER);
      await until("it is unpinned", async () => await statusOf(subject, cid) === "unpinned");
    }
    await subject.driver.pin(cid, OPTIONS, WAITER);
    await until("it is pinned", async () => await statusOf(subject, cid) === "pinned");
  },

  "a block that is there is there, pinned or not, also as a part and by another codec of the same bytes": async (
    subject,
  ) => {
    const { driver } = subject, content = noise(2 * CHUNK + 1, 99);
    const leaf = cidOf(CODES.raw, content.subarray(0, CHUNK));
    equal(await driver.has(leaf.toString(), WAITER), false);
    const { root, files: [file] } = await subject.addDirectory({ "a/b.bin": content });
    for (const cid of [root.cid, file!.cid, leaf.toString()]) equal(await driver.has(cid, WAITER), true, cid);
    const { CID } = await import("multiformats/cid");
    equal(await driver.has(CID.createV1(CODES.raw, CID.parse(root.cid).multihash).toString(), WAITER), true);
    equal(await driver.has(cidOf(CODES.raw, noise(64, 4_712)).toString(), WAITER), false);
    await refuses(driver.has("x", WAITER), "INVALID_REQUEST");
  },

  "nothing is known of the pin of what nobody asked for": async (subject) => {
    const nowhere = cidOf(CODES.raw, noise(64, 4_711)).toString();
    deepEqual((await subject.driver.pinState(nowhere, WAITER)).status, "unpinned");
    await subject.driver.unpin(nowhere, WAITER);
    const { CID } = await import("multiformats/cid");
    const { root } = await subject.addDirectory({ x: "x" });
    await subject.driver.pin(root.cid, OPTIONS, WAITER);
    const old = CID.parse(root.cid).toV0().toString();
    await until("its older CID says the same", async () => await statusOf(subject, old) === "pinned");
  },

  "who reads what is unpinned meanwhile reads on": async (subject) => {
    const content = noise(30 * CHUNK);
    const cid = await subject.add(content);
    await subject.driver.pin(cid, OPTIONS, WAITER);
    let at = 0;
    for await (const piece of subject.driver.read(cid, undefined, WAITER)) {
      if (at === 0) await subject.driver.unpin(cid, WAITER);
      deepEqual(piece, content.slice(at, at + piece.length));
      at += piece.length;
    }
    equal(at, content.length);
  },

  "a CID that is none cannot be pinned": async (subject) => {
    for (
      const ask of [
        (cid: string) => subject.driver.pin(cid, OPTIONS, WAITER),
        (cid: string) => subject.driver.unpin(cid, WAITER),
        (cid: string) => subject.driver.recover(cid, WAITER),
      ]
    ) await refuses(ask("../../etc/passwd"), "INVALID_REQUEST");
  },
});
