import { hasCode } from "../../src/contracts/errors.ts";
import type { ByteRange, DirectoryEntry, OpenContent, Reader, Visibility } from "../../src/contracts/storage.ts";
import type { ControlDatabase } from "../control_plane/control_database.ts";
import { type ReadableObject, readableObject } from "./access.ts";
import { readCid } from "./cids.ts";
import type { ContentDriver, ContentInfo, Waiter } from "./driver.ts";
import { type DecryptedFile, openEncrypted } from "./encryption/decrypt.ts";
import { plainSize } from "./encryption/format.ts";
import { namespaceKey } from "./encryption/keys.ts";
import { notFound, unreachable } from "./failures.ts";
import type { Links } from "./links.ts";
import { typeByName } from "./media_types.ts";
import type { Readers } from "./readers.ts";

/** What reading needs. */
export interface ReadingParts {
  readonly control: ControlDatabase;
  readonly driver: ContentDriver;
  readonly links: Links;
  readonly readers: Readers;
  readonly now: () => number;
  /** 32 bytes from which the keys of namespaces are derived. */
  readonly key: Uint8Array;
}

/** What a reader named, and what is there. */
interface Found {
  readonly object: ReadableObject;
  readonly info: ContentInfo;
}

/** Content for those who may read it. */
export class Reading {
  constructor(private readonly parts: ReadingParts) {}

  /** @throws GatewayError `NOT_FOUND`, `UNAVAILABLE` */
  async open(reader: Reader, cid: string, path: readonly string[], waiter: Waiter): Promise<OpenContent> {
    const { object, info } = await this.#find(reader, cid, path, waiter);
    const { driver, readers } = this.parts;
    const encrypted = object.encrypted === 1;
    const decrypted = encrypted && info.kind === "file" ? await this.#decrypted(object, info, waiter) : undefined;
    const name = path.at(-1) ?? object.name;
    const read = (range?: ByteRange, lent?: boolean) =>
      decrypted?.read(range) ?? driver.read(info.cid, range, waiter, lent);
    return {
      root: object.written,
      cid: path.length === 0 ? object.written : info.cid,
      kind: info.kind,
      size: decrypted?.size ?? info.size,
      name,
      type: await typeOf(object, info, path, name),
      visibility: object.visibility as Visibility,
      encrypted,
      read: (range, lent) => readers.read(object.cid, read(range, lent)),
      entries: () => entriesOf(driver.entries(info.cid, waiter), encrypted),
      block: () => driver.block(info.cid, waiter),
      car: (scope) => readers.read(object.cid, driver.car(object.cid, path, scope, waiter)),
    };
  }

  async #find(reader: Reader, written: string, path: readonly string[], waiter: Waiter): Promise<Found> {
    const cid = readCid(written)?.canonical;
    const object = cid && await readableObject(this.parts, reader, cid, waiter.signal);
    if (!object) throw notFound(written);
    const { driver, readers } = this.parts;
    readers.opened(object.cid);
    try {
      return { object, info: await driver.look(object.cid, path, "local", waiter) };
    } catch (error) {
      if (!hasCode(error, "NOT_FOUND")) throw error;
      if (path.length > 0 && await this.#isThere(object.cid, waiter)) {
        throw notFound([written, ...path].join("/"), error);
      }
      throw unreachable(error);
    }
  }

  async #isThere(cid: string, waiter: Waiter): Promise<boolean> {
    try {
      await this.parts.driver.look(cid, [], "local", waiter);
      return true;
    } catch (error) {
      if (hasCode(error, "NOT_FOUND")) return false;
      throw error;
    }
  }

  #decrypted(object: ReadableObject, { cid, size }: ContentInfo, waiter: Waiter): Promise<DecryptedFile> {
    const key = namespaceKey(this.parts.key, object.namespace, object.namespace_created_at);
    return openEncrypted(key, size, (range, lent) => this.parts.driver.read(cid, range, waiter, lent));
  }
}

/** Of a file within a directory nobody said a type. */
async function typeOf(
  { type }: ReadableObject,
  { kind }: ContentInfo,
  path: readonly string[],
  name: string,
): Promise<string | undefined> {
  if (kind === "directory") return undefined;
  return path.length === 0 ? type ?? undefined : await typeByName(name);
}

async function* entriesOf(
  entries: AsyncIterable<DirectoryEntry>,
  encrypted: boolean,
): AsyncGenerator<DirectoryEntry> {
  for await (const entry of entries) {
    yield encrypted && entry.kind === "file" ? { ...entry, size: plainSizeOf(entry.size) } : entry;
  }
}

function plainSizeOf(size: number | undefined): number | undefined {
  try {
    return size === undefined ? undefined : plainSize(size);
  } catch {
    return undefined;
  }
}
