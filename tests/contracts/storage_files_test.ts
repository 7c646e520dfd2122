import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { bytesOf, cidOf, CODES, inPieces, noise } from "../support/blocks.ts";
import { leaver, onEveryContentDriver, refuses, WAITER } from "../support/test_content.ts";

const KIB = 2 ** 10;
const CHUNK = 256 * KIB;
/** Nobody has it. */
const ABSENT = cidOf(CODES.raw, noise(100, 999)).toString();

onEveryContentDriver({
  "equal bytes have the CID that everybody gives them": async (subject) => {
    // The first two are known everywhere; the others are those of `ipfs add --cid-version=1`.
    const known: readonly (readonly [content: string | Uint8Array, cid: string])[] = [
      ["hello world", "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"],
      ["", "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"],
      [noise(1), "bafkreickmsqqp4glgjjw4w6onsmmhe63ehgkp5hkdb52rrg4vc2r2tvibi"],
      [noise(CHUNK), "bafkreibwhlarsde665qgq2z34vtls7ig7pozaumu3tfjfy24ztmbimeyju"],
      [noise(CHUNK + 1), "bafybeicv6dqqcdwzy7o6zng3c6tako53tju3skexizl3hm7vcmzcrg3zya"],
      [noise(1_048_577), "bafybeiblllbet6n64z2uugck4sbuobdcbtmhtzx7ewia7eenfg7nmxak7a"],
      [noise(5_000_000), "bafybeiawqd6ke32shl3bimp6h5yumdcyrja4lwkkv3nsk6ewo6mk4adm7i"],
    ];
    for (const [content, cid] of known) equal(await subject.add(content), cid);
  },

  "how content is cut on its way does not change its CID": async (subject) => {
    const content = noise(CHUNK * 3 + 17);
    const cid = await subject.add(content);
    for (const pieces of [[1 * KIB], [65_536], [CHUNK], [CHUNK + 1, 1, 7], [CHUNK - 1, 0, 2], [content.length]]) {
      equal(await subject.add(content, ...pieces), cid, String(pieces));
    }
    deepEqual(await subject.read(cid), content);
  },

  "what was added is read as it was, and looked at": async (subject) => {
    for (const length of [0, 1, 1_000, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5]) {
      const content = noise(length, length + 1);
      const cid = await subject.add(content, 100_000);
      deepEqual(await subject.read(cid), content);
      deepEqual(await subject.look(cid), { cid, kind: "file", size: length });
    }
  },

  "a range is that part of the whole, wherever chunks end": async (subject) => {
    const content = noise(2 * CHUNK + 1_000);
    const cid = await subject.add(content);
    const edges = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK - 1, 2 * CHUNK, 2 * CHUNK + 999, content.length];
    for (const from of edges) {
      for (const to of edges.filter((edge) => edge >= from)) {
        deepEqual(await subject.read(cid, from, to - from), content.slice(from, to), `${from} to ${to}`);
      }
    }
  },

  "nobody has content that was never added": async (subject) => {
    // All at once: who asks a network learns of it only when time is up.
    await Promise.all([
      refuses(subject.look(ABSENT), "NOT_FOUND", /content not found/),
      refuses(subject.read(ABSENT), "NOT_FOUND"),
      refuses(subject.driver.block(ABSENT, WAITER), "NOT_FOUND"),
      refuses(subject.entries(ABSENT), "NOT_FOUND"),
      refuses(subject.car(ABSENT), "NOT_FOUND"),
    ]);
  },

  "what is no CID, or one of another codec or hash, is the caller's mistake": async (subject) => {
    const content = await subject.add("hello world");
    const sha1 = "bafkrcfbkvhdfobp3rkgl5yn7pt2mlhxm6ea2jei";
    const wrong = [
      "",
      "x",
      "QmInvalidCID123456789",
      content.slice(0, -1),
      `${content}a`,
      content.toUpperCase(),
      `${content}?x=1`,
      `../${content}`,
      `/ipfs/${content}`,
      "b".repeat(100_000),
      "z".repeat(100_000),
      // The content itself, in place of a hash.
      "bafkqablimvwgy3y",
      sha1,
      // A key of a peer.
      "k51qzi5uqu5dlvj2baxnqndepeb86cbk3ng7n3i46uzyxzyqj2xjonzllnv0v8",
    ];
    for (const cid of wrong) {
      const what = { message: `\`${cid.slice(0, 80)}\`` };
      const asked: readonly (() => Promise<unknown>)[] = [
        () => subject.look(cid),
        () => subject.read(cid),
        () => subject.driver.block(cid, WAITER),
        () => subject.car(cid),
        () => subject.driver.pinState(cid, WAITER),
      ];
      for (const ask of asked) {
        await rejects(ask(), (error: { code?: unknown }) => {
          equal(error.code, "INVALID_REQUEST", what.message);
          return true;
        }, what.message);
      }
    }
  },

  "a CID of version 0 names the same content": async (subject) => {
    const { root } = await subject.addDirectory({ "a.txt": "a" });
    const { CID } = await import("multiformats/cid");
    const old = CID.parse(root.cid).toV0().toString();
    ok(old.startsWith("Qm"));
    equal((await subject.look(old)).kind, "directory");
    deepEqual(await subject.entries(old), await subject.entries(root.cid));
    equal((await subject.look(old, "a.txt")).size, 1);
  },

  "a block is given as it is": async (subject) => {
    const content = noise(CHUNK + 5);
    const cid = await subject.add(content);
    const root = await subject.driver.block(cid, WAITER);
    equal(cidOf(CODES.dagPb, root).toString(), cid);
    const leaf = cidOf(CODES.raw, content.subarray(0, CHUNK)).toString();
    deepEqual(await subject.driver.block(leaf, WAITER), content.subarray(0, CHUNK));
  },

  "a source that fails is told as it is, and nothing of it is there": async (subject) => {
    const first = noise(CHUNK, 77);
    const broken = new Error("the source broke");
    async function* source() {
      yield* inPieces(first);
      yield* inPieces(first.slice(1));
      throw broken;
    }
    await rejects(subject.driver.add(source(), WAITER), (error) => error === broken);
    await rejects(
      subject.driver.addDirectory(
        (async function* () {
          yield { path: "a", content: source() };
        })(),
        WAITER,
      ),
      (error) => error === broken,
    );
    equal((await subject.driver.pinState(cidOf(CODES.raw, first).toString(), WAITER)).status, "unpinned");
  },

  "who leaves is not waited for, even where the source is silent, and the source is told": async (subject) => {
    const caller = leaver();
    let told = false;
    const source: AsyncIterable<Uint8Array> = {
      [Symbol.asyncIterator]() {
        let pieces = 0;
        return {
          next() {
            if (pieces++ < 3) return Promise.resolve({ done: false, value: noise(CHUNK, pieces) });
            caller.leave();
            return new Promise(() => {});
          },
          return() {
            told = true;
            return Promise.resolve({ done: true, value: undefined });
          },
        };
      },
    };
    await rejects(subject.driver.add(source, caller), (error) => error === caller.reason);
    ok(told);
  },

  "no more is taken from a source than is stored": async (subject) => {
    const caller = leaver();
    let given = 0;
    async function* endless() {
      for (; given < 2_000; given++) yield noise(64 * KIB, given);
      caller.leave();
      yield noise(1);
    }
    await rejects(subject.driver.add(endless(), caller), (error) => error === caller.reason);
    equal(given, 2_000);
  },

  "who reads may leave in the middle, by walking away or by a signal": async (subject) => {
    const content = noise(20 * CHUNK);
    const cid = await subject.add(content);
    for await (const piece of subject.driver.read(cid, undefined, WAITER)) {
      deepEqual(piece, content.slice(0, piece.length));
      break;
    }
    const caller = leaver();
    let read = 0;
    await rejects(async () => {
      for await (const piece of subject.driver.read(cid, undefined, caller)) {
        read += piece.length;
        caller.leave();
      }
    }, (error) => error === caller.reason);
    ok(read < content.length);
  },

  "equal bytes may be added and read by many at once": async (subject) => {
    const content = noise(4 * CHUNK + 9, 5);
    const cids = await Promise.all(Array.from({ length: 12 }, (_, i) => subject.add(content, 40_000 + i)));
    equal(new Set(cids).size, 1);
    const copies = await Promise.all(cids.map((cid) => subject.read(cid)));
    for (const copy of copies) deepEqual(copy, content);
  },

  "different content may be added at once": async (subject) => {
    const contents = Array.from({ length: 20 }, (_, i) => noise(CHUNK * (i % 4) + i, 100 + i));
    const cids = await Promise.all(contents.map((content) => subject.add(content, 30_000)));
    for (const [i, cid] of cids.entries()) deepEqual(await subject.read(cid), contents[i]);
  },

  "a file of equal chunks is as quick as any other": async (subject) => {
    const cid = await subject.add(new Uint8Array(40 * CHUNK));
    deepEqual(await subject.read(cid, 39 * CHUNK, 10), new Uint8Array(10));
    equal((await bytesOf(subject.driver.car(cid, [], "all", WAITER))).length < 2 * CHUNK, true);
  },

  "it is well, and knows what it holds if at all": async (subject) => {
    await subject.add(noise(3 * CHUNK));
    const health = await subject.driver.health(WAITER.signal);
    equal(health.status, "ok", JSON.stringify(health));
    equal(health.driver, subject.driver.name);
    const held = await subject.driver.held(WAITER);
    if (held !== undefined) ok(held >= 3 * CHUNK);
  },
});

