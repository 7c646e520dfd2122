import { deepEqual, equal, match, ok } from "node:assert/strict";
import { routes } from "../../../routes/index.ts";
import type { Services } from "../../../src/contracts/services.ts";
import { until } from "../../engines/support/wait.ts";
import { principal } from "../auth/support/node.ts";
import { appOf } from "../http/support.ts";
import { Bench, bytesOf } from "./support/resumable.ts";

const TUS = { "tus-resumable": "1.0.0" };
const BYTES = { "content-type": "application/offset+octet-stream" };
const PATH = "/v1/storage/uploads";
const b64 = (text: string) => bytesOf(text).toBase64();

/** The routes on a bench. The key `key` may write; `reader` may not. */
async function open() {
  const bench = await Bench.open();
  const app = appOf(routes);
  const services = {
    authenticator: app.authenticator,
    rateLimits: app.limits,
    resumableUploads: bench.uploads,
  } as unknown as Services;
  const { known } = app.authenticator;
  known.set("key", principal({}));
  known.set("reader", principal({ scopes: new Set(["storage:read"]) }));
  const served = appOf(routes, { services });
  const call = (line: string, headers?: Record<string, string>, body?: BodyInit) =>
    served.call(line, { headers: { "x-api-key": "key", ...TUS, ...headers }, ...(body !== undefined && { body }) });
  const begun = async (length = 11) =>
    (await call(`POST ${PATH}`, { "upload-length": `${length}` })).headers.get("location")!;
  return { bench, call, begun, known, [Symbol.asyncDispose]: () => bench[Symbol.asyncDispose]() };
}

Deno.test("an upload is begun, sent in parts, and told of by its headers", async () => {
  await using on = await open();
  const metadata = `filename ${b64("a b.txt")},filetype ${b64("text/plain")},pin ${b64("false")}, relativePath ,own ${
    b64("\0")
  }`;
  const begun = await on.call(`POST ${PATH}`, { "upload-length": "11", "upload-metadata": metadata });
  equal(begun.status, 201, begun.text);
  const location = begun.headers.get("location")!;
  match(location, /^\/v1\/storage\/uploads\/[0-9a-f]{32}$/);
  match(begun.headers.get("upload-expires")!, /^\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT$/);
  deepEqual([begun.headers.get("tus-resumable"), begun.json().offset, begun.json().length], ["1.0.0", 0, 11]);
  const part = await on.call(`PATCH ${location}`, { ...BYTES, "upload-offset": "0" }, "hello ");
  deepEqual([part.status, part.text, part.headers.get("upload-offset")], [204, "", "6"]);
  const head = await on.call(`HEAD ${location}`);
  equal(head.status, 200);
  const told = ["upload-offset", "upload-length", "upload-metadata", "cache-control", "upload-cid"].map((name) =>
    head.headers.get(name)
  );
  deepEqual(told, ["6", "11", metadata, "no-store", null]);
  const last = await on.call(`PATCH ${location}`, { ...BYTES, "upload-offset": "6" }, "world");
  equal(last.status, 204);
  const cid = last.headers.get("upload-cid");
  ok(cid);
  equal((await on.call(`HEAD ${location}`)).headers.get("upload-cid"), cid);
  const { id: _, expires_at: __, ...state } = (await on.call(`GET ${location}`)).json();
  deepEqual(state, { offset: 11, length: 11, cid, name: "a b.txt", size: 11 });
  const { salt: ___, ...options } = on.bench.depot.stored[0]!.options;
  deepEqual(options, {
    name: "a b.txt",
    type: "text/plain",
    pin: false,
    visibility: undefined,
    encrypt: false,
    length: 11,
  });
  equal((await on.call(`DELETE ${location}`)).status, 204);
  equal((await on.call(`HEAD ${location}`)).status, 404);
});

Deno.test("bytes may come with the beginning, and if they cannot be taken, nothing was begun", async () => {
  await using on = await open();
  const post = (headers: Record<string, string>, body?: BodyInit) =>
    on.call(`POST ${PATH}`, { "upload-length": "11", ...headers }, body);
  const whole = await post(BYTES, "hello world");
  deepEqual([whole.status, whole.headers.get("upload-offset"), whole.json().size], [201, "11", 11]);
  const part = await post({ ...BYTES, "upload-checksum": `sha1 ${"A".repeat(27)}=` }, "hello");
  equal(part.status, 460);
  equal((await post(BYTES, "hello world!")).status, 413);
  const empty = await post({ "upload-length": "0" });
  deepEqual([empty.status, empty.json().size], [201, 0]);
  equal((await post({ "content-type": "application/json" }, "")).status, 201, "clients have types of their own");
  equal((await on.bench.uploads.usage("shop"))["unfinished_uploads"], 1);
});

