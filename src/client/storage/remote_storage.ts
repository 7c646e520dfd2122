import { durationToWire } from "../durations.ts";
import type { CallOptions, Client, ClientRequest } from "../http.ts";
import { sendingTime, StreamedBody } from "../streamed_body.ts";
import { addressOf, cidAddressOf, queryOf } from "./address.ts";
import { blobOf, type Content, isStream, nameOf } from "./content.ts";
import {
  type ContentBody,
  type Download,
  download,
  downloadArchive,
  type DownloadCarOptions,
  type DownloadOptions,
} from "./download.ts";
import { type Form, formOf } from "./form.ts";
import {
  checkDone,
  type DirectoryListing,
  linkOf,
  listingOf,
  missingAs,
  objectOf,
  type ObjectPage,
  objectPageOf,
  pinnedOf,
  type PinStatus,
  pinStatusOf,
  type StorageLink,
  type Stored,
  type StoredDirectory,
  storedDirectoryOf,
  type StoredObject,
  storedOf,
} from "./objects.ts";
import {
  callOptions,
  checkType,
  copyMembers,
  type LinkOptions,
  type ObjectChange,
  type ObjectsOptions,
  type PinOptions,
  type StorageWriteOptions,
  type StoreOptions,
  type UploadDirectoryOptions,
  type UploadOptions,
  writeOptions,
} from "./options.ts";
import type { ResumableContent } from "./parts.ts";
import { type ResumableOptions, uploadResumable, type UploadState } from "./resumable.ts";
import type { DirectoryFile, Storage } from "./storage.ts";
import { discardUpload } from "./tus.ts";

const CAR = "application/vnd.ipld.car";

/** The storage behind a gateway. */
export class RemoteStorage implements Storage {
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  async upload(content: Content, options: UploadOptions = {}): Promise<Stored> {
    const { type = content instanceof Blob ? content.type || undefined : undefined, name = nameOf(content) } = options;
    // Without a name it is called by its CID, not by what stands in the form.
    const query = storeQuery({ ...options, name: name ?? "" });
    checkRepeat(options, isStream(content));
    const form = formOf([{ name: "file", type: checkType(type), content }]);
    return await this.#client.json(storeRequest(`upload?${query}`, form, options), storedOf);
  }

