import { Counter, Gauge, type Registry } from "prom-client";
import type { StorageStatistics } from "../contracts/storage.ts";

/** What there is in the storage, as somebody counts it; what cannot be told is left out. */
export interface StorageFigures {
  readonly objects: number;
  readonly bytes: number;
  readonly pinsWaiting: number;
  readonly awaited: number;
  readonly held: number | undefined;
}

/** What the metrics are read from when they are scraped. */
export interface MeasuredStorage {
  statistics(): StorageStatistics;
  figures(signal: AbortSignal): Promise<StorageFigures>;
}

/** Milliseconds that counting may take, and for which what was counted is good for all gauges of a scrape. */
const PATIENCE = 3_000, LIFE = 1_000;

/** Makes the metrics of the storage. */
export function storageMetrics(registry: Registry, storage: MeasuredStorage): void {
  const registers = [registry];
  const counter = (name: string, help: string, of: (statistics: StorageStatistics) => number) =>
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(of(storage.statistics()));
      },
    });
  let counted: { readonly at: number; readonly figures: Promise<StorageFigures | undefined> } | undefined;
  const figures = () => {
    if (counted === undefined || performance.now() > counted.at + LIFE) {
      const figures = storage.figures(AbortSignal.timeout(PATIENCE)).catch(() => undefined);
      counted = { at: performance.now(), figures };
    }
    return counted.figures;
  };
  const gauge = (name: string, help: string, of: (figures: StorageFigures) => number | undefined) =>
    new Gauge({
      name,
      help,
      registers,
      async collect() {
        const measured = await figures();
        const value = measured && of(measured);
        if (value === undefined) this.remove();
        else this.set(value);
      },
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
  gauge("storage_objects_awaited", "Objects that the engine looks for on its network.", ({ awaited }) => awaited);
  gauge("storage_engine_bytes", "Bytes that the engine takes, where it knows.", ({ held }) => held);
}
