import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import {
  createClient,
  createFunctions,
  type FunctionLogLine,
  type Functions,
  OramaError,
} from "../../../src/client/index.ts";
import { until } from "../../engines/support/wait.ts";
import type { Target } from "./scenarios.ts";

const functionsOf = (target: Target): Functions => createFunctions(createClient(target));
const withCode = (code: string) => (error: unknown) => error instanceof OramaError && error.code === code;

/** Modules in base64, because they are deployed from Node as well. */
export const MODULES = {
  /** `echo.wat`: gives back what it is given. */
  echo:
    "AGFzbQEAAAABDAJgBH9/f38Bf2AAAAJEAhZ3YXNpX3NuYXBzaG90X3ByZXZpZXcxB2ZkX3JlYWQAABZ3YXNpX3NuYXBzaG90X3ByZXZpZXcxCGZkX3dyaXRlAAADAgEBBQMBAAIHEwIGbWVtb3J5AgAGX3N0YXJ0AAIKaQFnAQF/A0BBAEGAgAQ2AgBBBEGAgAQ2AgBBAEEAQQFBCBAABEAAC0EIKAIAIgAEQANAQQQgADYCAEEBQQBBAUEIEAEEQAALQQBBACgCAEEIKAIAajYCACAAQQgoAgBrIgANAAsMAQsLCw==",
  /** `counter.wat`: gives 11. */
  counter:
    "AGFzbQEAAAABDAJgBH9/f38Bf2AAAAIjARZ3YXNpX3NuYXBzaG90X3ByZXZpZXcxCGZkX3dyaXRlAAADAgEBBQMBAAEGBgF/AUEwCwcTAgZtZW1vcnkCAAZfc3RhcnQAAQo3ATUAIwBBAWokAEEgQSAtAABBAWo6AABBECMAOgAAQRFBIC0AAEEwajoAAEEBQQBBAUEIEAAaCwsOAQBBAAsIEAAAAAIAAAA=",
  /** `trap_unreachable.wat`. */
  trap: "AGFzbQEAAAABBAFgAAADAgEABwoBBl9zdGFydAAACgUBAwAACw==",
  /** Logs what it is given: `logging` of the engines' tests. */
  log:
    "AGFzbQEAAAABEQNgBH9/f38Bf2ACf38AYAAAAjECFndhc2lfc25hcHNob3RfcHJldmlldzEHZmRfcmVhZAAAA2Vudghsb2dfaW5mbwABAwIBAgUDAQABBxMCBm1lbW9yeQIABl9zdGFydAACChgBFgBBAEEAQQFBCBAAGkEQQQgoAgAQAQsLDgEAQQALCBAAAABg6gAA",
} as const;

/** The bytes of one of them. */
export const moduleOf = (name: keyof typeof MODULES): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(atob(MODULES[name]), (character) => character.charCodeAt(0));

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

