import { deepEqual, equal, match } from "node:assert/strict";
import { FUNCTION_FAILURES } from "../../../src/contracts/function_invocations.ts";
import { ERROR_STATUS } from "../../../src/contracts/errors.ts";
import { as, result, workshop } from "./support/workshop.ts";

const invoke = (t: ReturnType<typeof workshop>, path: string, body?: BodyInit, headers: Record<string, string> = {}) =>
  t.call(`POST ${path}`, { ...(body !== undefined && { body }), headers });

Deno.test("an output that begins as JSON comes as it is, any other in an object", async () => {
  const t = workshop();
  for (const output of ['{"a": 1.00}', "[1,", "{not json"]) {
    t.answers(output);
    const answer = await invoke(t, "/v1/functions/resize/invoke", "hi", as("shops"));
    deepEqual([answer.status, answer.text, answer.headers.get("content-type")], [200, output, "application/json"]);
    equal(answer.headers.get("x-content-type-options"), "nosniff");
  }
  for (const output of ["Hello, E2E Tester!", "", " {}", "<script>"]) {
    t.answers(output);
    const answer = await invoke(t, "/v1/functions/resize/invoke", "hi", as("shops"));
    deepEqual(answer.json(), { request_id: "r-1", output, status: "success", duration_ms: 12 });
    deepEqual([answer.headers.get("x-request-id"), answer.headers.get("x-duration-ms")], ["r-1", "12"]);
  }
});

Deno.test("who asks for bytes by name gets them as they are", async () => {
  const t = workshop();
  t.answers("plain");
  const asBytes = await invoke(
    t,
    "/v1/functions/resize/invoke",
    "",
    as("shops", { accept: "application/octet-stream" }),
  );
  deepEqual([asBytes.text, asBytes.headers.get("content-type")], ["plain", "application/octet-stream"]);
  const any = await invoke(t, "/v1/functions/resize/invoke", "", as("shops", { accept: "*/*" }));
  equal(any.json().output, "plain");
});

Deno.test("a call has the caller, the name, what stands behind the @, and the body to its last byte", async () => {
  const t = workshop();
  const body = Uint8Array.from({ length: 256 }, (_, i) => i);
  await invoke(t, "/v1/functions/resize@prod/invoke", body, as("shops", { "x-wallet": "cafe" }));
  await invoke(t, "/v1/functions/resize%40prod/invoke?namespace=shop", body, as("shops"));
  await invoke(t, "/v1/invoke/shop/resize@3", body, as("cafes"));
  await invoke(t, "/v1/functions/resize@/invoke", "");
  deepEqual(
    t.called.map(({ namespace, name, reference, caller, trigger, depth }) => [
      namespace,
      name,
      reference,
      typeof caller === "object" ? caller.namespace : caller,
      trigger,
      depth,
    ]),
    [
      ["shop", "resize", "prod", "shop", "http", 0],
      ["shop", "resize", "prod", "shop", "http", 0],
      ["shop", "resize", "3", "cafe", "http", 0],
      ["default", "resize", undefined, undefined, "http", 0],
    ],
  );
  deepEqual(t.called[0]!.input, body);
});

Deno.test("whose function is meant: the credential's namespace, which the address may say but not change", async () => {
  const t = workshop();
  const refused = await invoke(t, "/v1/functions/resize/invoke?namespace=cafe", "", as("shops"));
  deepEqual([refused.status, refused.json().code], [403, "NAMESPACE_MISMATCH"]);
  equal(t.called.length, 0);
  await invoke(t, "/v1/functions/resize/invoke?namespace=cafe");
  await invoke(t, "/v1/functions/resize/invoke", "", { "x-namespace": "cafe" });
  await invoke(t, "/v1/functions/resize/invoke", "", as("shops", { "x-namespace": "cafe" }));
  deepEqual(t.called.map(({ namespace }) => namespace), ["cafe", "cafe", "shop"]);
  const long = { "x-namespace": "x".repeat(65) };
  const tooLong = await invoke(t, "/v1/functions/resize/invoke", "", long);
  deepEqual([tooLong.status, tooLong.json().code], [400, "INVALID_REQUEST"]);
  match(tooLong.json().error, /x-namespace/);
  equal((await invoke(t, "/v1/functions/resize/invoke", "", as("shops", long))).status, 200);
  equal(t.called.length, 4);
});

