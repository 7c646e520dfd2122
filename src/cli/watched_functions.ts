import { hasCode } from "../contracts/errors.ts";
import type { Functions } from "../contracts/functions.ts";
import type { Principal } from "../contracts/identity.ts";
import type { RequestContext } from "../contracts/request.ts";

/** What a watched folder is made of. */
export interface WatchedFunctionsOptions {
  /** Its `.wasm` files are functions, named as they are. */
  readonly folder: string;
  readonly functions: Pick<Functions, "deploy" | "module">;
  /** Who deploys. */
  readonly principal: Principal;
  /** Told of each deploy. @param error why there was none */
  readonly onDeploy: (name: string, deployed: { readonly version: number } | { readonly error: unknown }) => void;
}

/** Milliseconds without a change after which a file counts as written. */
const QUIET = 150;

/**
 * Deploys the modules of a folder that do not serve as they are, and each of them again when its bytes change. What cannot be deployed is told, and tried again
 * with the next change.
 */
export class WatchedFunctions {
  readonly #options: WatchedFunctionsOptions;
  /** The hash of what was deployed of each file last. */
  readonly #deployed = new Map<string, string>();
  readonly #due = new Set<string>();
  readonly #watcher: Deno.FsWatcher;
  readonly #ended: Promise<void>;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #deploying: Promise<void> = Promise.resolve();

  private constructor(options: WatchedFunctionsOptions) {
    this.#options = options;
    // Before the first look, so that nothing is missed in between.
    this.#watcher = Deno.watchFs(options.folder, { recursive: false });
    this.#ended = this.#watch();
  }

  /** Deploys what is there, and watches from then on. @throws Deno.errors.NotFound for a folder that is not there */
  static async start(options: WatchedFunctionsOptions): Promise<WatchedFunctions> {
    const watched = new WatchedFunctions(options);
    for await (const { name, isDirectory } of Deno.readDir(options.folder)) {
      if (!isDirectory) watched.#changed(name);
    }
    await watched.#deployDue();
    return watched;
  }

  /** Ends when what is being deployed is done. */
  async close(): Promise<void> {
    this.#watcher.close();
    clearTimeout(this.#timer);
    this.#due.clear();
    await this.#ended;
    await this.#deploying;
  }

  async #watch(): Promise<void> {
    for await (const { kind, paths } of this.#watcher) {
      if (kind === "access" || kind === "remove") continue;
      for (const path of paths) this.#changed(path.slice(path.lastIndexOf("/") + 1));
      if (this.#due.size === 0) continue;
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => void this.#deployDue(), QUIET);
    }
  }

  #changed(file: string): void {
    if (file.endsWith(".wasm") && file.length > ".wasm".length) this.#due.add(file);
  }

  #deployDue(): Promise<void> {
    const files = [...this.#due].sort();
    this.#due.clear();
    return this.#deploying = this.#deploying.then(async () => {
      for (const file of files) await this.#deploy(file);
    });
  }

  /** What serves under a name now; `undefined` for nothing. */
  async #serving(name: string, context: RequestContext): Promise<Uint8Array | undefined> {
    const { functions, principal } = this.#options;
    try {
      return (await functions.module(principal.namespace, name, undefined, context)).bytes;
    } catch (error) {
      if (hasCode(error, "NOT_FOUND")) return undefined;
      throw error;
    }
  }

  async #deploy(file: string): Promise<void> {
    const { folder, functions, principal, onDeploy } = this.#options;
    const name = file.slice(0, -".wasm".length);
    try {
      const bytes = await Deno.readFile(`${folder}/${file}`);
      const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
      if (this.#deployed.get(file) === hash) return;
      const context = { requestId: crypto.randomUUID(), clientAddress: "", signal: new AbortController().signal };
      const serves = await this.#serving(name, context);
      const version = serves !== undefined && equals(serves, bytes)
        ? undefined
        : await functions.deploy(principal, { name, wasm: new Blob([bytes]).stream() }, context);
      this.#deployed.set(file, hash);
      if (version) onDeploy(name, version);
    } catch (error) {
      // A file that is gone again is no mistake: editors and compilers write beside it and rename.
      if (!(error instanceof Deno.errors.NotFound)) onDeploy(name, { error });
    }
  }
}

const equals = (one: Uint8Array, other: Uint8Array): boolean =>
  one.length === other.length && one.every((byte, at) => byte === other[at]);
