import type { Storage } from "../../../src/contracts/storage.ts";
import { joined } from "../joined.ts";
import type { CallScope } from "../parts.ts";
import { invalid, MAX_BYTES, tooLarge } from "./arguments.ts";
import { contextOf, principalOf } from "./scope.ts";

const encoder = new TextEncoder();

/** The host calls `storage_…`. */
export class ContentCalls {
  readonly #storage: Storage;

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  /** Stores a file, private unless the namespace has it and made it public. @returns its CID */
  async put(name: string, data: Uint8Array, scope: CallScope): Promise<Uint8Array> {
    const options = { length: data.length, ...(name !== "" && { name }) };
    const { cid } = await this.#storage.upload(principalOf(scope), once(data), options, contextOf(scope));
    return encoder.encode(cid);
  }

  /** A file that the namespace itself has: what others made public it may claim, or fetch as everybody does. */
  async get(cid: string, scope: CallScope): Promise<Uint8Array> {
    const { namespace } = scope;
    const context = contextOf(scope);
    await this.#storage.object(namespace, cid, context);
    const content = await this.#storage.open({ namespace }, cid, [], context);
    if (content.kind === "directory") throw invalid("cid", "is of a directory; a file can be read");
    if (content.size > MAX_BYTES) throw tooLarge("the content");
    const pieces: Uint8Array[] = [];
    let length = 0;
    for await (const piece of content.read()) {
      length += piece.length;
      // What somebody else says of its size is not what it is.
      if (length > MAX_BYTES) throw tooLarge("the content");
      pieces.push(piece);
    }
    return joined(pieces);
  }
}

async function* once(data: Uint8Array): AsyncGenerator<Uint8Array> {
  yield data;
}
