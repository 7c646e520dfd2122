import type { SqlArgument } from "../../../src/contracts/database.ts";
import { tag } from "../../../src/hosts/tagging.ts";

const encoder = new TextEncoder();
/** Rows of one line, which are in memory at once where the file is read. */
const ROWS = 1_000;

/** Rows in a file of its own, a line of JSON for some of them, with the tags of `src/hosts/tagging.ts`. */
export class BulkSpool implements AsyncDisposable {
  #rows: (readonly SqlArgument[])[] = [];

  private constructor(readonly path: string, private readonly file: Deno.FsFile) {}

  /** @param folder made when it is missing */
  static async create(folder: string): Promise<BulkSpool> {
    await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
    const path = await Deno.makeTempFile({ dir: folder, prefix: "rows-" });
    return new BulkSpool(path, await Deno.open(path, { write: true }));
  }

  /** Writes rows behind those before. */
  async add(rows: readonly (readonly SqlArgument[])[]): Promise<void> {
    for (const row of rows) this.#rows.push(row);
    if (this.#rows.length >= ROWS) await this.#flush();
  }

  /** Everything is in the file then. */
  async finish(): Promise<void> {
    await this.#flush();
  }

  /** Closes and removes the file. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.file.close();
    await Deno.remove(this.path).catch(() => {});
  }

  async #flush(): Promise<void> {
    for (let at = 0; at < this.#rows.length; at += ROWS) {
      const bytes = encoder.encode(`${JSON.stringify(tag(this.#rows.slice(at, at + ROWS)).value)}\n`);
      for (let written = 0; written < bytes.length;) written += await this.file.write(bytes.subarray(written));
    }
    this.#rows = [];
  }
}
