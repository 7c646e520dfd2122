import { setImmediate } from "node:timers/promises";
import type { ControlDatabase } from "../../../../services/control_plane/control_database.ts";
import type { StorageRules } from "../../../../src/contracts/settings.ts";
import type { DirectoryFile, UploadOptions } from "../../../../src/contracts/storage.ts";
import { StorageService, type StorageServiceOptions } from "../../../../services/storage/service.ts";
import { MemoryContent } from "../../../support/memory_content.ts";
import { principal } from "../../auth/support/node.ts";
import { Chance } from "../../control_plane/support/chance.ts";
import { DAY, HOUR, TestClock } from "../../control_plane/support/clock.ts";
import { CONTEXT } from "../../control_plane/support/context.ts";
import { openControl } from "../../control_plane/support/control.ts";
import { WatchedControl } from "../../control_plane/support/doubles.ts";

/** Rules that nothing in a test comes up against by chance. */
export const RULES: StorageRules = {
  maxObjectBytes: 1_000_000,
  maxBytes: 10_000_000,
  maxObjects: 1_000,
  maxUploads: 20,
  maxEntries: 100,
  encrypt: false,
};

/** How a gateway of a test differs. */
export interface GatewayOptions extends Partial<Omit<StorageServiceOptions, "control" | "now">> {
  readonly rules?: Partial<StorageRules>;
}

/** Bytes of a text. */
export const utf8 = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);

/** Content in pieces. */
export async function* stream(...pieces: readonly (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) yield await Promise.resolve(typeof piece === "string" ? utf8(piece) : piece);
}

/** Everything that is read, as one. */
export async function bytesOf(source: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  return new Uint8Array(await new Blob(await Array.fromAsync(source) as BlobPart[]).arrayBuffer());
}

/** The same as text. */
export const textOf = async (source: AsyncIterable<Uint8Array>): Promise<string> =>
  new TextDecoder().decode(await bytesOf(source));

/** Files of a directory. */
export async function* filesOf(files: Readonly<Record<string, string>>): AsyncGenerator<DirectoryFile> {
  for (const [path, text] of Object.entries(files)) yield await Promise.resolve({ path, content: stream(text) });
}

/** Gateways on one control plane and one engine. */
export class Storages implements AsyncDisposable {
  readonly clock = new TestClock();
  readonly engine = new MemoryContent();
  /** What gateways said could not be done yet. */
  readonly errors: unknown[] = [];
  #seed = 1;
  readonly #services: StorageService[] = [];

  private constructor(readonly control: ControlDatabase) {}

  /** On a control plane in memory, with these namespaces. */
  static async start(...namespaces: readonly string[]): Promise<Storages> {
    return await Storages.on(await openControl(), ...namespaces);
  }

  /** On a control plane that has its tables. */
  static async on(control: ControlDatabase, ...namespaces: readonly string[]): Promise<Storages> {
    const storages = new Storages(control);
    for (const name of namespaces) await storages.namespace(name);
    return storages;
  }

  /** Makes a namespace. */
  async namespace(name: string): Promise<void> {
    const { db } = this.control;
    const row = { name, database_name: name, state: "active", created_at: this.clock.now(), created_by: "test" };
    await this.control.run(db.insertInto("namespaces").values(row));
  }

  /** One more gateway, with its own way to the control plane. */
  gateway({ rules, ...options }: GatewayOptions = {}): Gateway {
    const control = new WatchedControl(this.control);
    const chance = new Chance(this.#seed++);
    const held = { ...RULES, ...rules };
    const service = new StorageService(this.engine, {
      control,
      rulesOf: () => held,
      key: Uint8Array.from({ length: 32 }, (_, i) => i),
      now: this.clock.now,
      random: chance.bytes,
      replication: { min: 1, max: 3 },
      unpinnedLife: DAY,
      maxLinkLife: 7 * DAY,
      remotePins: false,
      watchPins: false,
      onError: (_what, error) => this.errors.push(error),
      ...options,
    });
    this.#services.push(service);
    return new Gateway(service, control);
  }

  /** Lets time go by until nobody's lease or pause is in the way, and has a fresh gateway make good what was left undone. */
  async reconcile(gateway = this.gateway()): Promise<void> {
    this.clock.advance(HOUR / 4);
    await gateway.service.reconcile();
  }

  /** Waits until the engine was told all that is wanted: of what is looked for it is told in the background. */
  async told(): Promise<void> {
    const end = performance.now() + 10_000;
    for (;;) {
      const late = (await this.pins()).filter(({ applied, version }) => applied !== version);
      if (late.length === 0) return;
      if (performance.now() > end) throw new Error(`the engine was not told of ${late.map(({ cid }) => cid)}`);
      await setImmediate();
    }
  }

  async pins(): Promise<readonly Record<string, unknown>[]> {
    return (await this.control.run(this.control.db.selectFrom("storage_pins").selectAll().orderBy("cid"))).rows;
  }

  async objects(): Promise<readonly { namespace: string; cid: string; available: number; problem: string | null }[]> {
    const { db } = this.control;
    return await db.selectFrom("storage_objects").select(["namespace", "cid", "available", "problem"])
      .orderBy("namespace").orderBy("cid").execute();
  }

  async usage(): Promise<readonly { namespace: string; bytes: number; objects: number }[]> {
    return await this.control.db.selectFrom("storage_usage").selectAll().orderBy("namespace").execute();
  }

  /** Ends the gateways. */
  async close(): Promise<void> {
    for (const service of this.#services.splice(0)) await service.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
    await this.control.close();
  }
}

/** A gateway of a test, called as its routes would call it. */
export class Gateway {
  constructor(readonly service: StorageService, readonly control: WatchedControl) {}

  upload(namespace: string, content: string | Uint8Array, options: UploadOptions = {}) {
    return this.service.upload(principal({ namespace }), stream(content), options, CONTEXT);
  }

  pin(namespace: string, cid: string, options: Parameters<StorageService["pin"]>[2] = {}) {
    return this.service.pin(principal({ namespace }), cid, options, CONTEXT);
  }

  unpin(namespace: string, cid: string) {
    return this.service.unpin(namespace, cid, CONTEXT);
  }

  async read(reader: Parameters<StorageService["open"]>[0], cid: string, ...path: string[]): Promise<string> {
    return await textOf((await this.service.open(reader, cid, path, CONTEXT)).read());
  }
}

/** A gateway that ends after so many of its steps: nothing that it calls happens any more, or what happened is not heard. @returns whether it has */
export function endsAfter(gateway: Gateway, t: Storages, steps: number, lost: boolean): () => boolean {
  let left = steps, ended = false;
  const end = () => {
    ended = true;
    throw new Error("the gateway has ended");
  };
  const before = () => {
    if (ended || !lost && left-- === 0) end();
  };
  const after = () => {
    if (ended || lost && left-- === 0) end();
  };
  gateway.control.before = before;
  gateway.control.after = after;
  t.engine.before = before;
  t.engine.after = after;
  return () => ended;
}
