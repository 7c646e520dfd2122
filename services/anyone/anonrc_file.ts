import { GatewayError } from "../../src/contracts/errors.ts";
import { removeIfThere, unlessMissing } from "../disk/files.ts";

/** Bytes; what is larger was written by no hand. */
const MAX_BYTES = 2 ** 20;

/** An `anonrc` on the disk, as it was when it was read. */
export class AnonrcFile {
  private constructor(
    /** Where it really is, if the path that was given is a link. */
    readonly path: string,
    /** `undefined` where there is none. */
    readonly text: string | undefined,
    private readonly owner: Pick<Deno.FileInfo, "mode" | "uid" | "gid"> | undefined,
  ) {}

  /** @throws GatewayError `FORBIDDEN` for what this user may not read, `CONFLICT` for what is no such file */
  static async read(path: string): Promise<AnonrcFile> {
    try {
      const real = await unlessMissing(Deno.realPath(path));
      if (real === undefined) return new AnonrcFile(path, undefined, undefined);
      const info = await Deno.stat(real);
      if (!info.isFile || info.size > MAX_BYTES) {
        throw new GatewayError("CONFLICT", `${real} is no file of up to 1 MiB`);
      }
      return new AnonrcFile(real, textOf(real, await Deno.readFile(real)), info);
    } catch (error) {
      throw spoken(error, path);
    }
  }

  /**
   * Writes it: at once as a whole, with the rights that it had. What was there stays beside it, under a name of its own.
   * @param now milliseconds since 1970, for that name
   * @returns the path of what was there; `undefined` where nothing was
   * @throws GatewayError `CONFLICT` when somebody changed it since it was read, `NOT_FOUND` without its folder, `FORBIDDEN`
   */
  async write(text: string, now: number): Promise<string | undefined> {
    const draft = `${this.path}.${crypto.randomUUID()}.tmp`;
    try {
      await this.#draft(draft, text);
      if (this.text === undefined) {
        await Deno.link(draft, this.path);
        return undefined;
      }
      const backup = `${this.path}.${new Date(now).toISOString().replaceAll(/[-:]/g, "")}.bak`;
      await this.#assertUnchanged();
      // A second name for the same file: it is whole whenever the machine stops, and replaces no other.
      await Deno.link(this.path, backup);
      await Deno.rename(draft, this.path);
      return backup;
    } catch (error) {
      throw spoken(error, this.path);
    } finally {
      await removeIfThere(draft);
    }
  }

  async #draft(path: string, text: string): Promise<void> {
    using file = await Deno.open(path, { write: true, createNew: true, mode: 0o600 });
    const bytes = new TextEncoder().encode(text);
    for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
    await file.sync();
    const { uid, gid } = await file.stat();
    const owner = this.owner;
    if (owner && (owner.uid !== uid || owner.gid !== gid)) await Deno.chown(path, owner.uid, owner.gid);
    // The umask has no say in it, and a change of owner would take away some rights again.
    await Deno.chmod(path, (owner?.mode ?? 0o644) & 0o777);
  }

  async #assertUnchanged(): Promise<void> {
    const text = textOf(this.path, await Deno.readFile(this.path));
    if (text === this.text) return;
    throw new GatewayError(
      "CONFLICT",
      `${this.path} was changed meanwhile: repeat the command, and look at the plan again`,
    );
  }
}

function textOf(path: string, bytes: Uint8Array): string {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    if (!text.includes("\0")) return text;
  } catch {
    // Said below.
  }
  throw new GatewayError("CONFLICT", `${path} is no text in UTF-8`);
}

/** What the system says of a path, as a sentence for whoever gave it. */
export function spoken(error: unknown, path: string): unknown {
  if (error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotCapable) {
    return new GatewayError(
      "FORBIDDEN",
      `${path}: this user may not do that; anon's files belong to a user of its own, so run this as root`,
      {
        cause: error,
      },
    );
  }
  if (error instanceof Deno.errors.AlreadyExists) {
    return new GatewayError("CONFLICT", `${path}: somebody else made it meanwhile; repeat the command`, {
      cause: error,
    });
  }
  if (error instanceof Deno.errors.NotFound) {
    return new GatewayError(
      "NOT_FOUND",
      `${path}: there is no folder for it; install anon first, whose package makes it`,
      {
        cause: error,
      },
    );
  }
  return error;
}
