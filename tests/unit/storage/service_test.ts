import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { ControlAuditLog } from "../../../services/control_plane/audit.ts";
import { NamespaceDeletion } from "../../../services/namespaces/deletion.ts";
import { until } from "../../engines/support/wait.ts";
import { code, principal } from "../auth/support/node.ts";
import { DAY, HOUR } from "../control_plane/support/clock.ts";
import { CONTEXT } from "../control_plane/support/context.ts";
import { cidOf } from "../../support/memory_content.ts";
import { filesOf, Storages, stream, textOf, utf8 } from "./support/storage.ts";

const HELLO = cidOf(utf8("hello"));

Deno.test("an upload is claimed, counted and pinned, and its namespace reads it", async () => {
  await using t = await Storages.start("shop", "cafe");
  const gateway = t.gateway();
  const object = await gateway.upload("shop", "hello", { name: "greetings/Hello.txt" });
  deepEqual(object, {
    cid: HELLO,
    name: "Hello.txt",
    size: 5,
    type: "text/plain",
    kind: "file",
    visibility: "private",
    encrypted: false,
    pinned: true,
    expiresAt: undefined,
    replication: { min: 1, max: 3 },
    createdAt: t.clock.now(),
    createdBy: "key:key_test",
  });
  equal(await gateway.read({ namespace: "shop" }, HELLO), "hello");
  deepEqual(await gateway.service.usage("shop", CONTEXT.signal), { bytes: 5, objects: 1 });
  deepEqual([...t.engine.pins], [[HELLO, { name: "Hello.txt", replication: { min: 1, max: 3 }, origins: undefined }]]);
  const { object: seen, pin } = await gateway.service.status("shop", HELLO, CONTEXT);
  deepEqual([seen, pin.status], [object, "pinned"]);
});

Deno.test("what is another's is what nobody has, whatever is asked", async () => {
  await using t = await Storages.start("shop", "cafe");
  const gateway = t.gateway();
  await gateway.upload("shop", "hello");
  const nobody = cidOf(utf8("nobody has this"));
  const { service } = gateway;
  const asked = async (cid: string) => {
    const answers: string[] = [];
    for (
      const call of [
        () => service.open({ namespace: "cafe" }, cid, [], CONTEXT),
        () => service.open({}, cid, [], CONTEXT),
        () => service.open({ namespace: "cafe" }, cid, ["x"], CONTEXT),
        () => service.object("cafe", cid, CONTEXT),
        () => service.status("cafe", cid, CONTEXT),
        () => service.recover("cafe", cid, CONTEXT),
        () => service.change("cafe", cid, { visibility: "public" }, CONTEXT),
        () => service.link(principal({ namespace: "cafe" }), cid, HOUR, CONTEXT),
        () => gateway.unpin("cafe", cid),
        () => gateway.pin("cafe", cid),
      ]
    ) {
      await rejects(call, (error: Error & { code: string }) => {
        answers.push(`${error.code} ${error.message.replace(cid, "it")}`);
        return true;
      });
    }
    return answers;
  };
  const answers = await asked(HELLO);
  deepEqual(answers, await asked(nobody));
  deepEqual(new Set(answers), new Set(["NOT_FOUND content not found: it"]));
  equal(await gateway.read({ namespace: "shop" }, HELLO), "hello");
});

Deno.test("what is no CID is not found; it is a mistake only where it is to be kept", async () => {
  await using t = await Storages.start("shop");
  const gateway = t.gateway();
  for (
    const cid of [
      "",
      "x",
      "QmInvalidCID123456789",
      "../..",
      "bafkqaaa",
      `${HELLO}?x=`,
      HELLO.toUpperCase(),
      `${HELLO} `,
    ]
  ) {
    await rejects(() => gateway.read({ namespace: "shop" }, cid), code("NOT_FOUND"), cid);
    await rejects(() => gateway.unpin("shop", cid), code("NOT_FOUND"), cid);
    await rejects(() => gateway.pin("shop", cid), code("INVALID_REQUEST", /^cid: /), cid);
  }
});

