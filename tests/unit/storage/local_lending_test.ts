import { equal } from "node:assert/strict";
import { createHash } from "node:crypto";
import { LocalDriver } from "../../../services/storage/local/driver.ts";
import { noise } from "../../support/blocks.ts";
import { nothing, WAITER } from "../../support/test_content.ts";

const CHUNK = 4_096;

const digestOf = async (pieces: AsyncIterable<Uint8Array>) => {
  const hash = createHash("sha256");
  for await (const piece of pieces) hash.update(piece);
  return hash.digest("hex");
};

/** Content in pieces that are others as soon as the next one is asked for. */
async function* lent(content: Uint8Array): AsyncGenerator<Uint8Array> {
  const memory = new Uint8Array(1_000);
  for (let at = 0; at < content.length; at += memory.length) {
    const piece = content.subarray(at, at + memory.length);
    memory.set(piece);
    yield memory.subarray(0, piece.length);
    memory.fill(0);
  }
}

Deno.test("content that is lent on its way in and on its way out is what it was, also where it repeats itself", async () => {
  const folder = await Deno.makeTempDir();
  const driver = new LocalDriver({ folder, roots: nothing, chunkSize: CHUNK });
  try {
    const one = noise(CHUNK, 1), other = noise(CHUNK, 2);
    const repeating = new Uint8Array(600 * CHUNK + 17);
    for (let i = 0; i < 600; i++) repeating.set(i % 5 < 3 ? one : i % 5 === 3 ? other : noise(CHUNK, i), i * CHUNK);
    for (const content of [repeating, noise(100, 3), new Uint8Array(), one]) {
      const expected = createHash("sha256").update(content).digest("hex");
      const { cid } = await driver.add(lent(content), WAITER);
      equal(await digestOf(driver.read(cid, undefined, WAITER)), expected);
      equal(await digestOf(driver.read(cid, undefined, WAITER, true)), expected);
      equal(await digestOf(driver.read(cid, undefined, WAITER, true)), expected, "again");
    }
  } finally {
    await driver.close();
    await Deno.remove(folder, { recursive: true });
  }
});
