import { equal } from "node:assert/strict";
import { prefers } from "../../../src/http/accept.ts";

const LINES = "application/x-ndjson", JSON_TYPE = "application/json";

Deno.test("a form of an answer is given to those who name it and like it no less than the usual one", () => {
  for (
    const accept of [
      "application/x-ndjson",
      "Application/X-NDJSON",
      "application/x-ndjson, application/json",
      "application/json, application/x-ndjson",
      "application/x-ndjson;q=0.5",
      "application/x-ndjson;q=0.5, application/json;q=0.4",
      "application/x-ndjson ; q=1.000 , */*;q=0.1",
      "text/html, application/x-ndjson, */*;q=0.8",
      "application/json;q=0, application/x-ndjson;q=0.001",
    ]
  ) equal(prefers(accept, LINES, JSON_TYPE), true, accept);
});

Deno.test("everyone else gets the usual one", () => {
  for (
    const accept of [
      null,
      "",
      "*/*",
      "application/*",
      "application/json",
      "application/x-ndjson;q=0",
      "application/x-ndjson;q=0.0, */*",
      "application/x-ndjson;q=0.4, application/json;q=0.5",
      "application/x-ndjson;q=0.4, application/*",
      "application/x-ndjson;q=0.4, */*;q=0.9",
      "application/x-ndjson2",
      "application/x-ndjson;q=2",
      "application/x-ndjson;q=-1",
      "application/x-ndjson;q=a",
      "application/x-ndjson;q=0.1234",
    ]
  ) equal(prefers(accept, LINES, JSON_TYPE), false, String(accept));
});

Deno.test("a header of a megabyte is read in no time", () => {
  const start = performance.now();
  equal(prefers("application/x-ndjson;q=".repeat(50_000), LINES, JSON_TYPE), false);
  equal(performance.now() - start < 2_000, true);
});
