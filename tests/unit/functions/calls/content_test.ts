import { deepEqual, equal } from "node:assert/strict";
import { principal } from "../../auth/support/node.ts";
import { noise } from "../../../support/storage.ts";
import { filesOf, stream } from "../../storage/support/storage.ts";
import { Calls, refused, textOf, utf8, valueOf } from "./support/calls.ts";

const MIB = 2 ** 20;
const context = { requestId: "test", clientAddress: "", signal: new AbortController().signal };

Deno.test("a file that is put is private, of the function, and comes back", async () => {
  await using calls = await Calls.start();
  const content = noise(600_000);
  const cid = textOf(await calls.perform("storage_put", "a/b/report.bin", content));
  const object = await calls.storage.object("shop", cid, context);
  deepEqual(
    [object.name, object.size, object.visibility, object.createdBy, object.pinned],
    ["report.bin", 600_000, "private", "function:greet", true],
  );
  deepEqual(valueOf(await calls.perform("storage_get", cid)), content);
  deepEqual(
    valueOf(await calls.perform("storage_get", textOf(await calls.perform("storage_put", "", utf8(""))))),
    utf8(""),
  );
});

Deno.test("what the namespace made public stays so when a function puts it again", async () => {
  await using calls = await Calls.start();
  const options = { visibility: "public" } as const;
  const { cid } = await calls.storage.upload(principal({ namespace: "shop" }), stream("hello"), options, context);
  equal(textOf(await calls.perform("storage_put", "again.txt", utf8("hello"))), cid);
  equal((await calls.storage.object("shop", cid, context)).visibility, "public");
});

Deno.test("only what the namespace has is read: nothing of others, not even what is public", async () => {
  await using calls = await Calls.start();
  const hidden = textOf(await calls.performIn("shop-2", "storage_put", "x", utf8("theirs")));
  const others = principal({ namespace: "shop-2" });
  const { cid } = await calls.storage.upload(others, stream("for all"), { visibility: "public" }, context);
  const link = await calls.storage.link(others, hidden, 60_000, context);
  const token = `${hidden}?token=${link.token}`;
  for (const spelling of [hidden, cid, hidden.toUpperCase(), token, `/ipfs/${hidden}`, `shop-2/${hidden}`, "", "x"]) {
    refused(await calls.perform("storage_get", spelling), "NOT_FOUND");
  }
  equal(textOf(await calls.performIn("shop-2", "storage_get", hidden)), "theirs");
});

Deno.test("content that is larger than a host call gives is an error, and so is a directory", async () => {
  await using calls = await Calls.start();
  const own = principal({ namespace: "shop" });
  const { cid } = await calls.storage.upload(own, stream(noise(16 * MIB + 1)), {}, context);
  refused(await calls.perform("storage_get", cid), "RESULT_TOO_LARGE");
  const whole = await calls.storage.upload(own, stream(noise(16 * MIB)), {}, context);
  const value = valueOf(await calls.perform("storage_get", whole.cid));
  equal(value instanceof Uint8Array && value.length, 16 * MIB);
  const { object } = await calls.storage.uploadDirectory(own, filesOf({ "a.txt": "a" }), {}, context);
  refused(await calls.perform("storage_get", object.cid), "INVALID_REQUEST", "directory");
});

Deno.test("reading stops at the bound, whatever was said of the size", async () => {
  await using calls = await Calls.start();
  let pieces = 0, ended = false;
  const endless = async function* () {
    try {
      for (;;) {
        pieces++;
        yield await Promise.resolve(new Uint8Array(MIB));
      }
    } finally {
      ended = true;
    }
  };
  const open = () => Promise.resolve({ kind: "file", size: 10, read: endless });
  const storage = Object.assign(Object.create(calls.storage), { object: () => Promise.resolve({}), open });
  const { signal } = new AbortController();
  const scope = { namespace: "shop", functionName: "f", requestId: "r", traceparent: undefined, depth: 0, signal };
  refused(await calls.performer({ storage }).perform(["storage_get", "cid"], scope), "RESULT_TOO_LARGE");
  deepEqual([pieces, ended], [17, true]);
});

Deno.test("names and content that cannot be are refused", async () => {
  await using calls = await Calls.start();
  refused(await calls.perform("storage_put", "a\0b", utf8("x")), "INVALID_REQUEST", "name");
  refused(await calls.perform("storage_put", "a\nb", utf8("x")), "INVALID_REQUEST", "name");
  refused(await calls.perform("storage_put", "n".repeat(2_000), utf8("x")), "INVALID_REQUEST", "name");
  refused(await calls.perform("storage_put", "a", noise(16 * MIB + 1)), "INVALID_REQUEST", "data: must have at most");
  refused(await calls.perform("storage_put", "a", "text"), "INVALID_REQUEST", "data: must be bytes");
});
