/** The data folder belongs to a gateway that runs. */
export class DataFolderInUse extends Error {
  override readonly name = "DataFolderInUse";

  constructor(folder: string, owner: string) {
    super(
      `The data folder ${folder} is in use by another gateway${owner === "" ? "" : ` (process ${owner})`}. ` +
        "Stop that one, or give this one a folder of its own.",
    );
  }
}

/** Right to be the one gateway on a data folder. The system takes it back when the process ends, however it ends. */
export class DataFolderLock implements Disposable {
  private constructor(private readonly file: Deno.FsFile) {}

  /**
   * Makes the folder when it is missing, and takes the right to it.
   * @throws DataFolderInUse when a gateway, this process included, has it
   */
  static async take(folder: string): Promise<DataFolderLock> {
    await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
    const file = await Deno.open(`${folder}/gateway.lock`, { create: true, read: true, write: true, mode: 0o600 });
    try {
      if (!await file.tryLock(true)) {
        throw new DataFolderInUse(folder, await Deno.readTextFile(`${folder}/gateway.lock`));
      }
      await file.truncate(0);
      await file.write(new TextEncoder().encode(String(Deno.pid)));
      return new DataFolderLock(file);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.file.close();
  }
}