Deno.test("whoever speaks another protocol, or none, is told which one is spoken, and nothing is done", async () => {
  await using on = await open();
  const location = await on.begun();
  for (
    const line of [`POST ${PATH}`, `HEAD ${location}`, `PATCH ${location}`, `DELETE ${location}`, `POST ${location}`]
  ) {
    for (const version of ["0.2.2", "1.0.1", ""]) {
      const headers = { "tus-resumable": version, "upload-length": "1", "upload-offset": "0", ...BYTES };
      const answer = await on.call(line, headers);
      deepEqual([answer.status, answer.headers.get("tus-version")], [412, "1.0.0"], `${line} ${version}`);
      equal(answer.headers.get("tus-resumable"), "1.0.0");
    }
  }
  equal((await on.call(`GET ${location}`, { "tus-resumable": "" })).status, 200, "a person who looks");
});

Deno.test("every refusal says the version, whoever refuses", async () => {
  await using on = await open();
  for (
    const [line, headers, status] of [
      [`POST ${PATH}`, { "x-api-key": "wrong" }, 401],
      [`POST ${PATH}`, { "x-api-key": "reader" }, 403],
      [`HEAD ${PATH}/${"0".repeat(32)}`, {}, 404],
      [`PATCH ${PATH}/x`, { "content-type": "text/plain" }, 415],
      [`PATCH ${PATH}/x`, { "upload-offset": "0" }, 415],
    ] as const
  ) {
    const answer = await on.call(line, headers);
    deepEqual([answer.status, answer.headers.get("tus-resumable")], [status, "1.0.0"], line);
  }
});

Deno.test("OPTIONS tells what there is, on both paths and on no other", async () => {
  await using on = await open();
  for (const path of [PATH, `${PATH}/${"0".repeat(32)}`, `${PATH}?a=b`]) {
    const { status, headers } = await on.call(`OPTIONS ${path}`, { origin: "https://app.example" });
    equal(status, 204);
    deepEqual(
      ["tus-version", "tus-resumable", "tus-max-size", "tus-checksum-algorithm"].map((name) => headers.get(name)),
      [
        "1.0.0",
        "1.0.0",
        "10000000",
        "sha1,sha256,sha512",
      ],
    );
    const extensions = headers.get("tus-extension")!.split(",");
    deepEqual(extensions, [
      "creation",
      "creation-with-upload",
      "creation-defer-length",
      "expiration",
      "checksum",
      "termination",
    ]);
    match(headers.get("access-control-expose-headers")!, /Location.*Upload-Offset.*Upload-Expires, Upload-Cid/);
    match(headers.get("access-control-allow-headers")!, /Tus-Resumable, Upload-Length.*Upload-Checksum/);
  }
  for (const path of ["/v1/storage/upload", `${PATH}/a/b`, "/", "*"]) {
    equal(
      (await on.call(`OPTIONS ${path === "*" ? "http://gateway.example" : path}`)).headers.get("tus-version"),
      null,
      path,
    );
  }
});

Deno.test("headers that say nothing clear are refused by their names", async () => {
  await using on = await open();
  const location = await on.begun();
  const wrong: readonly (readonly [string, Record<string, string>, RegExp])[] = [
    ...["-1", "1.5", "1e3", "0x10", " ", "9".repeat(17), "9007199254740993", "11, 11"].map((length) =>
      [`POST ${PATH}`, { "upload-length": length }, /Upload-Length/] as const
    ),
    [`POST ${PATH}`, {}, /Upload-Length/],
    [`POST ${PATH}`, { "upload-defer-length": "0" }, /Upload-Defer-Length/],
    [`POST ${PATH}`, { "upload-defer-length": "1", "upload-length": "1" }, /Upload-Defer-Length|Upload-Length/],
    [`POST ${PATH}`, { "upload-length": "1", "upload-concat": "partial" }, /Upload-Concat/],
    [`PATCH ${location}`, BYTES, /Upload-Offset/],
    ...["-0", "x", "1 ", "0,0"].filter((offset) => offset.trim() === offset).map((offset) =>
      [`PATCH ${location}`, { ...BYTES, "upload-offset": offset }, /Upload-Offset/] as const
    ),
    ...[
      "md5 1B2M2Y8AsgTpgAmY7PhCfg==",
      "sha1",
      "sha1 ",
      "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0",
      "SHA1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=",
      "sha1  Kq5sNclPz7QV2+lfQIuc6R7oRu0=",
      "sha256 Kq5sNclPz7QV2+lfQIuc6R7oRu0=",
      "sha1 Kq5sNclPz7QV2-lfQIuc6R7oRu0=",
    ].map((checksum) =>
      [
        `PATCH ${location}`,
        { ...BYTES, "upload-offset": "0", "upload-checksum": checksum },
        /Upload-Checksum/,
      ] as const
    ),
  ];
  for (const [line, headers, sentence] of wrong) {
    const answer = await on.call(line, headers, line.startsWith("PATCH") ? "x" : undefined);
    equal(answer.status, 400, `${line} ${JSON.stringify(headers)} ${answer.text}`);
    match(answer.json().error, sentence);
    match(answer.json().details[0].field, sentence);
  }
  equal((await on.call(`HEAD ${location}`)).headers.get("upload-offset"), "0");
  equal((await on.bench.uploads.usage("shop"))["unfinished_uploads"], 1);
});