onEveryContentDriver({
  "nodes have 174 links, one level above the other": async (subject) => {
    const known: readonly (readonly [length: number, cid: string])[] = [
      [174 * KIB, "bafybeicay5keuwcidky344zxsncoozvgkajbqmwpucwwwqe2gvspmogulu"],
      [174 * KIB + 1, "bafybeictgqowstmnugeih2ifa2y67gpwnrkwvdsluh7vwiijce3uovcpqu"],
      [2 * 174 * KIB, "bafybeieor5hdgl6s5pugqxrmsc2dx5vmbovmkzzlk6f5aj45dcluaxqegi"],
      [3 * 174 * KIB + 5, "bafybeifgbejsxhimbfddwboleodfzcmjkvbutl4fcizf6vg2tzd5vg3m6a"],
    ];
    for (const [length, cid] of known) {
      const content = noise(length);
      equal(await subject.add(content), cid, String(length));
      deepEqual(await subject.read(cid), content);
      deepEqual(await subject.read(cid, length - 3, 3), content.slice(-3));
    }
  },

  "content that is lent, on its way in and out, is what it was, also where it repeats itself": async (subject) => {
    const repeating = new Uint8Array(3_000 * KIB + 17);
    for (let i = 0; i < 3_000; i++) repeating.set(noise(KIB, i % 5 < 3 ? 1 : i % 5 === 3 ? 2 : i), i * KIB);
    for (const content of [repeating, noise(100, 3), new Uint8Array(), noise(KIB, 1)]) {
      const { cid } = await subject.driver.add(lent(content), WAITER);
      deepEqual(await subject.read(cid), content);
      for (let time = 0; time < 2; time++) {
        const back: Uint8Array[] = [];
        for await (const piece of subject.driver.read(cid, undefined, WAITER, true)) back.push(piece.slice());
        deepEqual(await bytesOf(ReadableStream.from(back)), content);
      }
    }
  },
}, { chunkSize: KIB });

/** Pieces that are others as soon as the next one is asked for. */
async function* lent(content: Uint8Array): AsyncGenerator<Uint8Array> {
  const memory = new Uint8Array(100_000);
  for (let at = 0; at < content.length; at += memory.length) {
    const piece = content.subarray(at, at + memory.length);
    memory.set(piece);
    yield memory.subarray(0, piece.length);
    memory.fill(0);
  }
}
