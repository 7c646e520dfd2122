import { equal, match } from "node:assert/strict";
import { Registry } from "prom-client";
import {
  type MeasuredStorage,
  type MeasuredUploads,
  storageMetrics,
} from "../../../src/observability/storage_metrics.ts";

const STATISTICS = {
  uploadedBytes: 7,
  downloadedBytes: 8,
  recoveries: { asked: 9, failed: 10 },
  pins: { pinned: 11, error: 12 },
};

const textOf = (
  figures: MeasuredStorage["figures"],
  staged: MeasuredUploads["figures"] = () => Promise.reject(new Error("the folder is another gateway's")),
) => {
  const registry = new Registry();
  storageMetrics(registry, { statistics: () => STATISTICS, figures }, { figures: staged });
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
      'storage_pins\\{status="pinned"\\} 11',
      'storage_pins\\{status="error"\\} 12',
      'storage_pin_recoveries_total\\{outcome="asked"\\} 9',
      'storage_pin_recoveries_total\\{outcome="failed"\\} 10',
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

Deno.test("staged uploads are counted once for a scrape, and left out where they cannot be counted", async () => {
  let asked = 0;
  const nothing = () => Promise.reject(new Error("the control plane is down"));
  const text = await textOf(nothing, () => {
    asked++;
    return Promise.resolve({ unfinished: 5, bytes: 6, expired: 7 });
  });
  match(text, /^storage_uploads_staged 5$/m);
  match(text, /^storage_uploads_staged_bytes 6$/m);
  match(text, /^storage_uploads_expired_total 7$/m);
  equal(asked, 1);
  equal(/^storage_uploads_/m.test(await textOf(nothing)), false);
});