/** What an application does with its functions. Runs on Deno and on Node. */
export const FUNCTIONS_SCENARIOS: Readonly<Record<string, (target: Target) => Promise<void>>> = {
  async "a function is deployed with all that is said of it, and told of"(target) {
    const functions = functionsOf(target);
    const made = await functions.deploy("told", moduleOf("echo"), {
      memory: 32,
      timeout: "1500ms",
      isPublic: true,
      retries: 1,
      retryDelay: "2s",
      deadLetterTopic: "lost",
      concurrency: 2,
      env: { 'A "B"': "ä\r\n--orama" },
      entry: "_start",
    });
    const { id, namespace, wasmCid, createdAt, createdBy, ...rest } = made;
    deepEqual(rest, { name: "told", version: 1, isServing: true, memory: 32, timeout: 2, isPublic: true });
    match(id, /^[\da-f-]{36}$/);
    match(wasmCid, /^bafkrei/);
    ok(namespace !== "" && createdBy !== "" && Math.abs(createdAt.getTime() - Date.now()) < 600_000);
    deepEqual(await functions.get("told"), made);
    deepEqual(await functions.module("told"), moduleOf("echo"));
    const again = await functions.deploy("told", new Blob([moduleOf("echo")]));
    deepEqual([again.version, again.memory, again.timeout, again.isPublic, again.id], [2, 64, 30, false, id]);
    ok((await all(functions.list())).some(({ name, version }) => name === "told" && version === 2));
  },

  async "bytes, text and JSON go in and come out as they were"(target) {
    const functions = functionsOf(target);
    await functions.deploy("echo", moduleOf("echo"), { isPublic: true });
    const bytes = Uint8Array.from({ length: 100_000 }, (_, at) => at % 251);
    deepEqual((await functions.invoke("echo", bytes)).bytes, bytes);
    deepEqual((await functions.invoke("echo", bytes.subarray(7, 9))).bytes, bytes.slice(7, 9));
    equal((await functions.invoke("echo", "täxt", { type: "text/x-told" })).text(), "täxt");
    equal((await functions.invoke("echo")).bytes.length, 0);
    const json = { a: [1, null, "ä"], b: { c: 1.5 } };
    const answer = await functions.invoke("echo", json);
    deepEqual(answer.json(), json);
    ok(answer.requestId !== "" && answer.duration >= 0, JSON.stringify(answer));
    for (const value of [0, false, null, 2.5, []]) deepEqual((await functions.invoke("echo", value)).json(), value);
    equal((await functions.invoke("echo", "9007199254740993")).json(), 9007199254740993n);
    // What looks like the gateway's own answer is the function's all the same.
    const wrapped = '{"request_id":"x","output":"y","status":"success","duration_ms":0}';
    equal((await functions.invoke("echo", wrapped)).text(), wrapped);
    const { namespace } = (await functions.get("echo"))!;
    const { url } = target;
    equal((await createFunctions(createClient({ url })).invoke("echo", "hi", { namespace })).text(), "hi");
    const text = await functions.invoke("echo", "no JSON");
    let thrown: unknown;
    try {
      text.json();
    } catch (error) {
      thrown = error;
    }
    ok(withCode("INVALID_RESPONSE")(thrown), String(thrown));
  },

  async "versions stay, one lets another serve, and aliases name them"(target) {
    const functions = functionsOf(target);
    for (const module of ["echo", "counter", "echo"] as const) await functions.deploy("many", moduleOf(module));
    const call = async (reference?: string | number) => (await functions.invoke("many", "in", { reference })).text();
    deepEqual([await call(), await call(1), await call(2), await call("latest")], ["in", "in", "11", "in"]);
    const versions = await functions.versions("many");
    deepEqual(versions.map(({ version, isServing }) => [version, isServing]), [[3, true], [2, false], [1, false]]);
    equal((await functions.get("many", 2))?.isServing, false);
    deepEqual(await functions.module("many", 2), moduleOf("counter"));
    const back = await functions.rollBack("many");
    deepEqual([back.version, back.isServing, await call()], [2, true, "11"]);
    equal((await functions.rollBack("many", 1)).version, 1);
    equal((await functions.rollBack("many", 1)).version, 1, "as good twice as once");
    await rejects(functions.rollBack("many"), withCode("NOT_FOUND"));

    const prod = await functions.setAlias("many", "prod", 2);
    deepEqual([prod.name, prod.targets, prod.updatedAt instanceof Date], ["prod", [{ version: 2, weight: 100 }], true]);
    equal(await call("prod"), "11");
    const split = [{ version: 1, weight: 50 }, { version: 2, weight: 50 }];
    deepEqual((await functions.setAlias("many", "prod", split)).targets, split);
    const seen = new Set<string>();
    await until("both were called", async () => seen.add(await call("prod")).size === 2);
    deepEqual((await functions.aliases("many")).map(({ name }) => name), ["prod"]);
    await rejects(functions.setAlias("many", "prod", 9), withCode("NOT_FOUND"));
    await rejects(functions.setAlias("many", "latest", 1), withCode("INVALID_REQUEST"));
    await rejects(functions.delete("many", 2), withCode("CONFLICT"));
    deepEqual([await functions.deleteAlias("many", "prod"), await functions.deleteAlias("many", "prod")], [
      true,
      false,
    ]);
    await rejects(call("prod"), withCode("NOT_FOUND"));
    deepEqual([await functions.delete("many", 2), await functions.delete("many", 2)], [true, false]);
    deepEqual([await functions.delete("many"), await functions.delete("many")], [true, false]);
    equal(await functions.get("many"), null);
  },

  async "lines are read by what they are, and followed as they come"(target) {
    const functions = functionsOf(target);
    await functions.deploy("talks", moduleOf("log"));
    const leaving = new AbortController();
    const heard: FunctionLogLine[] = [];
    let listens = false;
    const following = (async () => {
      const options = { signal: leaving.signal, onReady: () => void (listens = true) };
      for await (const line of functions.followLogs("talks", options)) heard.push(line);
    })();
    following.catch(() => {});
    await until("it is listened", () => listens);
    const { requestId } = await functions.invoke("talks", "first");
    await functions.invoke("talks", "second");
    await until("both are heard", () => heard.length === 2);
    await until("both are written", async () => (await functions.logs("talks")).length === 2);
    const lines = await functions.logs("talks");
    deepEqual(lines, heard.toReversed());
    const [second, first] = lines;
    deepEqual([first!.message, first!.level, first!.requestId, first!.version], ["first", "info", requestId, 1]);
    ok(first!.at instanceof Date && second!.id > first!.id);
    deepEqual(await functions.logs("talks", { limit: 1 }), [second]);
    deepEqual(await functions.logs("talks", { before: second!.id }), [first]);
    deepEqual(await functions.logs("talks", { requestId, level: "info" }), [first]);
    deepEqual(await functions.logs("talks", { level: "error" }), []);
    const reason = new Error("left");
    leaving.abort(reason);
    await rejects(following, reason);
    for await (const line of functions.followLogs("talks", { since: first!.id })) {
      deepEqual(line, second);
      break;
    }
    const lost = all(functions.followLogs("talks", { onReady: () => void functions.delete("talks").catch(() => {}) }));
    await rejects(lost, withCode("NOT_FOUND"));
  },

  async "secrets are set, listed without their values, and gone"(target) {
    const { secrets } = functionsOf(target);
    const made = await secrets.set("CLIENT_TOKEN", "the value of it");
    deepEqual([made.name, made.createdAt instanceof Date], ["CLIENT_TOKEN", true]);
    const again = await secrets.set("CLIENT_TOKEN", "another value");
    deepEqual([again.createdAt, again.updatedAt >= made.updatedAt], [made.createdAt, true]);
    const listed = await secrets.list();
    deepEqual(listed.map(({ name }) => name), ["CLIENT_TOKEN"]);
    equal(JSON.stringify(listed).includes("value"), false);
    deepEqual([await secrets.delete("CLIENT_TOKEN"), await secrets.delete("CLIENT_TOKEN")], [true, false]);
    await rejects(secrets.set("no name", "x"), withCode("INVALID_REQUEST"));
  },

  async "what goes wrong is told by its code, and what is not there by null or false"(target) {
    const functions = functionsOf(target);
    await functions.deploy("traps", moduleOf("trap"));
    const trapped = await functions.invoke("traps").catch((error) => error);
    ok(trapped instanceof OramaError);
    deepEqual([trapped.code, trapped.status], ["FUNCTION_TRAPPED", 422]);
    ok(trapped.requestId, "to be looked up in the log");
    const wrong = functions.deploy("wrong", new TextEncoder().encode("no module"));
    await rejects(wrong, withCode("MODULE_INVALID"));
    await rejects(functions.deploy("wrong", moduleOf("echo"), { memory: 100_000 }), withCode("INVALID_REQUEST"));
    const long = await functions.deploy("wrong", moduleOf("echo"), { timeout: "2h" }).catch((error) => error);
    match(String(long.details[0].field), /^timeout_seconds$/, "as the form calls it");
    equal(await functions.get("wrong"), null);
    deepEqual([await functions.get("nobody"), await functions.get("traps", 9)], [null, null]);
    equal(await functions.delete("nobody"), false);
    equal(await functions.deleteAlias("traps", "none"), false);
    await rejects(functions.invoke("nobody"), withCode("NOT_FOUND"));
    deepEqual(await functions.versions("nobody"), []);
    await rejects(functions.logs("nobody"), withCode("NOT_FOUND"));
    await rejects(all(functions.followLogs("nobody")), withCode("NOT_FOUND"));
    for (const name of ["", ".", "..", "a@1"]) await rejects(functions.invoke(name), TypeError);
    for (const timeout of ["soon", -1]) await rejects(functions.deploy("x", moduleOf("echo"), { timeout }), /timeout/);
  },
};