Deno.test("uploading again renews name, type and pin, and counts once", async () => {
  await using t = await Storages.start("shop");
  const gateway = t.gateway();
  const first = await gateway.upload("shop", "hello", { name: "a.txt", visibility: "public", replication: { max: 2 } });
  t.clock.advance(HOUR);
  const second = await gateway.upload("shop", "hello", { name: "b.md", pin: false });
  deepEqual(second, {
    ...first,
    name: "b.md",
    type: "text/markdown",
    pinned: false,
    expiresAt: t.clock.now() + DAY,
  });
  deepEqual([...t.engine.pins], []);
  const third = await gateway.upload("shop", "hello", { visibility: "private" });
  deepEqual(third, { ...first, name: "b.md", type: "text/plain; charset=utf-8", visibility: "private" });
  deepEqual(await t.usage(), [{ namespace: "shop", bytes: 5, objects: 1 }]);
  equal(t.engine.pins.size, 1);
});

Deno.test("two namespaces have the same bytes; what one gives up, the other keeps", async () => {
  await using t = await Storages.start("shop", "cafe");
  const gateway = t.gateway();
  await gateway.upload("shop", "hello", { name: "mine", replication: { min: 2, max: 5 } });
  await gateway.upload("cafe", "hello", { name: "ours" });
  deepEqual(t.engine.pins.get(HELLO)?.replication, { min: 2, max: 5 }, "as much as whoever wants most");
  equal((await gateway.unpin("shop", HELLO)).name, "mine");
  deepEqual(t.engine.pins.get(HELLO), { name: "ours", replication: { min: 1, max: 3 }, origins: undefined });
  await rejects(() => gateway.read({ namespace: "shop" }, HELLO), code("NOT_FOUND"));
  await rejects(() => gateway.unpin("shop", HELLO), code("NOT_FOUND"));
  t.engine.collect();
  equal(await gateway.read({ namespace: "cafe" }, HELLO), "hello");
  await gateway.unpin("cafe", HELLO);
  equal(t.engine.pins.size, 0);
  deepEqual(await t.pins(), []);
  deepEqual(await t.usage(), [{ namespace: "cafe", bytes: 0, objects: 0 }, {
    namespace: "shop",
    bytes: 0,
    objects: 0,
  }]);
});

Deno.test("what is not pinned is there until its time is over, and counts until then", async () => {
  await using t = await Storages.start("shop");
  const gateway = t.gateway();
  const { expiresAt } = await gateway.upload("shop", "hello", { pin: false });
  equal(expiresAt, t.clock.now() + DAY);
  equal((await gateway.service.status("shop", HELLO, CONTEXT)).pin.status, "unpinned");
  deepEqual(await Array.fromAsync(gateway.service.roots()), [HELLO]);
  t.clock.advance(DAY - 1);
  equal(await gateway.read({ namespace: "shop" }, HELLO), "hello");
  await gateway.service.reconcile();
  deepEqual(await t.usage(), [{ namespace: "shop", bytes: 5, objects: 1 }]);
  t.clock.advance(1);
  await rejects(() => gateway.read({ namespace: "shop" }, HELLO), code("NOT_FOUND"), "before anybody swept");
  equal((await gateway.service.list("shop", { limit: 10 }, CONTEXT)).total, 0);
  await gateway.service.reconcile();
  deepEqual(await t.objects(), []);
  deepEqual(await t.usage(), [{ namespace: "shop", bytes: 0, objects: 0 }]);
  deepEqual(t.engine.steps.filter((step) => /pin/.test(step)), []);
});

