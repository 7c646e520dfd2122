import { GatewayError, hasCode } from "../../../src/contracts/errors.ts";
import type { RequestContext } from "../../../src/contracts/request.ts";
import type { RqliteCluster } from "../../rqlite/client.ts";
import { saysFull } from "../../disk/space.ts";
import { DiskRoom, noRoom, type SpaceAt } from "../room.ts";
import type { FilesDriver } from "./driver.ts";

type Waiter = Pick<RequestContext, "signal">;

/** Bytes of a database that one entry of the cluster's log can carry in good order. */
const MAX_BYTES = 256 * 2 ** 20;

/** Whole databases out of and into RQLite clusters. */
export class RqliteFiles implements FilesDriver {
  /**
   * @param clusterOf the cluster of a namespace. @throws GatewayError when it has none
   * @param spaceAt default: as the system tells it
   */
  constructor(
    private readonly clusterOf: (namespace: string, waiter: Waiter) => Promise<RqliteCluster>,
    private readonly spaceAt?: SpaceAt,
  ) {}

  async save(namespace: string, path: string, waiter: Waiter): Promise<void> {
    const cluster = await this.#answering(namespace, waiter);
    const pieces = await cluster.backup(waiter);
    using file = await Deno.open(path, { createNew: true, write: true, mode: 0o600 });
    const room = new DiskRoom(path, this.spaceAt);
    try {
      for (let bytes; (bytes = await pieces.next()) !== undefined;) {
        await room.write(file, bytes);
      }
    } catch (cause) {
      if (hasCode(cause, "NO_CAPACITY")) throw cause;
      if (saysFull(cause)) throw noRoom(cause);
      throw new GatewayError("UNAVAILABLE", "the database did not give all of its copy", { cause });
    } finally {
      pieces.close();
    }
  }

  async replace(namespace: string, path: string, waiter: Waiter): Promise<void> {
    const { size } = await Deno.stat(path);
    if (size > MAX_BYTES) {
      throw new GatewayError(
        "BODY_TOO_LARGE",
        `a database of ${size} bytes cannot be put into a cluster as a whole, ${MAX_BYTES} can: restore its tables one by ` +
          "one by /v1/rqlite/bulk",
      );
    }
    const cluster = await this.#answering(namespace, waiter);
    await cluster.load(await Deno.readFile(path), waiter.signal);
  }

  /**
   * The cluster, once something trivial has come back through its log. One that hangs in a statement makes no copy, and of a
   * database that is to be loaded nobody would know whether it still will be; both may take so long where all is well that only
   * this tells in time.
   */
  async #answering(namespace: string, waiter: Waiter): Promise<RqliteCluster> {
    const cluster = await this.clusterOf(namespace, waiter);
    await cluster.query([{ sql: "SELECT 1", args: [] }], { level: "strong", waiter });
    return cluster;
  }
}