  async uploadResumable(content: ResumableContent, options: ResumableOptions = {}): Promise<Stored> {
    return await uploadResumable(this.#client, content, options);
  }

  async discardUpload({ id }: Pick<UploadState, "id">, options: CallOptions = {}): Promise<boolean> {
    return await discardUpload(this.#client, id, options);
  }

  async uploadDirectory(
    files: Iterable<DirectoryFile> | AsyncIterable<DirectoryFile>,
    options: UploadDirectoryOptions = {},
  ): Promise<StoredDirectory> {
    const query = `${storeQuery(options)}&directory=true`.replace(/^&/, "");
    const form = formOf(isAsync(files) ? renamed(files) : Array.from(files, fileOf));
    checkRepeat(options, form.body instanceof StreamedBody);
    return await this.#client.json(storeRequest(`upload?${query}`, form, options), storedDirectoryOf);
  }

  async uploadCar(car: Exclude<Content, string>, options: StoreOptions = {}): Promise<StoredObject> {
    const query = storeQuery(options);
    checkRepeat(options, isStream(car));
    const form = isStream(car) ? streamed(car) : whole(blobOf(car));
    return await this.#client.json(storeRequest(query === "" ? "car" : `car?${query}`, form, options), objectOf);
  }

  async pin(cid: string, { name, origins, ...options }: PinOptions = {}): Promise<{ cid: string; name: string }> {
    const body = { cid, name, origins, ...copyMembers(options) };
    const request = { method: "POST", path: "/v1/storage/pin", body, ...writeOptions(options) } as const;
    return await this.#client.json(request, pinnedOf);
  }

  async unpin(cid: string, options: StorageWriteOptions = {}): Promise<boolean> {
    const how = writeOptions(options, ["NOT_FOUND"]);
    const request = { method: "DELETE", path: cidAddressOf("unpin", cid), ...how } as const;
    return await this.#client.json(request, checkDone).then(() => true, missingAs(false));
  }

  async recover(cid: string, options: CallOptions = {}): Promise<PinStatus | null> {
    const how = writeOptions({ ...options, repeat: true }, ["NOT_FOUND"]);
    const request = { method: "POST", path: cidAddressOf("recover", cid), ...how } as const;
    return await this.#client.json(request, pinStatusOf).catch(missingAs(null));
  }

  async status(cid: string, options: CallOptions = {}): Promise<PinStatus | null> {
    return await this.#read(cidAddressOf("status", cid), options, pinStatusOf).catch(missingAs(null));
  }

  async object(cid: string, options: CallOptions = {}): Promise<StoredObject | null> {
    return await this.#read(cidAddressOf("objects", cid), options, objectOf).catch(missingAs(null));
  }

  async *objects(
    { limit, name, cid, visibility, kind, pinned, ...options }: ObjectsOptions = {},
  ): AsyncGenerator<ObjectPage, void, void> {
    let cursor: string | undefined;
    do {
      const query = queryOf({ limit, name, cid, visibility, kind, pinned, cursor });
      const page = await this.#read(`/v1/storage/objects?${query}`, options, objectPageOf);
      const { objects, total } = page;
      if (objects.length > 0) yield { objects, total };
      cursor = page.cursor;
    } while (cursor !== undefined);
  }

  async change(cid: string, change: ObjectChange, options: StorageWriteOptions = {}): Promise<StoredObject> {
    const { name, visibility, pin } = change;
    const body = { name, visibility, pin, ...copyMembers(change) };
    const how = writeOptions(options, ["NOT_FOUND"]);
    return await this.#client.json({ method: "PATCH", path: cidAddressOf("objects", cid), body, ...how }, objectOf);
  }

  async link(cid: string, { expiresIn, ...options }: LinkOptions = {}): Promise<StorageLink> {
    const body = { cid, expires_in: durationToWire(expiresIn, "expiresIn") };
    // Nothing is kept of a link, so one whose answer is lost is no other than one that was not made.
    const request = {
      method: "POST",
      path: "/v1/storage/links",
      body,
      effect: "read",
      ...callOptions(options),
    } as const;
    return await this.#client.json(request, (answer) => linkOf(answer, this.#client.url));
  }

  async download(place: string, options: DownloadOptions = {}): Promise<Download> {
    return await download(this.#client, place, options);
  }

  async downloadCar(place: string, { scope, ...options }: DownloadCarOptions = {}): Promise<ContentBody> {
    return await downloadArchive(this.#client, place, { format: "car", "dag-scope": scope }, options);
  }

  async tar(place: string, options: CallOptions = {}): Promise<ContentBody> {
    return await downloadArchive(this.#client, place, { format: "tar" }, options);
  }

  async directory(place: string, options: CallOptions = {}): Promise<DirectoryListing> {
    return await this.#read(addressOf("directory", place), options, listingOf);
  }

  async #read<R>(path: string, options: CallOptions, read: (body: unknown) => R): Promise<R> {
    return await this.#client.json({ method: "GET", path, effect: "read", ...callOptions(options) }, read);
  }
}

const fileOf = ({ path, content }: DirectoryFile) => ({ name: path, content });

async function* renamed(files: AsyncIterable<DirectoryFile>) {
  for await (const file of files) yield fileOf(file);
}

const isAsync = <T>(files: Iterable<T> | AsyncIterable<T>): files is AsyncIterable<T> => Symbol.asyncIterator in files;

const whole = (car: Blob): Form => ({ body: new Blob([car], { type: CAR }), size: car.size });

const streamed = (car: ReadableStream<Uint8Array>): Form => ({
  body: new StreamedBody(CAR, oneOf(car), [car]),
  size: undefined,
});

async function* oneOf<T>(part: T): AsyncGenerator<T, void, void> {
  yield await part;
}

const storeQuery = ({ name, pin, visibility, encrypt, ...options }: UploadDirectoryOptions): string =>
  queryOf({ name, pin, visibility, encrypt, ...copyMembers(options) });

const storeRequest = (operation: string, { body, size }: Form, options: StorageWriteOptions): ClientRequest => ({
  method: "POST",
  path: `/v1/storage/${operation}`,
  body,
  wait: sendingTime(size ?? 0),
  ...writeOptions(options),
});

function checkRepeat({ repeat }: StorageWriteOptions, streams: boolean): void {
  if (repeat && streams) throw new TypeError("a stream cannot be sent again: leave repeat out, or give a Blob");
}