Deno.test("a sweep takes nothing that was pinned in the meantime", async () => {
  await using t = await Storages.start("shop");
  const gateway = t.gateway(), other = t.gateway();
  await gateway.upload("shop", "hello", { pin: false });
  t.clock.advance(2 * DAY);
  gateway.control.before = async (sql) => {
    if (!/^DELETE FROM storage_objects/im.test(sql)) return;
    gateway.control.before = () => {};
    await other.pin("shop", HELLO);
  };
  await gateway.service.reconcile();
  equal(await gateway.read({ namespace: "shop" }, HELLO), "hello");
  deepEqual(await t.usage(), [{ namespace: "shop", bytes: 5, objects: 1 }]);
  equal(t.engine.pins.size, 1);
});

Deno.test("who reads goes on while the last claim goes; the blocks stay until the end", async () => {
  await using t = await Storages.start("shop");
  const gateway = t.gateway();
  const text = "0123456789".repeat(500);
  const { cid } = await gateway.upload("shop", text);
  const content = await gateway.service.open({ namespace: "shop" }, cid, [], CONTEXT);
  const reading = content.read()[Symbol.asyncIterator]();
  let read = new TextDecoder().decode((await reading.next()).value);
  await gateway.unpin("shop", cid);
  t.clock.advance(HOUR);
  deepEqual(await Array.fromAsync(gateway.service.roots()), [cid], "it is not collected meanwhile");
  for (let next = await reading.next(); !next.done; next = await reading.next()) {
    read += new TextDecoder().decode(next.value);
  }
  equal(read, text);
  deepEqual(await Array.fromAsync(gateway.service.roots()), []);
});

Deno.test("a namespace that goes takes its claims and its usage with it, and nobody else's", async () => {
  await using t = await Storages.start("shop", "cafe");
  const gateway = t.gateway();
  for (let i = 0; i < 450; i++) await gateway.upload("shop", `content ${i}`);
  await gateway.upload("shop", "hello");
  await gateway.upload("cafe", "hello");
  const { db } = t.control;
  await t.control.run(db.updateTable("namespaces").set({ state: "deleting" }).where("name", "=", "shop"));
  await rejects(() => gateway.upload("shop", "late"), code("CONFLICT"));
  await rejects(() => gateway.read({ namespace: "shop" }, HELLO), code("NOT_FOUND"));
  await gateway.service.purge("shop", CONTEXT.signal);
  await gateway.service.purge("shop", CONTEXT.signal);
  await t.control.run(db.deleteFrom("namespaces").where("name", "=", "shop"));
  await t.reconcile(gateway);
  deepEqual([...t.engine.pins.keys()], [HELLO]);
  deepEqual(await t.objects(), [{ namespace: "cafe", cid: HELLO, available: 1, problem: null }]);
  deepEqual(await t.usage(), [{ namespace: "cafe", bytes: 5, objects: 1 }]);
  equal((await t.pins()).length, 1);
});

Deno.test("the deletion of a namespace waits for the storage, and goes on when that is back", async () => {
  await using t = await Storages.start("shop");
  const gateway = t.gateway();
  await gateway.upload("shop", "hello");
  const { db } = t.control;
  await t.control.run(db.updateTable("namespaces").set({ state: "deleting" }));
  let broken = true;
  const errors: unknown[] = [];
  const deletion = new NamespaceDeletion({
    control: t.control,
    audit: new ControlAuditLog(t.control, t.clock.now),
    now: t.clock.now,
    holder: "gateway",
    services: {
      storage: {
        // As a storage would be that forgets its claims: nobody may take them for gone.
        purge: (namespace, signal) => broken ? Promise.resolve() : gateway.service.purge(namespace, signal),
        usage: () => Promise.resolve({}),
      },
    },
    operatorNamespace: "_operator",
    onError: (_namespace, error) => errors.push(error),
  });
  deletion.wake();
  await until("the deletion is refused", () => errors.length > 0);
  equal((await t.objects()).length, 1);
  broken = false;
  deletion.wake();
  await until(
    "the namespace is gone",
    async () => (await db.selectFrom("namespaces").selectAll().execute()).length === 0,
  );
  await deletion.close();
  deepEqual([await t.objects(), await t.usage()], [[], []]);
  await t.reconcile(gateway);
  equal(t.engine.pins.size, 0);
});

