import type { Disk } from "./disk.ts";

/** What is kept: an empty file for each, named by its CID of version 1. */
export class Pins {
  /** @param folder holds folders of pins by the last two letters of their CIDs */
  constructor(private readonly disk: Disk, private readonly folder: string) {}

  async has(cid: string): Promise<boolean> {
    return await this.disk.facts(this.#path(cid)) !== undefined;
  }

  /** When it comes back, the disk holds it. */
  async add(cid: string): Promise<void> {
    const shard = this.#shard(cid);
    if (await this.disk.makeFolder(shard)) await this.disk.syncFolder(this.folder);
    await (await this.disk.write(this.#path(cid), new Uint8Array(0), Date.now())).sync();
    await this.disk.syncFolder(shard);
  }

  /** When it comes back, the disk holds it no more. */
  async remove(cid: string): Promise<void> {
    if (await this.disk.remove(this.#path(cid))) await this.disk.syncFolder(this.#shard(cid));
  }

  /** Each that is kept all the while comes; those that come or go meanwhile may. */
  async *all(): AsyncGenerator<string> {
    for await (const shard of this.disk.names(this.folder)) {
      if (shard.length === 2) yield* this.disk.names(`${this.folder}/${shard}`);
    }
  }

  #shard(cid: string): string {
    return `${this.folder}/${cid.slice(-2)}`;
  }

  #path(cid: string): string {
    return `${this.#shard(cid)}/${cid}`;
  }
}
