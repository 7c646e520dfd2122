import { createHmac, timingSafeEqual } from "node:crypto";
import { unescaped } from "./anonrc.ts";
import { ControlError, type ControlReply, ReplyReader } from "./control_replies.ts";

/** What it takes to ask an `anon` that runs. */
export interface ControlOptions {
  /** On the loopback interface. */
  readonly port: number;
  /** Milliseconds for everything from connecting on. */
  readonly patience: number;
  /** `HashedControlPassword` of the `anonrc`, before it was hashed; used only where there is no cookie that can be read. */
  readonly password?: string | undefined;
  readonly random: (length: number) => Uint8Array;
}

/** How a control port let somebody in. */
export type Admission = "cookie" | "password" | "open";

/** Words of tor's (control-spec, 3.24). The fork's `control_auth.c` is not among the files that are known to differ from tor's. */
const FROM_SERVER = "Tor safe cookie authentication server-to-controller hash";
const FROM_CLIENT = "Tor safe cookie authentication controller-to-server hash";
const COOKIE_BYTES = 32, NONCE_BYTES = 32;

/** A connection to the control port of an `anon`, which lets it ask. */
export class ControlClient implements Disposable {
  readonly #connection: Deno.TcpConn;
  readonly #late: AbortSignal;
  readonly #replies: ReplyReader;
  #closed = false;

  private constructor(connection: Deno.TcpConn, late: AbortSignal, private readonly options: ControlOptions) {
    this.#connection = connection;
    this.#late = late;
    this.#replies = new ReplyReader(() => this.#read());
    late.addEventListener("abort", this.#close);
  }

  /**
   * Connects, and proves who it is: by the cookie that `anon` leaves in a file, or else by a password.
   * @throws ControlError
   */
  static async open(options: ControlOptions): Promise<{ client: ControlClient; admission: Admission }> {
    const late = AbortSignal.timeout(options.patience);
    let connection: Deno.TcpConn;
    try {
      connection = await Deno.connect({ hostname: "127.0.0.1", port: options.port, signal: late });
    } catch (cause) {
      throw new ControlError(late.aborted ? tooLate(options) : "is not there: nobody listens", { cause });
    }
    const client = new ControlClient(connection, late, options);
    try {
      return { client, admission: await client.#enter() };
    } catch (error) {
      client.#close();
      throw error;
    }
  }

  /**
   * Asks for one thing (`GETINFO`; control-spec, 3.9).
   * @returns what it is, lines ending with `\n` where it has several; `undefined` where this `anon` does not know or have it
   * @throws ControlError
   */
  async info(key: string): Promise<string | undefined> {
    const { code, lines } = await this.#ask(`GETINFO ${key}`);
    if (code !== 250) return undefined;
    const line = lines.find(({ text }) => text.startsWith(`${key}=`));
    return line && (line.data ?? line.text.slice(key.length + 1));
  }

  [Symbol.dispose](): void {
    this.#close();
  }

  async #enter(): Promise<Admission> {
    const { methods, cookieFile } = await this.#methods();
    if (methods.includes("NULL")) {
      await this.#authenticate("AUTHENTICATE", "lets nobody in");
      return "open";
    }
    let refused = "asks for a cookie that is in no file";
    if (methods.includes("SAFECOOKIE") && cookieFile !== undefined) {
      const cookie = await readCookie(cookieFile);
      if (typeof cookie !== "string") {
        await this.#byCookie(cookie);
        return "cookie";
      }
      refused = cookie;
    }
    if (!methods.includes("HASHEDPASSWORD")) throw new ControlError(refused);
    const { password } = this.options;
    if (password === undefined) throw new ControlError("asks for a password: set anyone.control_password");
    await this.#authenticate(`AUTHENTICATE "${password.replace(/["\\]/g, "\\$&")}"`, "refuses the password");
    return "password";
  }

  async #methods(): Promise<{ methods: readonly string[]; cookieFile: string | undefined }> {
    const { code, lines } = await this.#ask("PROTOCOLINFO 1");
    const line = lines.find(({ text }) => text.startsWith("AUTH "))?.text ?? "";
    const [, methods, file] = /^AUTH METHODS=([A-Z,]+)(?: COOKIEFILE="((?:[^"\\]|\\.)*)")?/.exec(line) ?? [];
    if (code !== 250 || methods === undefined) throw new ControlError("does not speak the control protocol");
    return { methods: methods.split(","), cookieFile: file === undefined ? undefined : unescaped(file) };
  }

  /**
   * The cookie itself is never sent: whoever took the port in place of `anon` would have any file of 32 bytes from us that it names
   * (control-spec, 3.24). It must first show that it knows the cookie.
   */
  async #byCookie(cookie: Uint8Array): Promise<void> {
    const nonce = this.options.random(NONCE_BYTES);
    const { code, lines } = await this.#ask(`AUTHCHALLENGE SAFECOOKIE ${nonce.toHex()}`);
    const [, hash, theirs] = /^AUTHCHALLENGE SERVERHASH=([\dA-Fa-f]{64}) SERVERNONCE=([\dA-Fa-f]{64})$/
      .exec(lines[0]?.text ?? "") ?? [];
    if (code !== 250 || hash === undefined || theirs === undefined) {
      throw new ControlError("does not speak the control protocol");
    }
    const hmac = (key: string) =>
      createHmac("sha256", key).update(cookie).update(nonce).update(Uint8Array.fromHex(theirs)).digest();
    if (!timingSafeEqual(hmac(FROM_SERVER), Uint8Array.fromHex(hash))) {
      throw new ControlError("does not know its own cookie: something else than anon has its port");
    }
    await this.#authenticate(`AUTHENTICATE ${hmac(FROM_CLIENT).toString("hex")}`, "refuses its own cookie");
  }

  async #authenticate(command: string, refusal: string): Promise<void> {
    const { code } = await this.#ask(command);
    if (code !== 250) throw new ControlError(refusal);
  }

  async #ask(command: string): Promise<ControlReply> {
    try {
      const bytes = new TextEncoder().encode(`${command}\r\n`);
      for (let at = 0; at < bytes.length;) at += await this.#connection.write(bytes.subarray(at));
      return await this.#replies.next();
    } catch (cause) {
      if (this.#late.aborted) throw new ControlError(tooLate(this.options), { cause });
      throw cause instanceof ControlError ? cause : new ControlError("breaks the connection off", { cause });
    }
  }

  async #read(): Promise<Uint8Array | null> {
    const bytes = new Uint8Array(4_096);
    const count = await this.#connection.read(bytes);
    return count === null ? null : bytes.subarray(0, count);
  }

  readonly #close = (): void => {
    if (this.#closed) return;
    this.#closed = true;
    this.#late.removeEventListener("abort", this.#close);
    this.#connection.close();
  };
}

const tooLate = ({ patience }: ControlOptions) => `does not answer within ${patience} ms`;

/** @returns why it cannot be had, where it cannot */
async function readCookie(path: string): Promise<Uint8Array | string> {
  try {
    const { isFile, size } = await Deno.stat(path);
    const bytes = isFile && size === COOKIE_BYTES ? await Deno.readFile(path) : undefined;
    if (bytes?.length === COOKIE_BYTES) return bytes;
    return "names a cookie that is none";
  } catch (error) {
    if (error instanceof Deno.errors.PermissionDenied) {
      return "keeps its cookie from this user: run this as root, or as a member of anon's group";
    }
    return "names a cookie that is not there";
  }
}