Deno.test("an upload that ends after its namespace was made anew is not the new one's", async () => {
  await using t = await Storages.start("shop");
  const gateway = t.gateway();
  const { db } = t.control;
  t.engine.before = async (step) => {
    if (step !== "add") return;
    await t.control.run(db.deleteFrom("namespaces"));
    t.clock.advance(1);
    await t.namespace("shop");
  };
  await rejects(() => gateway.upload("shop", "hello"), code("CONFLICT"));
  deepEqual(await t.objects(), []);
});

Deno.test("a directory is one object, with its files below it", async () => {
  await using t = await Storages.start("shop");
  const gateway = t.gateway();
  const files = filesOf({ "index.html": "<p>", "img/a.png": "png", "img/deep/b.txt": "hello" });
  const { service } = gateway;
  const { object, files: added } = await service.uploadDirectory(principal(), files, { name: "site" }, CONTEXT);
  deepEqual([object.kind, object.size, object.name, object.type], ["directory", 11, "site", undefined]);
  deepEqual(added.map(({ path, name, size }) => [path, name, size]), [
    ["index.html", "index.html", 3],
    ["img/a.png", "a.png", 3],
    ["img/deep/b.txt", "b.txt", 5],
  ]);
  const page = await service.open({ namespace: "shop" }, object.cid, ["index.html"], CONTEXT);
  deepEqual([page.name, page.type, page.size, page.root], ["index.html", "text/html", 3, object.cid]);
  equal(await gateway.read({ namespace: "shop" }, object.cid, "img", "deep", "b.txt"), "hello");
  const root = await service.open({ namespace: "shop" }, object.cid, [], CONTEXT);
  deepEqual((await Array.fromAsync(root.entries())).map(({ name, kind }) => [name, kind]), [
    ["img", "directory"],
    ["index.html", "file"],
  ]);
  await rejects(() => gateway.read({ namespace: "shop" }, object.cid, "img", "c"), code("NOT_FOUND", /\/img\/c$/));
  await rejects(() => gateway.read({ namespace: "shop" }, HELLO), code("NOT_FOUND"), "a file below is no root");
  deepEqual(await t.usage(), [{ namespace: "shop", bytes: 11, objects: 1 }]);
});

Deno.test("paths that lead out of a directory, clash or are too many are refused, and nothing is stored", async () => {
  await using t = await Storages.start("shop");
  const gateway = t.gateway({ rules: { maxEntries: 3 } });
  const long = "x".repeat(256);
  for (
    const paths of [
      ["../a"],
      ["a/../b"],
      ["/a"],
      ["a//b"],
      ["a/"],
      ["."],
      [""],
      ["a\0b"],
      ["a\r\nb"],
      ["\ud800"],
      [long],
      ["a/".repeat(64) + "a"],
      ["a", "a"],
      ["a", "a/b"],
      ["a/b", "a"],
      ["1", "2", "3", "4"],
    ]
  ) {
    const files = async function* () {
      for (const path of paths) yield await Promise.resolve({ path, content: stream("x") });
    };
    const upload = gateway.service.uploadDirectory(principal(), files(), {}, CONTEXT);
    await rejects(upload, code("INVALID_REQUEST", /^file: /), JSON.stringify(paths));
  }
  await rejects(gateway.service.uploadDirectory(principal(), filesOf({}), {}, CONTEXT), code("INVALID_REQUEST"));
  deepEqual(await t.objects(), []);
});

