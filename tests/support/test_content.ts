import { equal, rejects } from "node:assert/strict";
import { LocalDriver } from "../../services/storage/local/driver.ts";
import type { ContentDriver, Waiter } from "../../services/storage/driver.ts";
import type { ErrorCode } from "../../src/contracts/errors.ts";
import type { DagScope } from "../../src/contracts/storage.ts";
import { bytesOf, inPieces } from "./blocks.ts";
import { IPFS } from "./ipfs_content.ts";

/** Empty storage that runs. */
export interface StartedContent extends AsyncDisposable {
  readonly driver: ContentDriver;
  /** The last lines of output of its engines, for the message of a failed test. */
  tails?(): string;
}

/** A driver on which every scenario runs. */
export interface ContentUnderTest {
  readonly name: string;
  /** Why it cannot run here, such as a program that is missing; `undefined`: it can. */
  readonly ignore: string | undefined;
  /** Starts it, empty; what takes long to start stays for the next. @param chunkSize bytes; default 256 KiB */
  start(chunkSize?: number): Promise<StartedContent>;
  /** Ends what stayed. */
  end?(): Promise<void>;
}

/** All of them. A driver that is added here runs every scenario. */
export const CONTENT_DRIVERS: readonly ContentUnderTest[] = [
  {
    name: "local",
    ignore: undefined,
    async start(chunkSize) {
      const folder = await Deno.makeTempDir({ prefix: "content-" });
      const driver = new LocalDriver({ folder, roots: nothing, ...(chunkSize !== undefined && { chunkSize }) });
      return {
        driver,
        async [Symbol.asyncDispose]() {
          await driver.close();
          await Deno.remove(folder, { recursive: true });
        },
      };
    },
  },
  ...IPFS,
];

/** No roots. */
export async function* nothing(): AsyncGenerator<string> {}

/** Who waits for ever. */
export const WAITER: Waiter = { signal: new AbortController().signal };

/** Somebody who leaves when told to. */
export function leaver(): Waiter & { readonly leave: () => void; readonly reason: Error } {
  const controller = new AbortController();
  const reason = new Error("the caller has left");
  return { signal: controller.signal, reason, leave: () => controller.abort(reason) };
}

/** Storage, with short ways to ask it. */
export class ContentSubject {
  constructor(readonly driver: ContentDriver) {}

  /** Adds a file. @returns its CID */
  async add(content: string | Uint8Array, ...pieces: readonly number[]): Promise<string> {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    const { cid, size } = await this.driver.add(inPieces(bytes, ...pieces), WAITER);
    equal(size, bytes.length);
    return cid;
  }

  /** Adds a directory of texts or bytes. */
  addDirectory(files: Readonly<Record<string, string | Uint8Array>>) {
    return this.driver.addDirectory(filesOf(Object.entries(files)), WAITER);
  }

  importCar(car: Uint8Array, ...pieces: readonly number[]) {
    return this.driver.importCar(inPieces(car, ...pieces), WAITER);
  }

  look(cid: string, ...path: readonly string[]) {
    return this.driver.look(cid, path, "local", WAITER);
  }

  read(cid: string, offset?: number, length?: number): Promise<Uint8Array<ArrayBuffer>> {
    const range = offset === undefined ? undefined : { offset, length: length ?? 0 };
    return bytesOf(this.driver.read(cid, range, WAITER));
  }

  async text(cid: string): Promise<string> {
    return new TextDecoder().decode(await this.read(cid));
  }

  entries(cid: string) {
    return Array.fromAsync(this.driver.entries(cid, WAITER));
  }

  car(cid: string, path: readonly string[] = [], scope: DagScope = "all") {
    return bytesOf(this.driver.car(cid, path, scope, WAITER));
  }
}

/** Files of a directory, in the order in which they are named. */
export async function* filesOf(files: readonly (readonly [path: string, content: string | Uint8Array])[]) {
  for (const [path, content] of files) {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    yield { path, content: inPieces(bytes) };
  }
}

/** Fails with this code, and a sentence in which the pattern is found. */
export async function refuses(work: Promise<unknown>, code: ErrorCode, pattern: RegExp = /./): Promise<void> {
  await rejects(work, (error: { code?: unknown; message?: unknown }) => {
    equal(error.code, code, String(error.message));
    equal(pattern.test(String(error.message)), true, `${pattern} is not in: ${error.message}`);
    return true;
  });
}

/**
 * Makes a test of each scenario on each driver, each time on empty storage. Engines are started once for a file, and emptied in
 * between.
 */
export function onEveryContentDriver(
  scenarios: Readonly<Record<string, (subject: ContentSubject) => Promise<void>>>,
  { chunkSize }: { readonly chunkSize?: number } = {},
): void {
  for (const { name: driver, ignore, start, end } of CONTENT_DRIVERS) {
    if (end !== undefined) Deno.test.afterAll(end);
    for (const [name, scenario] of Object.entries(scenarios)) {
      Deno.test({
        name: ignore === undefined ? `${driver}: ${name}` : `${driver}: ${name} [${ignore}]`,
        ignore: ignore !== undefined && Deno.env.get("TEST_ENGINES_REQUIRED") !== "1",
        async fn() {
          await using started = await start(chunkSize);
          try {
            await scenario(new ContentSubject(started.driver));
          } catch (cause) {
            const tails = started.tails?.();
            if (tails === undefined) throw cause;
            throw new Error(`${cause instanceof Error ? cause.message : String(cause)}\n${tails}`, { cause });
          }
        },
      });
    }
  }
}
