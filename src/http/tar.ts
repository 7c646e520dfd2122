import { createTarPacker } from "modern-tar";

/** What stands in an archive. */
export interface TarEntry {
  /** Relative, `/` between its segments. */
  readonly path: string;
  /** Bytes of a file; `undefined`: it is a directory. */
  readonly size: number | undefined;
  /** Of a file, exactly `size` bytes. */
  read(): AsyncIterable<Uint8Array>;
}

/** Entries are archived as what everybody may read, and as old as time itself: the same tree is the same bytes. */
const COMMON = { mode: 0o644, uid: 0, gid: 0, mtime: new Date(0) } as const;

/**
 * An archive of entries (POSIX 1003.1, pax), made as it is read.
 * @throws what the entries throw, and Error where one has not as many bytes as it says
 */
export async function* tarOf(entries: AsyncIterable<TarEntry>): AsyncGenerator<Uint8Array, undefined> {
  const { readable, controller } = createTarPacker();
  let failure: unknown;
  const packed = pack(entries, controller).catch((error) => {
    failure = error;
    controller.error(error);
  });
  try {
    for await (const chunk of readable) yield chunk;
  } catch (error) {
    throw failure ?? error;
  } finally {
    await packed;
  }
}

async function pack(
  entries: AsyncIterable<TarEntry>,
  controller: ReturnType<typeof createTarPacker>["controller"],
): Promise<void> {
  for await (const { path, size, read } of entries) {
    const directory = size === undefined;
    const writer = controller.add({
      ...COMMON,
      name: directory ? `${path}/` : path,
      type: directory ? "directory" : "file",
      size: size ?? 0,
      ...(directory && { mode: 0o755 }),
    }).getWriter();
    if (!directory) { for await (const chunk of read()) await writer.write(chunk); }
    await writer.close();
  }
  controller.finalize();
}