Deno.test("names keep their last segment; what a header or a terminal could trip over is refused", async () => {
  await using t = await Storages.start("shop");
  const gateway = t.gateway();
  for (
    const [given, kept] of [
      ["../../etc/passwd", "passwd"],
      ["C:\\temp\\a b.txt", "a b.txt"],
      ['"quoted".txt', '"quoted".txt'],
      ["café.txt", "café.txt"],
      ["folder/", HELLO],
      ["", HELLO],
    ] as const
  ) {
    await gateway.unpin("shop", HELLO).catch(() => {});
    equal((await gateway.upload("shop", "hello", { name: given })).name, kept, given);
  }
  for (const name of ["a\nb", "a\0b", "a\rb", "\x7f", "..", "a/..", "\ud800", "é".repeat(128), "evil\x1b[2J"]) {
    await rejects(() => gateway.upload("shop", "hello", { name }), code("INVALID_REQUEST", /^name: /), name);
  }
  for (const type of ["text", "text/html\r\nx: y", "a/b;\u00e9", `a/${"b".repeat(300)}`, "/", "text/ html"]) {
    await rejects(() => gateway.upload("shop", "hello", { type }), code("INVALID_REQUEST", /^type: /), type);
  }
});

Deno.test("a media type is what is said, else what the name says, else how the content begins", async () => {
  await using t = await Storages.start("shop");
  const gateway = t.gateway();
  const typeOf = async (content: string | Uint8Array, options = {}) =>
    (await gateway.upload("shop", content, options)).type;
  equal(await typeOf("1", { name: "a.png", type: "text/x-mine; charset=utf-8" }), "text/x-mine; charset=utf-8");
  equal(await typeOf("2", { name: "a.png", type: "application/octet-stream" }), "image/png");
  equal(await typeOf(Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0)), "image/png");
  equal(await typeOf("%PDF-1.7 x", { name: "png" }), "application/pdf");
  equal(await typeOf("<script>alert(1)</script>"), "text/plain; charset=utf-8", "nothing active is guessed");
  equal(await typeOf("é".repeat(300)), "text/plain; charset=utf-8", "though a character is cut");
  equal(await typeOf(Uint8Array.of(1, 2, 3)), undefined);
  equal(await typeOf(""), undefined);
});

Deno.test("lists are in pages, newest first, with what fits counted", async () => {
  await using t = await Storages.start("shop", "cafe");
  const gateway = t.gateway();
  const { service } = gateway;
  for (let i = 0; i < 25; i++) {
    if (i % 3 === 0) t.clock.advance(1);
    const options = { name: `${i % 2 ? "Even" : "odd"}_${i}.txt`, visibility: i % 5 ? "private" : "public" } as const;
    await gateway.upload("shop", `content ${i}`, options);
  }
  await gateway.upload("cafe", "content 1", { name: "even" });
  const all: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await service.list("shop", { limit: 10, cursor }, CONTEXT);
    equal(page.total, 25);
    all.push(...page.objects.map(({ cid }) => cid));
    cursor = page.cursor;
  } while (cursor !== undefined);
  equal(new Set(all).size, 25);
  const total = async (query: object) => (await service.list("shop", { limit: 1, ...query }, CONTEXT)).total;
  equal(await total({ name: "eVEn_" }), 12);
  equal(await total({ name: "%" }), 0);
  equal(await total({ name: "_1" }), 11);
  equal(await total({ visibility: "public" }), 5);
  equal(await total({ pinned: false }), 0);
  equal(await total({ kind: "directory" }), 0);
  equal(await total({ cid: all[3] }), 1);
  equal(await total({ cid: "x" }), 0);
  for (const limit of [0, 1_001, 1.5, NaN]) await rejects(() => total({ limit }), code("INVALID_REQUEST", /^limit/));
  const made = ["[1]", '["1","b"]', '[1,"b OR 1"]', '[0.5,"bafy"]', '[1e400,"bafy"]'].map((key) =>
    btoa(key).replace(/=+$/, "")
  );
  for (const cursor of ["", "x", "\0", "YQ", "A".repeat(500), ...made]) {
    await rejects(() => total({ cursor }), code("INVALID_REQUEST", /^cursor/), cursor);
  }
});

