import { base32nopad } from "@scure/base";
import { GatewayError, hasCode } from "../../../src/contracts/errors.ts";
import type { Principal } from "../../../src/contracts/identity.ts";
import type { RequestContext } from "../../../src/contracts/request.ts";
import type { StorageRules } from "../../../src/contracts/settings.ts";
import type { Storage, StoredObject } from "../../../src/contracts/storage.ts";
import type { ControlDatabase } from "../../control_plane/control_database.ts";
import { isNotFound } from "./state.ts";
import { unreferenced } from "./versions.ts";

/**
 * The namespace whose objects the modules of all functions are. No client can have one of this name, so nobody but the registry
 * lets them go. What holds in it: {@link moduleStorageRules}.
 */
export const MODULES_NAMESPACE = ".functions";

/** What the storage is to hold against modules: nothing, because limits of functions are what bounds them. */
export const moduleStorageRules = (): StorageRules => ({
  maxObjectBytes: Number.MAX_SAFE_INTEGER,
  maxBytes: 0,
  maxObjects: 0,
  maxUploads: 1_000,
  maxEntries: 1,
  encrypt: true,
});

/** Of the storage, what modules need. */
export type ModuleStorage = Pick<Storage, "upload" | "open" | "unpin" | "object" | "list">;

/** What keeping modules needs. */
export interface ModuleContentParts {
  readonly storage: ModuleStorage;
  readonly control: ControlDatabase;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** Told what could not be done yet; it is tried again. */
  readonly onError: (what: string, error: unknown) => void;
}

/** A module that is to be read. */
export interface StoredModule {
  readonly storedCid: string;
  readonly wasmCid: string;
  readonly size: number;
}

/** Milliseconds for reading a module, and for letting go of one. */
const READING = 30_000, RELEASING = 10_000;
/** Milliseconds after which content that no version names was left behind: whoever stored it has given up by then. */
const ABANDONED = 60 * 60_000;
/** Objects in one look, and contents that are let go at once. */
const PAGE = 100, AT_ONCE = 20;
const PIECE = 64 * 1024;
const RAW_SHA256 = Uint8Array.of(1, 0x55, 0x12, 32);

/** Who modules are stored by. */
const SYSTEM: Principal = {
  kind: "api_key",
  id: "functions",
  subject: "system",
  namespace: MODULES_NAMESPACE,
  scopes: new Set(),
  operator: false,
  asOf: 0,
  describe: {},
};

/** The content id of a module (raw CIDv1 with SHA-256, base32). */
export async function wasmCidOf(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return `b${base32nopad.encode(Uint8Array.of(...RAW_SHA256, ...digest)).toLowerCase()}`;
}

/**
 * Modules in the storage. Each is stored encrypted with chance of its own, so that no two uploads have one content id: what nobody
 * names any more will never be named again, and may be let go without a look at who else might just come to have it.
 */
export class ModuleContent {
  #isReady = false;

  constructor(private readonly parts: ModuleContentParts) {}

  /**
   * @param name as the storage lists it
   * @returns what the storage calls it
   * @throws GatewayError as `Storage.upload`; `NO_CAPACITY` where that has no room
   */
  async store(bytes: Uint8Array, name: string, { requestId, signal }: RequestContext): Promise<string> {
    await this.#ready(signal);
    const options = {
      name,
      type: "application/wasm",
      encrypt: true,
      visibility: "private",
      length: bytes.length,
    } as const;
    try {
      const { cid } = await this.parts.storage.upload(SYSTEM, pieces(bytes), options, contextWith(signal, requestId));
      return cid;
    } catch (error) {
      if (!hasCode(error, "QUOTA_EXCEEDED", "BODY_TOO_LARGE")) throw error;
      const sentence = "the storage has no room for modules; nothing was deployed";
      throw new GatewayError("NO_CAPACITY", sentence, { cause: error, retryAfter: 60 });
    }
  }

