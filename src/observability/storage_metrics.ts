import type { Registry } from "prom-client";
import type { StagedFigures } from "../contracts/resumable_uploads.ts";
import type { StorageFigures, StorageStatistics } from "../contracts/storage.ts";
import { Scraped } from "./scraped.ts";

/** What the metrics are read from when they are scraped. */
export interface MeasuredStorage {
  statistics(): StorageStatistics;
  figures(signal: AbortSignal): Promise<StorageFigures>;
}

/** What those of uploads that can be gone on with are read from. */
export interface MeasuredUploads {
  figures(): Promise<StagedFigures>;
}

/** Milliseconds that counting may take, and for which what was counted is good for all gauges of a scrape. */
const PATIENCE = 3_000, LIFE = 1_000;

/** Makes the metrics of the storage. */
export function storageMetrics(registry: Registry, storage: MeasuredStorage, uploads: MeasuredUploads): void {
  const scraped = new Scraped(registry);
  const counter = (name: string, help: string, of: (statistics: StorageStatistics) => number) =>
    scraped.counter(name, help, () => of(storage.statistics()));
  const figures = once(() => storage.figures(AbortSignal.timeout(PATIENCE)));
  const gauge = (name: string, help: string, of: (figures: StorageFigures) => number | undefined) =>
    scraped.gauge(name, help, async () => {
      const measured = await figures();
      return measured && of(measured);
    });
  counter("storage_uploaded_bytes_total", "Bytes of content that clients sent.", ({ uploadedBytes }) => uploadedBytes);
  counter(
    "storage_downloaded_bytes_total",
    "Bytes of content that were read.",
    ({ downloadedBytes }) => downloadedBytes,
  );
  gauge("storage_objects", "Objects of all namespaces, on all gateways.", ({ objects }) => objects);
  gauge("storage_bytes", "Bytes that they count against the namespaces' limits.", ({ bytes }) => bytes);
  gauge(
    "storage_pins_waiting",
    "CIDs of which the engine was not told everything yet.",
    ({ pinsWaiting }) => pinsWaiting,
  );
  scraped.gauges(
    "storage_pins",
    "Pins by their status at the engine, when this gateway had looked at all of them last.",
    "status",
    () => storage.statistics().pins,
  );
  scraped.counters(
    "storage_pin_recoveries_total",
    "How often the engine was asked to try again to keep something, and how often it could not be asked.",
    "outcome",
    () => ({ ...storage.statistics().recoveries }),
  );
  gauge("storage_objects_awaited", "Objects that the engine looks for on its network.", ({ awaited }) => awaited);
  gauge("storage_engine_bytes", "Bytes that the engine takes, where it knows.", ({ held }) => held);
  const staged = once(() => uploads.figures());
  scraped.gauge(
    "storage_uploads_staged",
    "Uploads that can be gone on with and are not stored yet, on this gateway.",
    async () => (await staged())?.unfinished,
  );
  scraped.gauge(
    "storage_uploads_staged_bytes",
    "Bytes that they take on its disk.",
    async () => (await staged())?.bytes,
  );
  scraped.counter(
    "storage_uploads_expired_total",
    "Those whose time was over before they were stored.",
    async () => (await staged())?.expired,
  );
}

/** What is counted once for all that a scrape shows of it; `undefined` where that fails. */
function once<T>(count: () => Promise<T>): () => Promise<T | undefined> {
  let counted: { readonly at: number; readonly figures: Promise<T | undefined> } | undefined;
  return () => {
    if (counted === undefined || performance.now() > counted.at + LIFE) {
      counted = { at: performance.now(), figures: count().catch(() => undefined) };
    }
    return counted.figures;
  };
}
