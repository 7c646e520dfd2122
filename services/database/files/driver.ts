import type { RequestContext } from "../../../src/contracts/request.ts";

/** What copies of whole databases ask of a driver. */
export interface FilesDriver {
  /**
   * Writes the database as it is at one moment to a new file, which may be marked as being in WAL mode but is whole by itself.
   * @throws GatewayError `UNAVAILABLE`, `NO_CAPACITY` when the disk has no room for it
   */
  save(namespace: string, path: string, context: Pick<RequestContext, "signal">): Promise<void>;
  /**
   * Puts a file that was checked in the place of the database; statements before see the old one, those after it the new one.
   * @param path a file that is not in WAL mode; may be gone afterwards
   * @throws GatewayError `UNAVAILABLE` (the old one is untouched), `OUTCOME_UNKNOWN`
   */
  replace(namespace: string, path: string, context: Pick<RequestContext, "signal">): Promise<void>;
}

/** The same driver; somebody hears of it when a database is no longer what it was, or may not be. */
export const announcing = (driver: FilesDriver, changed: (namespace: string) => void): FilesDriver => ({
  save: (namespace, path, context) => driver.save(namespace, path, context),
  replace: (namespace, path, context) => driver.replace(namespace, path, context).finally(() => changed(namespace)),
});
