import { equal, match } from "node:assert/strict";
import { Registry } from "prom-client";
import { type MeasuredStorage, storageMetrics } from "../../../src/observability/storage_metrics.ts";

const textOf = (figures: MeasuredStorage["figures"]) => {
  const registry = new Registry();
  storageMetrics(registry, { statistics: () => ({ uploadedBytes: 7, downloadedBytes: 8 }), figures });
  return registry.metrics();
};

Deno.test("the storage is counted once for all that a scrape shows of it", async () => {
  let asked = 0;
  const text = await textOf(() => {
    asked++;
    return Promise.resolve({ objects: 1, bytes: 2, pinsWaiting: 3, awaited: 4, held: undefined });
  });
  for (
    const line of [
      "storage_uploaded_bytes_total 7",
      "storage_downloaded_bytes_total 8",
      "storage_objects 1",
      "storage_bytes 2",
      "storage_pins_waiting 3",
      "storage_objects_awaited 4",
    ]
  ) match(text, new RegExp(`^${line}$`, "m"));
  equal(/^storage_engine_bytes /m.test(text), false, "what the engine does not tell is left out");
  equal(asked, 1);
});

Deno.test("what cannot be counted now is left out of a scrape, and the rest is there", async () => {
  const text = await textOf(() => Promise.reject(new Error("the control plane is down")));
  equal(/^storage_(objects|bytes|pins_waiting) /m.test(text), false);
  match(text, /^storage_uploaded_bytes_total 7$/m);
});
