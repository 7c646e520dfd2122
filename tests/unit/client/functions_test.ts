import { deepEqual, equal, match, rejects, throws } from "node:assert/strict";
import {
  createClient,
  createFunctions,
  type FunctionLogLine,
  type Functions,
  type FunctionWriteOptions,
  type InvokeOptions,
  OramaError,
} from "../../../src/client/index.ts";
import { oramaError } from "./support/databases.ts";
import { answer, failure, type Script, ScriptedServer } from "./support/scripted_server.ts";
import { type FetchedRequest, json, type Network, networkOptions, refusal, untilAborted } from "./support/storages.ts";

const MOMENT = "2026-01-18T10:00:00Z";
const FUNCTION = {
  id: "0c0f3d5e-7b3a-4c55-9d2b-111111111111",
  name: "f",
  namespace: "ns",
  version: 3,
  wasm_cid: "bafkrei",
  size: 8,
  memory_limit_mb: 64,
  timeout_seconds: 1.5,
  is_public: false,
  serving: true,
  created_at: MOMENT,
  created_by: "0xabc",
};
const LINE = { id: "1", level: "info", message: "m", timestamp: MOMENT, request_id: "r", version: 1 };
const HEAD = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream; charset=utf-8\r\n\r\n";
const lineEvent = (id: string, message = `line ${id}`) =>
  `event: line\nid: ${id}\ndata: ${JSON.stringify({ ...LINE, id, message })}\n\n`;

const functionsAt = (network: Network, seen?: FetchedRequest[]): Functions =>
  createFunctions(createClient(networkOptions(network, seen)));
const bytes = (...of: number[]) => Uint8Array.of(...of);
const textOf = (body: FetchedRequest["body"]) => new Response(body).text();

/** The one request of a call. */
async function sent(answer: unknown, work: (functions: Functions) => Promise<unknown>): Promise<FetchedRequest> {
  const seen: FetchedRequest[] = [];
  await work(functionsAt(() => json(200, answer), seen));
  equal(seen.length, 1);
  return seen[0]!;
}

/** As much as there is, or so many. */
async function take<T>(items: AsyncIterable<T>, count = Infinity): Promise<T[]> {
  const all: T[] = [];
  for await (const one of items) if (all.push(one) === count) break;
  return all;
}

Deno.test("a deploy is a form of what was said and the module, byte for byte, whose type a blob can have", async () => {
  const module = bytes(0, 0x61, 0x73, 0x6d, 13, 10, 0x2d, 0x2d, 255);
  const options = { timeout: "1m", retryDelay: 1_200, env: { A: 'ä "--' }, isPublic: false } as const;
  const { method, path, body, headers } = await sent(
    { function: FUNCTION },
    (functions) => functions.deploy("f", module, options),
  );
  equal(`${method} ${path}`, "POST /v1/functions");
  equal(headers.get("content-type"), (body as Blob).type);
  match((body as Blob).type, /^multipart\/form-data; boundary=orama-[\da-f-]{36}$/);
  const form = await new Response(body).formData();
  deepEqual([...form.keys()], ["metadata", "wasm"]);
  deepEqual(JSON.parse(String(form.get("metadata"))), {
    name: "f",
    timeout_seconds: 60,
    is_public: false,
    retry_delay_seconds: 2,
    env_vars: { A: 'ä "--' },
  });
  const file = form.get("wasm") as File;
  deepEqual([file.name, file.type, await file.bytes()], ["module.wasm", "application/wasm", module]);
  const part = await sent({ function: FUNCTION }, (functions) => functions.deploy("f", module.subarray(1, 4)));
  deepEqual(await ((await new Response(part.body).formData()).get("wasm") as File).bytes(), module.slice(1, 4));
});

