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

/**
 * Makes a file for this user alone (mode 0600), where there is none yet. Of several that do so at once one is first, and the others
 * leave its file as it is; a crash never leaves half of it.
 * @param draft path of a file in the same folder, which nobody else writes
 * @throws what the system says
 */
export async function createOnce(path: string, draft: string, text: string): Promise<void> {
  await Deno.writeTextFile(draft, text, { mode: 0o600, createNew: true });
  try {
    // A link, unlike a rename, never replaces what another process made meanwhile.
    await Deno.link(draft, path);
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  } finally {
    await Deno.remove(draft);
  }
}
