import { deepEqual, equal, match, notEqual, ok, rejects } from "node:assert/strict";
import { createHash } from "node:crypto";
import { GatewayError } from "../../../src/contracts/errors.ts";
import type { ResumableUpload } from "../../../src/contracts/resumable_uploads.ts";
import { until } from "../../engines/support/wait.ts";
import { awaitedLater } from "../../support/awaited_later.ts";
import { code } from "../auth/support/node.ts";
import { CONTEXT } from "../control_plane/support/context.ts";
import { Bench, bytesOf, OTHER, pieces, RULES, SHOP, Tap } from "./support/resumable.ts";

const DOWN = new GatewayError("UNAVAILABLE", "the engine is down");
const sha1 = (text: string) => ({ algorithm: "sha1", digest: createHash("sha1").update(text).digest() } as const);

Deno.test("an upload comes in parts, and is stored once it is whole, as the client said", async () => {
  await using bench = await Bench.open();
  const options = { name: "a.txt", type: "text/plain", pin: false, visibility: "public" } as const;
  const id = await bench.create({ options, metadata: "filename YS50eHQ=" });
  match(id, /^[0-9a-f]{32}$/);
  const first = await bench.append(id, 0, "hello ");
  deepEqual([first.offset, first.length, first.metadata, first.object], [6, 11, "filename YS50eHQ=", undefined]);
  const last = await bench.append(id, 6, "world");
  equal(last.object?.name, "a.txt");
  equal(last.object?.size, 11);
  const [stored] = bench.depot.stored;
  deepEqual(stored!.bytes, bytesOf("hello world"));
  const { salt, ...told } = stored!.options;
  equal(salt?.length, 32);
  deepEqual(told, { ...options, encrypt: false, length: 11 });
  deepEqual((await bench.look(id)).object, last.object);
  deepEqual(await bench.append(id, 11, ""), await bench.look(id), "who did not hear of it may say so again");
  deepEqual(await bench.files(), [`${id}.upload`], "bytes are not kept twice");
  equal(bench.depot.stored.length, 1);
});

Deno.test("nothing of an upload lies on the disk as it came: neither its bytes nor its name", async () => {
  await using bench = await Bench.open();
  const id = await bench.create({
    options: { name: "secret-name" },
    metadata: "filename c2VjcmV0LW5hbWU=",
    length: 100,
  });
  await bench.append(id, 0, "secret content");
  for (const name of await bench.files()) {
    const text = new TextDecoder("latin1").decode(Deno.readFileSync(`${bench.folder}/${name}`));
    ok(!/secret|c2VjcmV0|shop/.test(text), name);
    equal(Deno.statSync(`${bench.folder}/${name}`).mode! & 0o077, 0, "others of this machine read none of it");
  }
});

Deno.test("an upload is there for its own namespace alone, and another's is told as one that is not", async () => {
  await using bench = await Bench.open();
  const id = await bench.create();
  const sentences: string[] = [];
  for (const [who, which] of [[OTHER, id], [SHOP, "0".repeat(32)]] as const) {
    for (
      const call of [
        () => bench.uploads.look(who, which, CONTEXT),
        () => bench.uploads.append(who, which, { offset: 0, content: pieces("x") }, CONTEXT),
        () => bench.uploads.remove(who, which),
      ]
    ) {
      await rejects(call(), (error: GatewayError) => {
        equal(error.code, "NOT_FOUND");
        return sentences.push(error.message.replace(which, "…")) > 0;
      });
    }
  }
  equal(new Set(sentences).size, 1);
  for (const wrong of ["", "..", "../gateway", `${id}/`, id.toUpperCase() + "x", "%00", `${id}\0`]) {
    await rejects(bench.look(wrong), code("NOT_FOUND"), wrong);
  }
  equal((await bench.look(id)).offset, 0);
});

Deno.test("a part that does not begin where the upload ends changes nothing", async () => {
  await using bench = await Bench.open();
  const id = await bench.create();
  await bench.append(id, 0, "hello ");
  for (const offset of [0, 5, 7, 11, 2 ** 50]) {
    await rejects(bench.append(id, offset, "xxxxx"), (error: GatewayError) => {
      deepEqual([error.code, error.extra.details], ["CONFLICT", { offset: 6 }]);
      return true;
    });
  }
  equal((await bench.append(id, 6, "world")).offset, 11);
  deepEqual(bench.depot.stored[0]!.bytes, bytesOf("hello world"));
});

Deno.test("of a part with a checksum all counts or nothing, however it ends", async () => {
  await using bench = await Bench.open();
  const id = await bench.create();
  await rejects(bench.append(id, 0, "hello!", { checksum: sha1("hello ") }), code("CHECKSUM_MISMATCH"));
  equal((await bench.look(id)).offset, 0);
  const tap = new Tap();
  const part = bench.append(id, 0, tap, { checksum: sha1("hello ") });
  tap.give("hel");
  tap.fail(new GatewayError("INVALID_REQUEST", "the body ended before it was complete"));
  await rejects(part, code("INVALID_REQUEST"));
  equal((await bench.look(id)).offset, 0);
  equal((await bench.append(id, 0, "hello ", { checksum: sha1("hello ") })).offset, 6);
  await rejects(bench.append(id, 6, "worl!", { checksum: sha1("world") }), code("CHECKSUM_MISMATCH"));
  equal(bench.depot.stored.length, 0, "what is wrong does not make it whole");
  equal((await bench.append(id, 6, "world", { checksum: sha1("world") })).offset, 11);
  equal(bench.depot.stored.length, 1);
});