Deno.test("what is public everybody reads; made private, nobody else does", async () => {
  await using t = await Storages.start("shop", "cafe");
  const gateway = t.gateway();
  const { service } = gateway;
  await gateway.upload("shop", "hello", { visibility: "public", name: "a.txt" });
  equal(await gateway.read({}, HELLO), "hello");
  equal(await gateway.read({ namespace: "cafe" }, HELLO), "hello");
  await rejects(() => service.object("cafe", HELLO, CONTEXT), code("NOT_FOUND"), "that makes it nobody's");
  equal((await service.change("shop", HELLO, { visibility: "private" }, CONTEXT)).visibility, "private");
  for (const reader of [{}, { namespace: "cafe" }]) {
    await rejects(() => gateway.read(reader, HELLO), code("NOT_FOUND"));
  }
});

Deno.test("what is public may be pinned, and is then one's own", async () => {
  await using t = await Storages.start("shop", "cafe");
  const gateway = t.gateway();
  await gateway.upload("shop", "hello", { visibility: "public", name: "a.txt", pin: false });
  const claimed = await gateway.pin("cafe", HELLO, { name: "b.md" });
  deepEqual([claimed.name, claimed.size, claimed.type, claimed.visibility], ["b.md", 5, "text/markdown", "private"]);
  deepEqual((await t.usage())[0], { namespace: "cafe", bytes: 5, objects: 1 });
  await gateway.unpin("shop", HELLO);
  equal(t.engine.pins.size, 1);
  equal(await gateway.read({ namespace: "cafe" }, HELLO), "hello");
  await rejects(() => gateway.read({}, HELLO), code("NOT_FOUND"));
});

Deno.test("what ceases to be public while it is pinned by another is not given", async () => {
  await using t = await Storages.start("shop", "cafe");
  const gateway = t.gateway(), owner = t.gateway();
  await owner.upload("shop", "hello", { visibility: "public" });
  gateway.control.before = async (sql) => {
    if (!/^INSERT INTO storage_objects/im.test(sql)) return;
    await owner.service.change("shop", HELLO, { visibility: "private" }, CONTEXT);
  };
  await rejects(() => gateway.pin("cafe", HELLO), code("NOT_FOUND"));
  deepEqual((await t.usage()).filter(({ namespace }) => namespace === "cafe"), []);
  equal((await t.objects()).length, 1);
});

Deno.test("a CID of version 0 is written as it was given, and is the same content", async () => {
  await using t = await Storages.start("shop");
  const gateway = t.gateway({ remotePins: true });
  const old = "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPBdG";
  const pinned = await gateway.pin("shop", old, { name: "readme" });
  equal(pinned.cid, old);
  const cid = "bafybeie5nqv6kd3qnfjupgvz34woh3oksc3iau6abmyajn7qvtf47mlsz4";
  equal((await t.objects())[0]?.cid, cid);
  equal((await gateway.service.object("shop", cid, CONTEXT)).cid, old);
  await t.told();
  ok(t.engine.pins.has(cid));
});

Deno.test("blocks and CARs come for who may read the root", async () => {
  await using t = await Storages.start("shop");
  const gateway = t.gateway();
  await gateway.upload("shop", "hello");
  const content = await gateway.service.open({ namespace: "shop" }, HELLO, [], CONTEXT);
  deepEqual(await content.block(), utf8("hello"));
  match(await textOf(content.car("all")), /^car of/);
});

Deno.test("a claim whose content is gone from the engine is 503, not as if there were none", async () => {
  await using t = await Storages.start("shop");
  const gateway = t.gateway();
  await gateway.upload("shop", "hello");
  t.engine.nodes.clear();
  await rejects(() => gateway.read({ namespace: "shop" }, HELLO), code("UNAVAILABLE"));
  await rejects(() => gateway.read({ namespace: "shop" }, HELLO, "a"), code("UNAVAILABLE"));
});