Deno.test("a call sends its input as it is, of the type that it has, to where it was said", async () => {
  const invoked = async (input?: Parameters<Functions["invoke"]>[1], options?: InvokeOptions) => {
    const { method, path, headers, body } = await sent({}, (functions) => functions.invoke("a b", input, options));
    equal(headers.get("accept"), "application/octet-stream");
    return [`${method} ${path}`, headers.get("content-type"), await textOf(body)];
  };
  const own = "POST /v1/functions/a%20b/invoke";
  deepEqual(await invoked(), [own, "application/octet-stream", ""]);
  deepEqual(await invoked("täxt"), [own, "text/plain", "täxt"]);
  deepEqual(await invoked(bytes(65, 66, 67).subarray(1)), [own, "application/octet-stream", "BC"]);
  deepEqual(await invoked({ a: [1] }), [own, "application/json", '{"a":[1]}']);
  deepEqual(await invoked(null), [own, "application/json", "null"]);
  deepEqual(await invoked("x", { type: "text/csv", reference: 3 }), [
    "POST /v1/functions/a%20b@3/invoke",
    "text/csv",
    "x",
  ]);
  deepEqual((await invoked("x", { namespace: "n/s", reference: "a/b" }))[0], "POST /v1/invoke/n%2Fs/a%20b@a%2Fb");
});

Deno.test("an answer is the bytes of the function, whatever they look like, with what the gateway says of the call", async () => {
  const headers = { "x-request-id": "r-7", "x-duration-ms": "12" };
  const content = bytes(0, 255, 10);
  const found = await functionsAt(() => new Response(content, { headers })).invoke("f");
  deepEqual([found.requestId, found.duration, found.bytes], ["r-7", 12, content]);
  equal(found.text(), "\0\ufffd\n");
  throws(() => found.json(), (error) => error instanceof OramaError && error.code === "INVALID_RESPONSE");
  const large = await functionsAt(() => new Response("[9007199254740993]")).invoke("f");
  deepEqual([large.json(), large.requestId, large.duration], [[9007199254740993n], "", 0]);
});

Deno.test("what an address would leave away is refused before anything is sent: it would be all of something else", async () => {
  const seen: FetchedRequest[] = [];
  const functions = functionsAt(() => json(200, {}), seen);
  for (const bad of ["", ".", ".."]) {
    for (
      const work of [
        () => functions.invoke(bad),
        () => functions.invoke("f", "", { namespace: bad }),
        () => functions.get(bad),
        () => functions.get("f", bad),
        () => functions.delete(bad),
        () => functions.deleteAlias("f", bad),
        () => functions.setAlias("f", bad, 1),
        () => functions.secrets.set(bad, "x"),
        () => functions.secrets.delete(bad),
        () => functions.logs(bad),
        () => take(functions.followLogs(bad)),
      ]
    ) await rejects(work, TypeError, `${work} of ${JSON.stringify(bad)}`);
  }
  await rejects(functions.delete("f@1"), TypeError);
  equal(seen.length, 0);
});

Deno.test("calls and deploys are sent once; of one without an answer nobody knows", async () => {
  const once: Readonly<Record<string, (functions: Functions) => Promise<unknown>>> = {
    invoke: (functions) => functions.invoke("f"),
    deploy: (functions) => functions.deploy("f", bytes(0)),
    "roll back to the one before": (functions) => functions.rollBack("f"),
  };
  for (const [name, work] of Object.entries(once)) {
    const cut: FetchedRequest[] = [], busy: FetchedRequest[] = [];
    const lost = functionsAt(() => Promise.reject(new TypeError("connection closed")), cut);
    equal((await oramaError(work(lost))).code, "OUTCOME_UNKNOWN", name);
    const refused = await oramaError(
      work(functionsAt(() => refusal(429, "TOO_MANY_INVOCATIONS", { "retry-after": "3" }), busy)),
    );
    deepEqual([refused.code, refused.retryAfter, cut.length, busy.length], ["TOO_MANY_INVOCATIONS", 3, 1, 1], name);
  }
});