Deno.test("more than was said is refused, before it is read where that can be, and nothing of it stays", async () => {
  await using bench = await Bench.open();
  const id = await bench.create();
  await bench.append(id, 0, "hello ");
  const unread = { [Symbol.asyncIterator]: () => ok(false, "nothing is read") as never };
  await rejects(bench.append(id, 6, unread, { size: 6 }), code("BODY_TOO_LARGE"));
  await rejects(bench.append(id, 6, pieces("world", "!")), code("BODY_TOO_LARGE"));
  equal((await bench.look(id)).offset, 6);
  equal(bench.depot.stored.length, 0);
  equal((await bench.append(id, 6, "world", { size: 5 })).offset, 11);
  await rejects(bench.append(id, 11, "!"), code("BODY_TOO_LARGE"));
});

Deno.test("what came of a part that breaks off is kept; one whose sender may not go on makes nothing whole", async () => {
  await using bench = await Bench.open();
  const id = await bench.create();
  const tap = new Tap();
  const part = bench.append(id, 0, tap);
  tap.give("hello ");
  tap.fail(new GatewayError("REQUEST_TIMEOUT", "the body did not arrive in time"));
  await rejects(part, code("REQUEST_TIMEOUT"));
  equal((await bench.look(id)).offset, 6);
  const revoked = new Tap();
  const last = bench.append(id, 6, revoked);
  revoked.give("world");
  revoked.fail(new GatewayError("INVALID_CREDENTIAL", "invalid API key or token"));
  await rejects(last, code("INVALID_CREDENTIAL"));
  equal(bench.depot.stored.length, 0);
  equal((await bench.look(id)).object?.size, 11, "whoever may still ask has it stored");
});

Deno.test("two parts at once: the second has to wait while the first is heard of, and takes over when it is silent", async () => {
  await using bench = await Bench.open();
  const id = await bench.create();
  const tap = new Tap();
  const first = awaitedLater(bench.append(id, 0, tap));
  tap.give("hel");
  await until("bytes are there", async () => (await bench.look(id)).offset === 3);
  bench.time = 4_000;
  await rejects(bench.append(id, 3, "lo "), (error: GatewayError) => {
    deepEqual([error.code, error.status, error.extra.retryAfter], ["UPLOAD_LOCKED", 423, 1]);
    return true;
  });
  tap.give("lo ");
  await until("more bytes are there", async () => (await bench.look(id)).offset === 6);
  bench.time = 8_900;
  await rejects(bench.append(id, 6, "world"), code("UPLOAD_LOCKED"));
  bench.time = 9_000;
  equal((await bench.append(id, 6, "world")).offset, 11);
  await rejects(first, code("UPLOAD_LOCKED", /newer request/));
  tap.give("late bytes");
  await Promise.resolve();
  deepEqual(bench.depot.stored[0]!.bytes, bytesOf("hello world"));
});

Deno.test("many parts at once for one silent part: one of them goes on, the others are told to wait or where it is", async () => {
  await using bench = await Bench.open();
  const id = await bench.create();
  const silent = bench.append(id, 0, new Tap());
  silent.catch(() => {});
  await until("it is there", async () => (await bench.look(id)).offset === 0);
  bench.time = 60_000;
  const results = await Promise.allSettled(Array.from({ length: 8 }, () => bench.append(id, 0, "hello ")));
  equal(results.filter(({ status }) => status === "fulfilled").length, 1);
  for (const result of results) {
    if (result.status === "rejected") ok(["UPLOAD_LOCKED", "CONFLICT"].includes((result.reason as GatewayError).code));
  }
  equal((await bench.look(id)).offset, 6);
});

Deno.test("while the engine is down, a whole upload stays, and is stored when somebody asks again", async () => {
  await using bench = await Bench.open();
  bench.depot.failure = DOWN;
  const id = await bench.create();
  await rejects(bench.append(id, 0, "hello world"), code("UNAVAILABLE"));
  for (let i = 0; i < 2; i++) {
    await rejects(bench.look(id), (error: GatewayError) => {
      deepEqual([error.code, error.extra.headers?.["upload-offset"]], ["UPLOAD_LOCKED", "11"]);
      return true;
    });
  }
  bench.depot.failure = new GatewayError("TOO_MANY_UPLOADS", "20 uploads are under way");
  await rejects(bench.append(id, 11, ""), code("UPLOAD_LOCKED"), "clients repeat that, and no 429");
  bench.depot.failure = new GatewayError("QUOTA_EXCEEDED", "no");
  await rejects(bench.look(id), code("QUOTA_EXCEEDED"));
  bench.depot.failure = undefined;
  equal((await bench.look(id)).object?.size, 11);
});

