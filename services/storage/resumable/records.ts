import type { UploadOptions } from "../../../src/contracts/storage.ts";
import { diskFailure, DRAFT, type StagingDisk } from "./staging_files.ts";

/** What is known of an upload beside its bytes. */
export interface UploadRecord {
  readonly id: string;
  readonly namespace: string;
  readonly length: number | undefined;
  readonly metadata: string;
  readonly options: Pick<UploadOptions, "name" | "type" | "pin" | "visibility" | "encrypt">;
  /** Of the staged bytes, in hexadecimal. */
  readonly key: string;
  /** What encryption in the storage begins with, in hexadecimal: the same each time the upload is stored. */
  readonly salt: string;
  /** Unix milliseconds. */
  readonly expiresAt: number;
  readonly object: { readonly cid: string; readonly name: string; readonly size: number } | undefined;
}

/** Encrypts texts for storage. @param context where it stands; it opens there only */
export interface Sealing {
  seal(text: string, context: string): string;
  /** @throws Error when it cannot be opened */
  open(sealed: string, context: string): string;
}

/** What records are kept with. */
export interface RecordsParts {
  readonly folder: string;
  readonly disk: StagingDisk;
  readonly sealing: Sealing;
}

const RECORD = ".upload", BYTES = ".bytes";
const NAME = /^([0-9a-f]{32})\.upload$/;

/** The records of all uploads, each a file that is replaced as a whole. */
export class Records {
  constructor(private readonly parts: RecordsParts) {}

  /** Where the bytes of an upload are. */
  bytesOf(id: string): string {
    return `${this.parts.folder}/${id}${BYTES}`;
  }

  /** Writes a record, over the one before. When it comes back, the disk holds it. @throws GatewayError `NO_CAPACITY`, `UNAVAILABLE` */
  async write(record: UploadRecord): Promise<void> {
    const { folder, sealing, disk } = this.parts;
    const sealed = sealing.seal(JSON.stringify(record), contextOf(record.id));
    const text = JSON.stringify({ expires_at: record.expiresAt, sealed });
    const path = `${folder}/${record.id}${RECORD}`;
    await told(() => disk.replace(path, new TextEncoder().encode(text)));
  }

  /** Forgets an upload, the record first: bytes without one are nobody's. */
  async remove(id: string): Promise<void> {
    await told(() => this.parts.disk.remove(`${this.parts.folder}/${id}${RECORD}`));
    await this.removeBytes(id);
  }

  /** Gives the bytes of an upload up. */
  async removeBytes(id: string): Promise<void> {
    await told(() => this.parts.disk.remove(this.bytesOf(id)));
  }

  /**
   * Every record there is. Files that belong to none are removed: nobody else has this folder.
   * @param onUnreadable told of one that cannot be opened; it goes when its time is over
   */
  async readAll(now: number, onUnreadable: (id: string, error: unknown) => void): Promise<UploadRecord[]> {
    const { folder, disk } = this.parts;
    const names = await told(() => disk.names(folder));
    const records: UploadRecord[] = [];
    const known = new Set<string>();
    for (const name of names) {
      const id = NAME.exec(name)?.[1];
      if (id === undefined) continue;
      known.add(id);
      const bytes = await told(() => disk.read(`${folder}/${name}`));
      try {
        records.push(this.#parse(id, bytes));
      } catch (error) {
        if (expiryOf(bytes) > now) onUnreadable(id, error);
        else await this.remove(id);
      }
    }
    const whole = new Set(records.filter(({ object }) => object !== undefined).map(({ id }) => id));
    for (const name of names) {
      const id = name.endsWith(BYTES) ? name.slice(0, -BYTES.length) : undefined;
      const isLost = id !== undefined && (!known.has(id) || whole.has(id));
      if (isLost || name.endsWith(DRAFT)) await told(() => disk.remove(`${folder}/${name}`));
    }
    return records;
  }

  #parse(id: string, bytes: Uint8Array): UploadRecord {
    const { sealed } = JSON.parse(new TextDecoder().decode(bytes)) as { sealed: string };
    const record = JSON.parse(this.parts.sealing.open(sealed, contextOf(id))) as UploadRecord;
    if (record.id !== id) throw new Error("the record is another upload's");
    return record;
  }
}

const contextOf = (id: string) => `upload:${id}`;

async function told<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw diskFailure(error);
  }
}

/** Until when a record counts that cannot be opened. */
function expiryOf(bytes: Uint8Array): number {
  try {
    const { expires_at: expiresAt } = JSON.parse(new TextDecoder().decode(bytes)) as { expires_at?: unknown };
    return typeof expiresAt === "number" ? expiresAt : 0;
  } catch {
    return 0;
  }
}