Deno.test("changes are sent once, and again where that was said to be harmless; what reads is repeated anyway", async () => {
  const alias = { name: "a", targets: [], updated_at: MOMENT };
  const secret = { name: "S", created_at: MOMENT, updated_at: MOMENT };
  type Change = (functions: Functions, options?: FunctionWriteOptions) => Promise<unknown>;
  const changes: Readonly<Record<string, readonly [answer: unknown, work: Change]>> = {
    "roll back to a version": [FUNCTION, (functions, options) => functions.rollBack("f", 3, options)],
    alias: [alias, (functions, options) => functions.setAlias("f", "a", 1, options)],
    secret: [secret, (functions, options) => functions.secrets.set("S", "v", options)],
    "delete a secret": [{}, (functions, options) => functions.secrets.delete("S", options)],
    "delete an alias": [{}, (functions, options) => functions.deleteAlias("f", "a", options)],
    "delete a version": [{}, (functions, options) => functions.delete("f", 1, options)],
  };
  const cutOnce = (answer: unknown, seen: FetchedRequest[]) =>
    functionsAt((_, count) => count === 1 ? Promise.reject(new TypeError("cut")) : json(200, answer), seen);
  for (const [name, [answer, work]] of Object.entries(changes)) {
    const once: FetchedRequest[] = [], again: FetchedRequest[] = [];
    equal((await oramaError(work(cutOnce(answer, once)))).code, "OUTCOME_UNKNOWN", name);
    await work(cutOnce(answer, again), { repeat: true });
    deepEqual([once.length, again.length], [1, 2], name);
  }
  const before: FetchedRequest[] = [];
  const back = cutOnce(FUNCTION, before).rollBack("f", undefined, { repeat: true });
  equal((await oramaError(back)).code, "OUTCOME_UNKNOWN");
  equal(before.length, 1, "the one before would be one further back");
  const read: FetchedRequest[] = [];
  await cutOnce(FUNCTION, read).get("f");
  equal(read.length, 2);
});

Deno.test("only a gateway's own word makes nothing of an error: an address without one answers 404 too", async () => {
  const missing = (error: string) => functionsAt(() => json(404, { error, code: "NOT_FOUND" }));
  for (
    const sentence of [
      "function not found",
      "function version not found",
      "function alias not found",
      "secret not found",
    ]
  ) {
    const functions = missing(sentence);
    deepEqual([await functions.get("f"), await functions.delete("f"), await functions.secrets.delete("S")], [
      null,
      false,
      false,
    ]);
  }
  for (const sentence of ["not found", "no such path", "the page was not found"]) {
    equal((await oramaError(missing(sentence).get("f"))).code, "NOT_FOUND", sentence);
    equal((await oramaError(missing(sentence).delete("f"))).code, "NOT_FOUND", sentence);
  }
  const page = functionsAt(() => new Response("<html></html>", { status: 404 }));
  equal((await oramaError(page.get("f"))).code, "HTTP_404");
});

Deno.test("lists come whole, over as many pages as there are, and what is no such thing is refused", async () => {
  const seen: FetchedRequest[] = [];
  const paged = functionsAt(
    (_, count) =>
      json(200, { functions: [{ ...FUNCTION, version: count }], next_cursor: count < 3 ? `c&${count}` : undefined }),
    seen,
  );
  deepEqual((await take(paged.list())).map(({ version }) => version), [1, 2, 3]);
  deepEqual(seen.map(({ path }) => path), [
    "/v1/functions",
    "/v1/functions?cursor=c%261",
    "/v1/functions?cursor=c%262",
  ]);
  deepEqual(await functionsAt(() => json(200, FUNCTION)).get("f"), {
    id: FUNCTION.id,
    name: "f",
    namespace: "ns",
    version: 3,
    wasmCid: "bafkrei",
    isServing: true,
    memory: 64,
    timeout: 1.5,
    isPublic: false,
    createdAt: new Date(MOMENT),
    createdBy: "0xabc",
  });
  for (const wrong of [null, [], "x", {}, { ...FUNCTION, id: 1 }, { ...FUNCTION, created_at: "soon" }]) {
    const functions = functionsAt(() => json(200, wrong));
    // Of a write that was answered by who knows whom nobody knows.
    for (const work of [() => functions.deploy("f", bytes(0)), () => functions.secrets.set("S", "v")]) {
      equal((await oramaError(work())).code, "OUTCOME_UNKNOWN", `${work} of ${JSON.stringify(wrong)}`);
    }
    for (
      const work of [
        () => functions.get("f"),
        () => functions.versions("f"),
        () => functions.aliases("f"),
        () => functions.logs("f"),
        () => functions.secrets.list(),
        () => take(functions.list()),
      ]
    ) equal((await oramaError(work())).code, "INVALID_RESPONSE", `${work} of ${JSON.stringify(wrong)}`);
  }
});

Deno.test("what is asked of a log stands in the address", async () => {
  const query = { limit: 5, before: "a&b", level: "warn", requestId: "r/1" } as const;
  const { path } = await sent({ logs: [LINE] }, (functions) => functions.logs("f", query));
  equal(path, "/v1/functions/f/logs?limit=5&before=a%26b&level=warn&request_id=r%2F1");
  const [line] = await functionsAt(() => json(200, { logs: [LINE] })).logs("f");
  deepEqual(line, { id: "1", at: new Date(MOMENT), level: "info", message: "m", requestId: "r", version: 1 });
});