Deno.test("storing goes on when whoever asked leaves; who asks meanwhile waits a little, and it happens once", async () => {
  await using bench = await Bench.open({ patience: 50 });
  const gate = Promise.withResolvers<void>();
  bench.depot.gate = gate.promise;
  const id = await bench.create();
  const leaving = new AbortController();
  const part = awaitedLater(bench.uploads.append(SHOP, id, { offset: 0, content: pieces("hello world") }, {
    ...CONTEXT,
    signal: leaving.signal,
  }));
  await until("it is being stored", () => bench.depot.asked === 1);
  await rejects(bench.look(id), code("UPLOAD_LOCKED"));
  leaving.abort();
  await rejects(part);
  gate.resolve();
  await until("it is stored", async () => (await bench.look(id)).object !== undefined);
  equal(bench.depot.stored.length, 1);
});

Deno.test("killed between storing and noting it, a gateway stores the same once more, encrypted or not", async () => {
  for (const encrypt of [false, true]) {
    await using bench = await Bench.open({ patience: 50 });
    const gate = Promise.withResolvers<void>();
    bench.depot.gate = gate.promise;
    const id = await bench.create({ options: { encrypt } });
    const part = awaitedLater(bench.append(id, 0, "hello world"));
    await until("it is being stored", () => bench.depot.asked === 1);
    await rejects(bench.look(id), code("UPLOAD_LOCKED"));
    const next = await bench.afterKill();
    gate.resolve();
    const { object } = await part;
    let again: ResumableUpload["object"];
    await until("it is stored again", async () => (again = (await next.look(SHOP, id, CONTEXT)).object) !== undefined);
    deepEqual(again, object);
    equal(bench.depot.stored.length, 2);
    equal(bench.depot.objects.size, 1);
  }
});

Deno.test("after a kill each upload is as far as it was, and ends as it would have", async () => {
  await using bench = await Bench.open();
  const open = await bench.create({ length: undefined }), known = await bench.create(), done = await bench.create();
  await bench.append(open, 0, "hel");
  await bench.append(known, 0, "hello ");
  const { object } = await bench.append(done, 0, "hello world");
  const tap = new Tap();
  const coming = bench.append(known, 6, tap);
  coming.catch(() => {});
  tap.give("wo");
  await until("bytes are there", async () => (await bench.look(known)).offset === 8);
  Deno.writeFileSync(`${bench.folder}/${"f".repeat(32)}.bytes`, bytesOf("of a record that was never written"));
  const next = await bench.afterKill();
  const offsets = [];
  for (const id of [open, known, done]) offsets.push((await next.look(SHOP, id, CONTEXT)).offset);
  deepEqual(offsets, [3, 8, 11]);
  deepEqual((await next.look(SHOP, done, CONTEXT)).object, object);
  const ended = await next.append(SHOP, known, { offset: 8, content: pieces("rld") }, CONTEXT);
  deepEqual(ended.object?.cid, object?.cid);
  const last = await next.append(SHOP, open, { offset: 3, length: 5, content: pieces("lo") }, CONTEXT);
  equal(last.object?.size, 5);
  tap.end();
});

Deno.test("bytes that are not what they were end the upload: nobody gets what nobody sent", async () => {
  await using bench = await Bench.open();
  bench.depot.failure = DOWN;
  const id = await bench.create();
  await rejects(bench.append(id, 0, "hello world"), code("UNAVAILABLE"));
  bench.depot.failure = undefined;
  const path = `${bench.folder}/${id}.bytes`;
  const file = Deno.readFileSync(path);
  file[20]! ^= 1;
  Deno.writeFileSync(path, file);
  await rejects(bench.look(id), code("NOT_FOUND"));
  deepEqual(await bench.files(), []);
  equal(bench.depot.stored.length, 0);
  await bench.create();
});

Deno.test("a length that comes later is held like one that came first, and stays what it is", async () => {
  await using bench = await Bench.open();
  const id = await bench.create({ length: undefined });
  const first = await bench.append(id, 0, "hello ");
  equal(first.length, undefined);
  await rejects(bench.append(id, 6, "", { length: 5 }), code("INVALID_REQUEST", /at least 6/));
  await rejects(bench.append(id, 6, "", { length: RULES.maxObjectBytes + 1 }), code("BODY_TOO_LARGE"));
  equal((await bench.append(id, 6, "wo", { length: 11 })).length, 11);
  await rejects(bench.append(id, 8, "rld", { length: 12 }), code("INVALID_REQUEST", /cannot be changed/));
  equal((await bench.append(id, 8, "rld", { length: 11 })).object?.size, 11);
  const empty = await bench.create({ length: 0 });
  equal((await bench.append(empty, 0, "")).object?.size, 0);
});

Deno.test("names and types that no object can have are refused before anything is sent", async () => {
  await using bench = await Bench.open();
  for (const options of [{ name: "a\r\nb" }, { name: "a\0" }, { name: "x".repeat(300) }, { type: "no type" }]) {
    await rejects(bench.create({ options }), code("INVALID_REQUEST"), JSON.stringify(options));
  }
  deepEqual(await bench.files(), []);
  notEqual(await bench.create(), await bench.create());
});
