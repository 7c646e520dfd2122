import type { SqlArgument } from "../../../src/contracts/database.ts";
import { tag } from "../../../src/hosts/tagging.ts";
import { diskFailure, DiskRoom, type SpaceAt } from "../room.ts";

const encoder = new TextEncoder();
/** Rows of one line, and bytes of one, roughly: they are in memory at once where it is written and where it is read. */
const ROWS = 1_000, BYTES = 2 ** 20;

/** Rows in a file of its own, a line of JSON for some of them, with the tags of `src/hosts/tagging.ts`. */
export class BulkSpool implements AsyncDisposable {
  #rows: (readonly SqlArgument[])[] = [];
  #bytes = 0;
  readonly #room: DiskRoom;

  private constructor(readonly path: string, private readonly file: Deno.FsFile, spaceAt: SpaceAt | undefined) {
    this.#room = new DiskRoom(path, spaceAt);
  }

  /**
   * @param folder made when it is missing
   * @param spaceAt default: as the system tells it
   * @throws GatewayError `NO_CAPACITY` when the disk is full, `UNAVAILABLE` when it fails
   */
  static async create(folder: string, spaceAt?: SpaceAt): Promise<BulkSpool> {
    try {
      await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
      // The rights of a process are for the folder itself, not for a name of it.
      const path = await Deno.makeTempFile({ dir: await Deno.realPath(folder), prefix: "rows-" });
      return new BulkSpool(path, await Deno.open(path, { write: true }), spaceAt);
    } catch (error) {
      throw diskFailure(error);
    }
  }

  /**
   * Takes a row, which goes behind those before.
   * @param bytes of its values, roughly as JSON
   * @returns whether there is enough for {@link flush}
   */
  add(row: readonly SqlArgument[], bytes: number): boolean {
    this.#rows.push(row);
    this.#bytes += bytes;
    return this.#rows.length >= ROWS || this.#bytes >= BYTES;
  }

  /**
   * Everything that was taken is in the file then.
   * @throws GatewayError `NO_CAPACITY` when the disk has no room for it, `UNAVAILABLE` when it fails
   */
  async flush(): Promise<void> {
    if (this.#rows.length === 0) return;
    const bytes = encoder.encode(`${JSON.stringify(tag(this.#rows).value)}\n`);
    this.#rows = [];
    this.#bytes = 0;
    try {
      await this.#room.write(this.file, bytes);
    } catch (error) {
      throw diskFailure(error);
    }
  }

  /** Closes and removes the file. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.file.close();
    await Deno.remove(this.path).catch(() => {});
  }
}
