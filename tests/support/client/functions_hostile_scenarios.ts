import { deepEqual, equal } from "node:assert/strict";
import { createClient, createFunctions, type Functions, OramaError } from "../../../src/client/index.ts";
import type { Target } from "./scenarios.ts";

/** Calls a server that behaves as the first part of the path says. Runs on Deno and on Node. */
const functionsAt = (url: string, behaviour: string, requestTimeout = 60_000): Functions =>
  createFunctions(
    createClient({ url: `${url}/${behaviour}`, apiKey: "ak_test:test", requestTimeout, retry: { firstPause: 1 } }),
  );

async function failure(work: Promise<unknown>): Promise<[code: string, status: number]> {
  try {
    await work;
  } catch (error) {
    if (error instanceof OramaError) return [error.code, error.status];
    throw error;
  }
  throw new Error("there was no error");
}

/** What calls of functions must stand. The server counts its requests. */
export const FUNCTIONS_HOSTILE_SCENARIOS: Readonly<Record<string, (target: Pick<Target, "url">) => Promise<void>>> = {
  async "a call that is cut, or is never answered, may have run, and is not made again"({ url }) {
    deepEqual(await failure(functionsAt(url, "cut-call").invoke("f", "x")), ["OUTCOME_UNKNOWN", 0]);
    deepEqual(await failure(functionsAt(url, "cut-answer").invoke("f", "x")), ["OUTCOME_UNKNOWN", 0]);
    deepEqual(await failure(functionsAt(url, "silent-call", 300).invoke("f", "x")), ["OUTCOME_UNKNOWN", 0]);
    deepEqual(await failure(functionsAt(url, "cut-deploy").deploy("f", new Uint8Array(9))), ["OUTCOME_UNKNOWN", 0]);
  },

  async "a gateway that is busy is asked again, and what is none is told"({ url }) {
    equal((await functionsAt(url, "busy-then-function").get("f"))?.version, 3);
    deepEqual(await failure(functionsAt(url, "html").get("f")), ["HTTP_404", 404]);
  },

  async "a log that is cut again and again goes on where it was"({ url }) {
    const heard: string[] = [];
    for await (const { id } of functionsAt(url, "cut-log").followLogs("f")) if (heard.push(id) === 3) break;
    deepEqual(heard, ["1", "2", "3"]);
  },
};