  /** Whether the storage has it still. */
  async has(storedCid: string, { requestId, signal }: RequestContext): Promise<boolean> {
    try {
      await this.parts.storage.object(MODULES_NAMESPACE, storedCid, contextWith(signal, requestId));
      return true;
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }

  /** A module as it was deployed. @throws GatewayError `UNAVAILABLE` */
  async read({ storedCid, wasmCid, size }: StoredModule): Promise<Uint8Array<ArrayBuffer>> {
    const { storage, onError } = this.parts;
    const context = contextWith(AbortSignal.timeout(READING));
    try {
      const content = await storage.open({ namespace: MODULES_NAMESPACE }, storedCid, [], context);
      const bytes = new Uint8Array(size);
      let length = 0;
      for await (const piece of content.read(undefined, true)) {
        if (length + piece.length > size) throw new Error("the storage has more of it than was deployed");
        bytes.set(piece, length);
        length += piece.length;
      }
      if (length !== size || await wasmCidOf(bytes) !== wasmCid) throw new Error("the storage has other bytes of it");
      return bytes;
    } catch (error) {
      onError(`reading the module ${wasmCid}`, error);
      throw new GatewayError("UNAVAILABLE", "the function's module cannot be read now", { cause: error });
    }
  }

  /** Lets content go that no version names. Never rejects: what cannot be let go now is found by {@link sweep}. */
  async release(cids: readonly string[]): Promise<void> {
    const { control, onError } = this.parts;
    try {
      if (cids.length === 0) return;
      const signal = AbortSignal.timeout(RELEASING);
      await this.drop(await unreferenced(control, cids, signal), signal);
    } catch (error) {
      onError("letting go of modules that no function names", error);
    }
  }

  /** Lets content go, whoever names it; done again it is nothing. @throws GatewayError `UNAVAILABLE`, `OUTCOME_UNKNOWN` */
  async drop(cids: readonly string[], signal: AbortSignal): Promise<void> {
    const { storage } = this.parts;
    // At once, because each may wait a few seconds for an engine that is away; in groups, to leave room for others.
    for (let at = 0; at < cids.length && !signal.aborted; at += AT_ONCE) {
      const done = await Promise.allSettled(
        cids.slice(at, at + AT_ONCE).map((cid) => storage.unpin(MODULES_NAMESPACE, cid, contextWith(signal))),
      );
      for (const one of done) if (one.status === "rejected" && !isNotFound(one.reason)) throw one.reason;
    }
    signal.throwIfAborted();
  }

  /** Lets go of what gateways left behind that ended between storing a module and recording its version. */
  async sweep(signal: AbortSignal): Promise<void> {
    const { storage, control, now } = this.parts;
    let cursor: string | undefined;
    do {
      const page = await storage.list(MODULES_NAMESPACE, { limit: PAGE, cursor }, contextWith(signal));
      const old = page.objects.filter(({ createdAt }: StoredObject) => createdAt < now() - ABANDONED);
      await this.drop(await unreferenced(control, old.map(({ cid }) => cid), signal), signal);
      cursor = page.cursor;
      // The embedded control plane is read in this process: others must come between two pages.
      await new Promise((resolve) => setTimeout(resolve, 5));
    } while (cursor !== undefined && !signal.aborted);
  }

  async #ready(signal: AbortSignal): Promise<void> {
    if (this.#isReady) return;
    const { control } = this.parts;
    // The keys of its objects are made with the time of its making: that is the same whoever makes it.
    const row = {
      name: MODULES_NAMESPACE,
      database_name: MODULES_NAMESPACE,
      state: "active",
      created_at: 0,
      created_by: "system",
    };
    await control.run(control.db.insertInto("namespaces").values(row).onConflict((on) => on.doNothing()), signal);
    this.#isReady = true;
  }
}

const contextWith = (signal: AbortSignal, requestId = ""): RequestContext => ({ requestId, signal, clientAddress: "" });

async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += PIECE) yield await Promise.resolve(bytes.subarray(at, at + PIECE));
}
