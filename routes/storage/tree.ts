import { GatewayError } from "../../src/contracts/errors.ts";
import type { RequestContext } from "../../src/contracts/request.ts";
import type { OpenContent, Reader, Storage } from "../../src/contracts/storage.ts";
import type { TarEntry } from "../../src/http/tar.ts";
import type { Place } from "./place.ts";

/** Entries of an archive, and folders within each other. A few blocks can be a tree without end: each of many, many times. */
const MAX_ENTRIES = 100_000, MAX_DEPTH = 64;

/** What a tree is read with. */
interface Walk {
  readonly storage: Storage;
  readonly reader: Reader;
  readonly root: Place;
  readonly context: RequestContext;
  entries: number;
}

/**
 * The files and folders at a place, for an archive; paths begin with the name of the place.
 * @throws GatewayError `RESULT_TOO_LARGE` for a tree that is too large, `INVALID_REQUEST` for names that would lead out of it
 */
export function treeOf(
  storage: Storage,
  reader: Reader,
  root: Place,
  content: OpenContent,
  context: RequestContext,
): AsyncIterable<TarEntry> {
  return entriesOf(
    { storage, reader, root, context, entries: 0 },
    content,
    [],
    safeName(root.path.at(-1) ?? content.name),
  );
}

async function* entriesOf(
  walk: Walk,
  content: OpenContent,
  below: readonly string[],
  path: string,
): AsyncGenerator<TarEntry, void> {
  if (++walk.entries > MAX_ENTRIES || below.length > MAX_DEPTH) {
    throw new GatewayError(
      "RESULT_TOO_LARGE",
      `an archive has at most ${MAX_ENTRIES} entries, ${MAX_DEPTH} folders deep`,
    );
  }
  if (content.kind !== "directory") {
    yield { path, size: content.size, read: () => content.read() };
    return;
  }
  yield { path, size: undefined, read: () => content.read() };
  const { storage, reader, root, context } = walk;
  for await (const { name } of content.entries()) {
    const inner = [...below, safeName(name)];
    const found = await storage.open(reader, root.cid, [...root.path, ...inner], context);
    yield* entriesOf(walk, found, inner, `${path}/${name}`);
  }
}

/** The name of an entry, which whoever made the blocks chose. */
function safeName(name: string): string {
  // Some take a backslash for a slash.
  const isPlain = name.split("\\").every((part) => part !== "" && part !== "." && part !== "..");
  if (isPlain && !/[/\0]/.test(name)) return name;
  throw new GatewayError(
    "INVALID_REQUEST",
    "an entry of the directory has a name that leads out of it: it cannot be unpacked",
  );
}
