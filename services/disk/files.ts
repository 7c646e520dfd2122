/** What comes of work on a file; `undefined` where there is none. @throws what else goes wrong */
export async function unlessMissing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Bytes of a file; 0 where there is none. */
export const sizeIfThere = async (path: string): Promise<number> => (await unlessMissing(Deno.stat(path)))?.size ?? 0;

/** Removes a file; nothing to do where there is none. */
export const removeIfThere = (path: string): Promise<void> => unlessMissing(Deno.remove(path));
