import { sql } from "kysely";
import type { StorageFigures } from "../../src/contracts/storage.ts";
import type { ControlDatabase } from "../control_plane/control_database.ts";
import type { ContentDriver } from "./driver.ts";
import type { PinRows } from "./pin_rows.ts";

/** Counts what there is, for metrics. */
export class Figures {
  constructor(
    private readonly control: ControlDatabase,
    private readonly pins: PinRows,
    private readonly driver: Pick<ContentDriver, "held">,
  ) {}

  /** @throws GatewayError `UNAVAILABLE` */
  async measure(signal: AbortSignal): Promise<StorageFigures> {
    const { rows: [sums] } = await this.control.run<{ objects: number; bytes: number; awaited: number }>(
      sql`SELECT coalesce(sum(objects), 0) AS objects, coalesce(sum(bytes), 0) AS bytes,
        (SELECT count(*) FROM storage_objects WHERE available = 0) AS awaited FROM storage_usage`.compile(
        this.control.db,
      ),
      signal,
    );
    const [pinsWaiting, held] = await Promise.all([
      this.pins.waiting(signal),
      // An engine that nobody uses need not be loaded to be asked.
      sums!.objects > 0 ? this.driver.held({ signal }).catch(() => undefined) : undefined,
    ]);
    return { ...sums!, pinsWaiting, held };
  }
}
