import { deepEqual, equal, match, ok } from "node:assert/strict";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { until } from "../../engines/support/wait.ts";
import { awaitedLater } from "../../support/awaited_later.ts";
import { shelved } from "./support/shelf.ts";

const TYPE = { "content-type": "multipart/form-data; boundary=b" };
const PATH = "POST /v1/storage/upload";
const field = (name: string, value: string) =>
  `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
const file = (fileName: string, content: string, name = "file") =>
  `--b\r\nContent-Disposition: form-data; name="${name}"; filename="${fileName}"\r\nContent-Type: text/x\r\n\r\n${content}\r\n`;
const END = "--b--\r\n";

/** Gives nothing more, and says when it is let go. */
function silent(text: string) {
  const gone = Promise.withResolvers<void>();
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new TextEncoder().encode(text)),
    cancel: () => gone.resolve(),
  });
  return { body, gone: gone.promise };
}

Deno.test("a file comes with its name, its type, and fields before and behind it", async () => {
  const { call, shelf } = shelved();
  for (
    const [body, query, wanted] of [
      [file("a.txt", "x"), "", {}],
      [file("a.txt", "x") + field("pin", "true"), "", { pin: true }],
      [file("a.txt", "x") + field("pin", "false"), "", { pin: false }],
      [field("pin", "false") + file("a.txt", "x"), "", { pin: false }],
      [file("a.txt", "x") + field("pin", "no"), "", { pin: false }],
      [file("a.txt", "x") + field("pin", " TRUE "), "", { pin: true }],
      [file("a.txt", "x") + field("pin", ""), "", { pin: true }],
      [file("a.txt", "x"), "?pin=false", { pin: false }],
      [file("a.txt", "x") + field("pin", "true"), "?pin=false", { pin: true }],
      [file("a.txt", "x") + field("visibility", "public"), "", { visibility: "public" }],
      [field("encrypt", "true") + field("replication_min", "2") + file("a.txt", "x"), "?replication_max=3", {
        encrypt: true,
        replication: { min: 2, max: 3 },
      }],
      [file("a.txt", "x") + field("colour", "red"), "", {}],
    ] as const
  ) {
    const answer = await call(PATH + query, TYPE, body + END);
    equal(answer.status, 200, answer.text);
    deepEqual(Object.keys(answer.json()), ["cid", "name", "size"]);
    deepEqual([answer.json().name, answer.json().size], ["a.txt", 1]);
    const { late: _, ...stored } = shelf.stored.at(-1)!;
    deepEqual(stored, { name: "a.txt", type: "text/x", ...wanted }, body + query);
  }
  equal((await call(`${PATH}?name=b.txt`, TYPE, file("a.txt", "x") + END)).json().name, "b.txt");
});

Deno.test("a form that is not in order stores nothing, however late that is seen", async () => {
  const { call, shelf } = shelved();
  const good = file("a.txt", "x");
  for (
    const [body, sentence] of [
      ["", /failed to parse multipart form: its first boundary/],
      [END, /failed to get file: no part is named file/],
      [field("pin", "true") + END, /failed to get file: no part/],
      [field("file", "x") + END, /failed to get file: the part file has no filename/],
      [file("", "x") + END, /failed to get file: the part file has no filename/],
      [file("a.txt", "x", "upload") + END, /failed to get file: a file must be named file/],
      [good + file("b.txt", "y") + END, /failed to get file: several files need \?directory=true/],
      [good, /ended before|do not end/],
      [good + "--b-", /line break must follow/],
      [good + END + "z".repeat(20_000), /too much follows/],
      [good + field("pin", "x".repeat(5_000)) + END, /a field has more than 4096 bytes/],
      [good + field("pin", "true") + field("pin", "false") + END, /pin: is there twice/],
      [good + field("visibility", "secret") + END, /visibility: must be one of private, public/],
      [good + field("encrypt", "true") + END, /encrypt: must stand before the file/],
      [good + field("directory", "true") + END, /directory: must stand before the file/],
      [good + field("x", "").repeat(200) + END, /more than 100 fields/],
      [field("x", "").repeat(200) + good + END, /more than 100 fields/],
      [field("encrypt", "maybe") + good + END, /encrypt: must be one of true, false/],
      [field("replication_min", "many") + good + END, /replication_min: must be/],
      [good + "--b\r\nX-Long: " + "y".repeat(20_000) + END, /headers of a part do not end/],
    ] as const
  ) {
    const answer = await call(PATH, TYPE, body);
    equal(answer.status, 400, `${body.slice(0, 200)}: ${answer.text}`);
    equal(answer.json().code, "INVALID_REQUEST");
    match(answer.json().error, sentence);
    ok(answer.json().details[0].field.length > 0);
  }
  deepEqual(shelf.stored, []);
  ok(shelf.failed.length > 5, "most of them were seen while the file was read");
  for (
    const type of ["multipart/form-data", "multipart/form-data; boundary=", 'multipart/form-data; boundary="a\\"b"']
  ) {
    match((await call(PATH, { "content-type": type }, good + END)).json().error, /must name a boundary/);
  }
});

Deno.test("a directory is many files, each with its path", async () => {
  const { call, shelf } = shelved();
  const files = file("d/a.txt", "xy") + file("d/b/c.txt", "z") + file("é d.txt", "");
  for (
    const [query, before] of [["?directory=true&name=docs", ""], [
      "",
      field("directory", "true") + field("name", "docs"),
    ]]
  ) {
    const answer = await call(PATH + query, TYPE, before + files + END);
    equal(answer.status, 200, answer.text);
    deepEqual([answer.json().name, answer.json().size], ["docs", 3]);
    deepEqual(answer.json().files.map(({ path, size }: { path: string; size: number }) => [path, size]), [
      ["d/a.txt", 2],
      ["d/b/c.txt", 1],
      ["é d.txt", 0],
    ]);
  }
  const stored = shelf.stored.length;
  for (
    const [body, sentence] of [
      [files + field("pin", "false") + END, /pin: must stand before the first file/],
      [files + file("x", "y", "other") + END, /a file must be named file/],
      [files, /ended before|do not end/],
      [file("x", "").replace('filename="x"', 'filename=""') + END, /has no filename/],
      [END, /no part is named file/],
    ] as const
  ) {
    const answer = await call(`${PATH}?directory=true`, TYPE, body);
    equal(answer.status, 400, answer.text);
    match(answer.json().error, sentence);
  }
  equal(shelf.stored.length, stored);
});

Deno.test("JSON is taken under whatever other type, or none", async () => {
  const { call, shelf } = shelved();
  for (
    const type of [
      "application/json",
      "application/x-www-form-urlencoded",
      "text/plain",
      "multipart/mixed; boundary=b",
      "",
    ]
  ) {
    const answer = await call(PATH, { "content-type": type }, JSON.stringify({ name: "a", data: "aGVs\r\nbG8=" }));
    equal(answer.status, 200, answer.text);
    deepEqual([answer.json().name, answer.json().size], ["a", 5]);
  }
  const body = {
    data: "aGk=",
    pin: false,
    visibility: "public",
    encrypt: true,
    replication_min: 1,
    replication_max: 2,
  };
  await call(PATH, {}, JSON.stringify(body));
  deepEqual(shelf.stored.at(-1), {
    pin: false,
    visibility: "public",
    encrypt: true,
    replication: { min: 1, max: 2 },
    length: 2,
  });
});

Deno.test("JSON that is not in order is refused in the words that older clients know", async () => {
  const { call, shelf } = shelved();
  for (
    const [body, code, sentence] of [
      ["", "INVALID_JSON", /./],
      ["{", "INVALID_JSON", /./],
      ["null", "INVALID_REQUEST", /^data field required$/],
      ["{}", "INVALID_REQUEST", /^data field required$/],
      ['{"data":""}', "INVALID_REQUEST", /^data field required$/],
      ['{"data":7}', "INVALID_REQUEST", /^failed to decode request: data: must be a string$/],
      ['{"data":"aGk=","name":7}', "INVALID_REQUEST", /^failed to decode request: name: must be a string$/],
      ['{"data":"aGk="', "INVALID_JSON", /./],
      ...["aGk", "aG=k", "a", "====", "aGk=aGk=", "a-_=", "aG k=", "é"].map((data) =>
        [JSON.stringify({ data }), "INVALID_REQUEST", /^failed to decode base64 data: /] as const
      ),
    ] as const
  ) {
    const answer = await call(PATH, {}, body);
    deepEqual([answer.status, answer.json().code], [400, code], body);
    match(answer.json().error, sentence, body);
  }
  equal((await call(PATH, {}, JSON.stringify({ data: "A".repeat(2_000) }))).status, 413);
  deepEqual(shelf.stored, []);
});

Deno.test("an upload that stops is ended, and its body let go", async () => {
  const limits = { maxBytes: 1_000, stallTimeout: 50, timeout: 2_000, maxDepth: 8 };
  const { call, shelf } = shelved({ body: limits });
  for (const text of ["", "--b\r\n", file("a.txt", "x").slice(0, -2), file("a.txt", "x") + "--b\r\nX"]) {
    const { body, gone } = silent(text);
    const answer = await call(PATH, TYPE, body);
    deepEqual([answer.status, answer.json().code], [408, "REQUEST_TIMEOUT"], text);
    await gone;
  }
  deepEqual(shelf.stored, []);
});

Deno.test("a form that is refused is not read to its end", async () => {
  const { call } = shelved();
  const { body, gone } = silent(file("a.txt", "x", "other"));
  equal((await call(PATH, TYPE, body)).status, 400);
  await gone;
});

Deno.test("a body is let go when the engine fails in the middle of it", async () => {
  for (const query of ["", "?directory=true"]) {
    const { call, shelf } = shelved();
    const { body, gone } = silent(file("a.txt", "x"));
    const failure = new GatewayError("NO_CAPACITY", "the disk is full");
    const first = async (content: AsyncIterable<unknown>): Promise<never> => {
      for await (const _ of content) throw failure;
      throw new Error("there was nothing");
    };
    shelf.upload = (_, content) => first(content);
    shelf.uploadDirectory = (_, files) => first(files);
    const answer = await call(PATH + query, TYPE, body);
    deepEqual([answer.status, answer.json().code, answer.headers.get("connection")], [503, "NO_CAPACITY", "close"]);
    await gone;
  }
});

Deno.test("a body is let go when nothing of it is wanted", async () => {
  const { call, shelf } = shelved();
  const failure = new GatewayError("TOO_MANY_UPLOADS", "too many uploads are under way");
  const refuse = () => Promise.reject(failure);
  Object.assign(shelf, { upload: refuse, uploadDirectory: refuse, importCar: refuse });
  for (
    const [path, type] of [
      [PATH, TYPE],
      [`${PATH}?directory=true`, TYPE],
      ["POST /v1/storage/car", { "content-type": "application/vnd.ipld.car" }],
    ] as const
  ) {
    const { body, gone } = silent(file("a.txt", "x"));
    equal((await call(path, type, body)).status, 429, path);
    await gone;
  }
});

Deno.test("a right that is taken away while an upload comes stores nothing", async () => {
  const { fetch, shelf, forget } = shelved();
  let controller!: ReadableStreamDefaultController<Uint8Array>;
  const body = new ReadableStream<Uint8Array>({ start: (given) => void (controller = given) });
  const send = (text: string) => controller.enqueue(new TextEncoder().encode(text));
  send(file("a.txt", "x"));
  const headers = { "x-api-key": "key", ...TYPE };
  const answer = awaitedLater(Promise.resolve(
    fetch(new Request("http://gateway.example/v1/storage/upload", { method: "POST", headers, body })),
  ));
  const start = performance.now();
  // As long as the path of a request waits before it looks at a sender again.
  await until("it took long", () => performance.now() - start > 600);
  forget("key");
  send(END);
  controller.close();
  const { status } = await answer;
  equal(status, 401);
  deepEqual(shelf.stored, []);
});