Deno.test("a body beyond the limit is refused and never cut", async () => {
  const t = workshop();
  const refused = await invoke(t, "/v1/functions/resize/invoke", "x".repeat(1_001), as("shops"));
  deepEqual([refused.status, refused.json().code, refused.json().status], [413, "BODY_TOO_LARGE", "error"]);
  const endless = new ReadableStream<Uint8Array<ArrayBuffer>>({ pull: (to) => to.enqueue(new Uint8Array(600)) });
  equal((await invoke(t, "/v1/invoke/shop/resize", endless, as("shops"))).status, 413);
  equal(t.called.length, 0);
});

Deno.test("a call that ran and failed is told with a code that no older client repeats", async () => {
  const t = workshop();
  for (const code of FUNCTION_FAILURES) {
    t.answers(() => result("", { failure: { code, message: "because" } }));
    const answer = await invoke(t, "/v1/functions/resize/invoke", "", as("shops"));
    const { request_id, status, error, duration_ms } = answer.json();
    equal(answer.status, ERROR_STATUS[code]);
    equal([408, 429].includes(answer.status) || answer.status >= 500, false);
    deepEqual([request_id, status, error, duration_ms, answer.json().code], [
      "r-1",
      code === "FUNCTION_TIMEOUT" ? "timeout" : "error",
      "because",
      12,
      code,
    ]);
    equal(answer.headers.get("x-duration-ms"), "12");
  }
  t.answers(() => result("", { failure: { code: "FUNCTION_FAILED", message: "exit code 3", exitCode: 3 } }));
  const exited = await invoke(
    t,
    "/v1/functions/resize/invoke",
    "",
    as("shops", { accept: "application/problem+json" }),
  );
  deepEqual([exited.json().status, exited.json().details], [422, { exit_code: 3 }]);
  equal(exited.headers.get("content-type"), "application/problem+json");
});

Deno.test("a call that was refused before it ran has the form of a call's answer", async () => {
  const t = workshop();
  t.refuses("TOO_MANY_INVOCATIONS", "no place", { retryAfter: 2 });
  const busy = await invoke(t, "/v1/functions/resize/invoke", "", as("shops"));
  deepEqual([busy.status, busy.json().status, busy.headers.get("retry-after")], [429, "error", "2"]);
  equal(typeof busy.json().duration_ms, "number");
  t.refuses("NOT_FOUND", "function not found");
  const missing = await invoke(t, "/v1/functions/resize/invoke", "", as("shops"));
  deepEqual([missing.status, missing.json().error], [404, "function not found"]);
  t.refuses("UNAUTHENTICATED", "unauthorized");
  const nobody = await invoke(t, "/v1/functions/resize/invoke");
  deepEqual([nobody.status, nobody.json().error], [401, "unauthorized"]);
  const revoked = await invoke(t, "/v1/functions/resize/invoke", "", as("nobodys"));
  deepEqual([revoked.status, revoked.json().code], [401, "INVALID_CREDENTIAL"]);
  match(revoked.headers.get("www-authenticate")!, /invalid_token/);
});

Deno.test("an address without a function's name is 400, and nothing else", async () => {
  const t = workshop();
  const nameless = await invoke(t, "/v1/invoke/shop/");
  deepEqual([nameless.status, nameless.json().error], [400, "Path must be /v1/invoke/{namespace}/{name}"]);
  equal((await invoke(t, "/v1/invoke/shop/@3")).status, 400);
  equal((await t.call("GET /v1/invoke/shop/resize")).status, 405);
  equal(t.called.length, 0);
});
