import { EngineGroup, type EnginePlace, EngineProcess } from "./engine_process.ts";
import { commandOf, type Loan } from "./own.ts";
import { type Program, requireProgram } from "./programs.ts";
import { until } from "./wait.ts";

const LOOPBACK = "127.0.0.1";

/** One SOCKS5 proxy, which can be hurt. */
export class SocksProgram extends EngineProcess {
  constructor(
    program: Program,
    id: string,
    readonly port: number,
    readonly user: { readonly name: string; readonly password: string } | undefined,
    command: readonly string[],
    log: string,
  ) {
    super(program, id, command, log);
  }

  /** As in `egress.proxies`, with the user that it asks for. */
  get url(): string {
    return `socks5://${this.user ? `${this.user.name}:${this.user.password}@` : ""}${LOOPBACK}:${this.port}`;
  }

  /** Whether it takes connections. @throws Hopeless when its process has ended by itself */
  async isReady(): Promise<boolean> {
    this.assertRuns();
    const connection = await Deno.connect({ hostname: LOOPBACK, port: this.port });
    connection.close();
    return true;
  }
}

abstract class SocksGroup extends EngineGroup {
  protected constructor(readonly proxies: readonly SocksProgram[], place: EnginePlace) {
    super(proxies, place);
  }

  get urls(): string[] {
    return this.proxies.map(({ url }) => url);
  }

  async ready(): Promise<void> {
    for (const proxy of this.proxies) {
      await until(`${proxy.program} takes connections`, () => proxy.isReady(), this.place.deadline);
    }
  }
}

/** Names of its own in place of the machine's (hosts(5)), and no server to ask for others. */
const namesFrom = (hosts: string): Loan => ({
  what: "file of names",
  options: [],
  prepare: `mount --bind '${hosts}' /etc/hosts && mount --bind /dev/null /etc/resolv.conf`,
});

/** What {@link Microsocks} with names takes. */
export const OWN_NAMES = namesFrom("/dev/null");

/** How microsocks is started. */
export interface MicrosocksStart {
  readonly proxies: 1 | 2;
  /** What names lead to, for the proxies and for nobody else. Without any, nothing is needed but the program. */
  readonly names?: Readonly<Record<string, string>>;
  /** Whom alone it serves. */
  readonly user?: SocksProgram["user"];
}

/** Proxies of microsocks, each with names of its own, as an exit has them that is elsewhere. */
export class Microsocks extends SocksGroup {
  /** Starts all and waits until they take connections. @throws Error with the last lines of output when they do not get there */
  static async start({ proxies: count, names, user }: MicrosocksStart): Promise<Microsocks> {
    const program = requireProgram("microsocks");
    return await this.launch({ name: "microsocks", ports: count, deadline: undefined }, async (place) => {
      const { folder, reserved: { ports } } = place;
      const hosts = `${folder}/hosts`;
      const lines = Object.entries(names ?? {}).map(([name, address]) => `${address} ${name}\n`);
      await Deno.writeTextFile(hosts, lines.join(""));
      const proxies = ports.map((port, i) => {
        const own = ["-i", LOOPBACK, "-p", String(port), ...user ? ["-u", user.name, "-P", user.password] : []];
        const command = [program, ...own];
        const named = commandOf(namesFrom(hosts), command);
        return new SocksProgram("microsocks", `s${i}`, port, user, names ? named : command, `${folder}/s${i}.log`);
      });
      return new Microsocks(proxies, place);
    });
  }
}

/** How tor is started. */
export interface TorStart {
  /** What names lead to, before it does anything with them (tor(1), MapAddress). */
  readonly names?: Readonly<Record<string, string>>;
}

/** A stream that was wanted of tor, as its control port tells (control-spec, 4.1.2). */
export interface TorStream {
  /** `name:port`. */
  readonly target: string;
  readonly username: string;
  readonly password: string;
  /** What keeps it from circuits of others. */
  readonly isolatedBy: readonly string[];
}

/** Of a network that nobody is in: no request comes further than to this machine's own address. */
const NOBODY = `nobody orport=1 v3ident=${"0".repeat(39)}1 ${LOOPBACK}:1 ${"0".repeat(39)}2`;

/** A tor that is alone: it shakes hands, and finds no way to anybody. */
export class Tor extends SocksGroup implements AsyncDisposable {
  /** Every stream that was wanted, in their order. */
  readonly streams: TorStream[] = [];
  #control: Deno.TcpConn | undefined;
  #listening: Promise<void> = Promise.resolve();

  static async start({ names = {} }: TorStart): Promise<Tor> {
    const program = requireProgram("tor");
    return await this.launch({ name: "tor", ports: 2, deadline: undefined }, async (place) => {
      const { folder, reserved: { ports: [socks, control] } } = place;
      const settings = {
        SocksPort: `${LOOPBACK}:${socks}`,
        ControlPort: `${LOOPBACK}:${control}`,
        DataDirectory: `${folder}/data`,
        ClientOnly: "1",
        UseDefaultFallbackDirs: "0",
        DirAuthority: NOBODY,
        OutboundBindAddress: LOOPBACK,
        GeoIPFile: "",
        GeoIPv6File: "",
      };
      const maps = Object.entries(names).map(([name, address]) => `MapAddress ${name} ${address}`);
      const lines = [...Object.entries(settings).map(([name, value]) => `${name} ${value}`), ...maps];
      await Deno.writeTextFile(`${folder}/torrc`, `${lines.join("\n")}\n`);
      await Deno.writeTextFile(`${folder}/defaults`, "");
      const command = [program, "-f", `${folder}/torrc`, "--defaults-torrc", `${folder}/defaults`];
      const proxy = new SocksProgram("tor", "t0", socks!, undefined, command, `${folder}/t0.log`);
      return new Tor([proxy], place);
    });
  }

  override async ready(): Promise<void> {
    await super.ready();
    const [, port] = this.place.reserved.ports;
    this.#control = await Deno.connect({ hostname: LOOPBACK, port: port! });
    await this.#control.write(new TextEncoder().encode("AUTHENTICATE\r\nSETEVENTS STREAM\r\n"));
    const heard = Promise.withResolvers<void>();
    this.#listening = this.#listen(this.#control, heard.resolve);
    await Promise.race([heard.promise, this.#listening]);
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]();
    await this.#listening;
    this.#control?.close();
  }

  /** @param ready called when whatever happens from now on is told */
  async #listen(control: Deno.TcpConn, ready: () => void): Promise<void> {
    const decoder = new TextDecoder();
    const buffer = new Uint8Array(65_536);
    let text = "", agreed = 0;
    try {
      for (let read = await control.read(buffer); read !== null; read = await control.read(buffer)) {
        text += decoder.decode(buffer.subarray(0, read), { stream: true });
        const lines = text.split("\r\n");
        text = lines.pop()!;
        for (const line of lines) {
          if (line === "250 OK" && ++agreed === 2) ready();
          const stream = streamIn(line);
          if (stream) this.streams.push(stream);
        }
      }
    } catch {
      // It was killed.
    }
  }
}

function streamIn(line: string): TorStream | undefined {
  const [, target] = /^650 STREAM \d+ NEW \d+ (\S+) .*\bPURPOSE=USER\b/.exec(line) ?? [];
  if (target === undefined) return undefined;
  const [, username = "", password = ""] = /\bSOCKS_USERNAME="(.*?)" SOCKS_PASSWORD="(.*?)"/.exec(line) ?? [];
  return { target, username, password, isolatedBy: /\bISO_FIELDS=(\S+)/.exec(line)?.[1]?.split(",") ?? [] };
}