Deno.test("a log that is lost is followed again behind its last line, and no line is told twice", async () => {
  await using server = new ScriptedServer((_request, _connection, count) => {
    if (count === 1) return `${HEAD}${lineEvent("05")}${lineEvent("03")}${lineEvent("07").slice(0, -20)}`;
    return `${HEAD}${lineEvent("05")}${lineEvent("07")}${lineEvent("08")}`;
  });
  let ready = 0;
  const lines = createFunctions(createClient({ url: server.url })).followLogs("f", { onReady: () => void ready++ });
  deepEqual((await take(lines, 4)).map(({ id }) => id), ["05", "03", "07", "08"]);
  equal(ready, 2);
  const positions = server.requests.map(({ headers }) => headers.get("last-event-id"));
  deepEqual(positions, [undefined, "03"]);
  deepEqual(server.requests.map(({ path, headers }) => [path, headers.get("accept")])[0], [
    "/v1/functions/f/logs/stream",
    "text/event-stream",
  ]);
});

Deno.test("a gateway that is busy is waited for, and one that refuses for good is not", async () => {
  const failed = (code: string) => `${HEAD}event: failure\ndata: ${JSON.stringify({ code, error: "why" })}\n\n`;
  await using busy = new ScriptedServer((_request, _connection, count) =>
    count === 1 ? failed("UNAVAILABLE") : `${HEAD}${lineEvent("1")}`
  );
  const again = createFunctions(createClient({ url: busy.url })).followLogs("f", { since: "0" });
  deepEqual((await take(again, 1)).map(({ id }) => id), ["1"]);
  deepEqual(busy.requests.map(({ headers }) => headers.get("last-event-id")), ["0", "0"]);
  for (
    const script of [() => failed("INVALID_CREDENTIAL"), () => failure(401, "INVALID_CREDENTIAL")] satisfies Script[]
  ) {
    await using refusing = new ScriptedServer(script);
    const error = await oramaError(take(createFunctions(createClient({ url: refusing.url })).followLogs("f")));
    deepEqual([error.code, refusing.requests.length], ["INVALID_CREDENTIAL", 1]);
  }
  for (const data of ["no JSON", "{}", "[]"]) {
    await using odd = new ScriptedServer(() => `${HEAD}event: line\nid: 1\ndata: ${data}\n\n`);
    const error = await oramaError(take(createFunctions(createClient({ url: odd.url })).followLogs("f")));
    equal(error.code, "INVALID_RESPONSE", data);
  }
  await using other = new ScriptedServer(() => answer(200, {}));
  const error = await oramaError(take(createFunctions(createClient({ url: other.url })).followLogs("f")));
  equal(error.code, "INVALID_RESPONSE");
});

Deno.test("a signal ends whatever is under way, and of a call that was sent nobody knows", async () => {
  const reason = new Error("left");
  const ends = async (work: (functions: Functions, signal: AbortSignal) => Promise<unknown>) => {
    const controller = new AbortController();
    const functions = functionsAt(({ signal }) => {
      controller.abort(reason);
      return untilAborted(signal);
    });
    return await work(functions, controller.signal).then(() => "no error", (error) => error);
  };
  equal(await ends((functions, signal) => functions.get("f", undefined, { signal })), reason);
  equal(await ends((functions, signal) => take(functions.followLogs("f", { signal }))), reason);
  const called = await ends((functions, signal) => functions.invoke("f", "", { signal }));
  deepEqual([called.code, called.cause], ["OUTCOME_UNKNOWN", reason]);

  await using server = new ScriptedServer(async (_request, connection) => {
    await connection.write(new TextEncoder().encode(HEAD + lineEvent("1")));
    return await new Promise<string>((resolve) => left.addEventListener("abort", () => resolve("")));
  });
  const leaving = new AbortController(), left = leaving.signal;
  const heard: FunctionLogLine[] = [];
  const following = (async () => {
    for await (const line of createFunctions(createClient({ url: server.url })).followLogs("f", { signal: left })) {
      heard.push(line);
      leaving.abort(reason);
    }
  })();
  await rejects(following, reason);
  equal(heard.length, 1);
});