Deno.test("metadata is base64 and nothing else, and what it holds can do no harm in a header or a name", async () => {
  await using on = await open();
  const post = (metadata: string) => on.call(`POST ${PATH}`, { "upload-length": "1", "upload-metadata": metadata });
  for (
    const metadata of [
      "filename a_b-",
      "filename YQ",
      "filename YQ=",
      "filename YR==",
      "filename Y Q==",
      "filename YQ==,filename Yg==",
      ",",
      "filename YQ==,",
      "näme YQ==",
      `filename ${b64("a\r\nX-Evil: 1")}`,
      `filename ${b64("a\0.txt")}`,
      `filetype ${b64("text/html\nx")}`,
      `filetype ${b64("nothing")}`,
      `filename ${new Uint8Array([0xff, 0xfe]).toBase64()}`,
      `filename ${b64("..")}`,
      `pin ${b64("maybe")}`,
      `pin ${b64("toString")}`,
      `visibility ${b64("secret")}`,
      `filename ${b64("x".repeat(4_000))}`,
    ]
  ) equal((await post(metadata)).status, 400, metadata.slice(0, 80));
  equal((await on.bench.uploads.usage("shop"))["unfinished_uploads"], 0);
  const names = [["name", "../../etc/passwd", "passwd"], ["filename", "ünï.txt", "ünï.txt"]] as const;
  for (const [key, given] of names) {
    const metadata = `${key} ${b64(given)},type ${b64("image/png")},visibility ${b64("public")}`;
    const answer = await on.call(`POST ${PATH}`, { ...BYTES, "upload-length": "1", "upload-metadata": metadata }, "x");
    equal(answer.status, 201, answer.text);
    deepEqual([on.bench.depot.stored.at(-1)!.options.name, on.bench.depot.stored.at(-1)!.options.visibility], [
      given,
      "public",
    ]);
  }
});

Deno.test("a client that has no PATCH says it in a header, and cannot say more than two things", async () => {
  await using on = await open();
  const location = await on.begun();
  const post = (method: string, headers?: Record<string, string>, body?: string) =>
    on.call(`POST ${location}`, { "x-http-method-override": method, ...headers }, body);
  equal((await post("PATCH", { ...BYTES, "upload-offset": "0" }, "hello ")).headers.get("upload-offset"), "6");
  equal((await post("PATCH", { "content-type": "text/plain", "upload-offset": "6" }, "x")).status, 415);
  for (const method of ["GET", "PUT", "", "PATCH, DELETE"]) equal((await post(method)).status, 405, method);
  equal((await post("delete")).status, 204);
  equal((await on.call(`HEAD ${location}`)).status, 404);
});

Deno.test("a key that is revoked while bytes come sends no more of them, however many it had promised", async () => {
  await using on = await open();
  const location = await on.begun(1_000_000);
  let sent = 0, cancelled = false;
  const endless = new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (sent === 10) on.known.delete("key");
      sent++;
      controller.enqueue(new Uint8Array(10));
      await new Promise((resolve) => setTimeout(resolve, 10));
    },
    cancel: () => void (cancelled = true),
  });
  const answer = await on.call(`PATCH ${location}`, { ...BYTES, "upload-offset": "0" }, endless);
  equal(answer.status, 401, answer.text);
  await until("the sender is let go", () => cancelled);
  on.known.set("key", principal({}));
  const offset = Number((await on.call(`HEAD ${location}`)).headers.get("upload-offset"));
  ok(offset > 0 && offset < 1_000_000, String(offset));
  equal(on.bench.depot.stored.length, 0);
});

Deno.test("a body that drips or stops is ended by the bounds of bodies, and what came of it stays", async () => {
  await using on = await open();
  const location = await on.begun();
  const silent = new ReadableStream<Uint8Array>({ start: (controller) => controller.enqueue(bytesOf("hello ")) });
  const answer = await on.call(`PATCH ${location}`, { ...BYTES, "upload-offset": "0" }, silent);
  equal(answer.status, 408, answer.text);
  equal((await on.call(`HEAD ${location}`)).headers.get("upload-offset"), "6");
});
