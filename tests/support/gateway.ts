import { TiedProcess } from "../engines/support/tied_process.ts";
import { until } from "../engines/support/wait.ts";
import { Client } from "./client.ts";
import { SecretBook } from "./secrets.ts";
import { type CacheDriverName, chosenCache, startTestCache, type TestCache } from "./test_cache.ts";
import { chosenDriver, type Driver, startTestDatabase, type TestDatabase } from "./test_database.ts";
import { chosenStorage, startTestStorage, type StorageDriverName, type TestStorage } from "./test_storage.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
/** Milliseconds for a gateway to serve. A machine that runs other tests at the same time is slow. */
const START_DEADLINE = 30_000;
/** Milliseconds for a gateway to end after it was asked to. */
const STOP_DEADLINE = 20_000;

/** Sections of the configuration, as the YAML file would hold them. */
export type Sections = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** How a gateway is started. */
export interface GatewayStart {
  /** Default `serve`. */
  readonly command?: "serve" | "dev";
  /** Default: the driver of this run. `dev` has no other than the embedded one. */
  readonly driver?: Driver;
  /** Default: the cache of this run. */
  readonly cacheDriver?: CacheDriverName;
  /** Default: the storage of this run; a folder where `dev` or `driver` asks for what is embedded. */
  readonly storageDriver?: StorageDriverName;
  /** Settings beyond the tests' own, which are: no rate limits, every log message, many namespaces for one wallet. */
  readonly config?: Sections;
  /** Leaves the tests' own settings away: the gateway is as its users have it. */
  readonly asShipped?: boolean;
  readonly flags?: readonly string[];
  /** A data folder that outlives the gateway. Default: one that goes with it. */
  readonly folder?: string;
  /** Databases that outlive the gateway, shared with another one. */
  readonly database?: TestDatabase;
  /** A cache that outlives the gateway, shared with another one. */
  readonly cache?: TestCache;
  /** Storage that outlives the gateway, shared with another one. */
  readonly storage?: TestStorage;
  /** Where secrets are noted; a restarted gateway goes on with the book of the one before. */
  readonly secrets?: SecretBook;
}

/** What a command printed, and how it ended. */
export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A gateway that runs as a process of its own, as it does in earnest. */
export class TestGateway extends Client implements AsyncDisposable {
  #defaultKey: Promise<string> | undefined;

  private constructor(
    url: string,
    secrets: SecretBook,
    readonly folder: string,
    readonly database: TestDatabase,
    readonly cache: TestCache,
    readonly storage: TestStorage,
    private readonly process: TiedProcess,
    private readonly files: { readonly config: string; readonly stdout: string; readonly stderr: string },
    private readonly owned: AsyncDisposable,
  ) {
    super(url, secrets);
  }

  /** Starts the program and waits until it serves. @throws Error with what it wrote when it does not get there */
  static async start(options: GatewayStart = {}): Promise<TestGateway> {
    const { command = "serve", config = {}, flags = [], secrets = new SecretBook() } = options;
    const driver = options.driver ?? (command === "dev" ? "sqlite" : chosenDriver());
    await using owned = new AsyncDisposableStack();
    const folder = options.folder ?? await temporaryFolder(owned);
    const database = options.database ?? owned.use(await startTestDatabase(driver));
    const cache = options.cache ?? owned.use(await startTestCache(options.cacheDriver ?? chosenCache()));
    const embedded = command === "dev" || options.driver === "sqlite";
    const storageDriver = options.storageDriver ?? (embedded ? "local" : chosenStorage());
    const storage = options.storage ?? owned.use(await startTestStorage(storageDriver));
    const name = crypto.randomUUID();
    const files = {
      config: `${folder}/${name}.yaml`,
      stdout: `${folder}/${name}.out`,
      stderr: `${folder}/${name}.err`,
    };
    const settings = merged(
      options.asShipped ? {} : TEST_CONFIG,
      database.config,
      cache.config,
      storage.config,
      config,
    );
    await Deno.writeTextFile(files.config, JSON.stringify(settings));
    const places = ["--config", files.config, "--data", dataOf(folder), "--listen", "127.0.0.1:0"];
    const program = programOf([command, ...places, ...flags]);
    const redirected = ["sh", "-c", 'err=$1; shift; exec "$@" 2>>"$err"', "gateway", files.stderr, ...program];
    const process = await TiedProcess.start(redirected, files.stdout);
    const url = await urlOf(command, process, files);
    if (url === undefined) {
      await process.kill();
      throw new Error(`the gateway did not start:\n${await textOf(files.stderr)}`);
    }
    return new TestGateway(url, secrets, folder, database, cache, storage, process, files, owned.move());
  }

  get pid(): number {
    return this.process.pid;
  }

  /** Where its embedded drivers keep what they hold. */
  get dataFolder(): string {
    return dataOf(this.folder);
  }

  /** Whether its nodes look on a network for what nobody has here: a pin of that is taken then, and waits. */
  get looksElsewhere(): boolean {
    return this.storage.driver === "ipfs";
  }

  /** Everything it wrote to standard error so far. */
  log(): string {
    return Deno.readTextFileSync(this.files.stderr);
  }

  /** Everything it wrote to standard output so far. */
  output(): string {
    return Deno.readTextFileSync(this.files.stdout);
  }

  /** Resident memory, in bytes (Linux). */
  memory(): number {
    const [, kilobytes] = /VmRSS:\s+(\d+) kB/.exec(Deno.readTextFileSync(`/proc/${this.pid}/status`)) ?? [];
    return Number(kilobytes) * 1024;
  }

  signal(signal: Deno.Signal): void {
    this.process.signal(signal);
  }

  /** How the process ended; waits until it has. */
  async exitCode(deadline = STOP_DEADLINE): Promise<number> {
    await until("the gateway ended", () => this.process.ended, deadline);
    return (await this.process.exit).code;
  }

  /** Asks it to end and waits until it did; kills it when it does not. @returns its exit code */
  async stop(): Promise<number> {
    try {
      if (!this.process.ended) this.process.signal("SIGTERM");
      return await this.exitCode();
    } finally {
      await this.process.kill();
    }
  }

  /** Runs another command of the program on the same configuration and data. */
  async cli(...args: readonly string[]): Promise<CommandResult> {
    const result = await runProgram([...args, "--config", this.files.config, "--data", this.dataFolder]);
    for (const line of result.stdout.split("\n")) this.secrets.read(line);
    return result;
  }

  /** Makes a key by the command line and gives it with its id. */
  async makeKey(...args: readonly string[]): Promise<{ readonly key: string; readonly id: string }> {
    const { code, stdout, stderr } = await this.cli("keys", "create", ...args);
    if (code !== 0) throw new Error(`keys create ${args.join(" ")}: ${stderr}`);
    const { api_key: key, id } = JSON.parse(stdout) as { api_key: string; id: string };
    return { key, id };
  }

  /** A key of the namespace `default`, which is made if need be. */
  defaultKey(): Promise<string> {
    return this.#defaultKey ??= this.makeKey("--namespace", "default", "--create-namespace").then(({ key }) => key);
  }

  /** Another gateway on the same databases. Embedded ones have room for one gateway alone. */
  async twin(): Promise<TestGateway> {
    const { database, cache, storage, secrets } = this;
    return await TestGateway.start({ database, cache, storage, secrets });
  }

  /** Ends it and everything that was started for it. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.stop();
    } finally {
      await this.owned[Symbol.asyncDispose]();
    }
  }
}

/** Runs the program to its end. @param env variables beside those of this process */
export async function runProgram(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<CommandResult> {
  const [program = "", ...rest] = programOf(args);
  const { code, stdout, stderr } = await new Deno.Command(program, { args: rest, env, stdin: "null" }).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** The command line that runs the program from its sources. */
export const programOf = (
  args: readonly string[],
): string[] => [Deno.execPath(), "run", "-A", "--quiet", `--config=${ROOT}deno.json`, `${ROOT}main.ts`, ...args];

const TEST_CONFIG: Sections = {
  limits: { key: { rate: 0 }, address: { rate: 0 }, credentials: { rate: 0 } },
  log: { level: "trace" },
  namespaces: { max_per_wallet: 1000 },
};

const dataOf = (folder: string) => `${folder}/data`;

async function temporaryFolder(owned: AsyncDisposableStack): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "orama-gateway-" });
  owned.defer(() => Deno.remove(folder, { recursive: true }));
  return folder;
}

/** The text of a file that may not be there yet. */
const textOf = (path: string) => Deno.readTextFile(path).catch(() => "");

/** Where a gateway that was just started listens, as it says itself; `undefined` when it ends instead. */
async function urlOf(
  command: "serve" | "dev",
  process: TiedProcess,
  { stdout, stderr }: { readonly stdout: string; readonly stderr: string },
): Promise<string | undefined> {
  // `dev` prints its line once the key is there as well, which is after it listens.
  const look = async () =>
    command === "dev"
      ? /^\{"url":"([^"]+)"/.exec(await textOf(stdout))?.[1]
      : /listening.*?url"?[=:]"?(http:[^\s",]+)/.exec(await textOf(stderr))?.[1];
  let url: string | undefined;
  const settled = async () => (url = await look()) !== undefined || process.ended;
  await until("the gateway serves", settled, START_DEADLINE).catch(() => {});
  return url;
}

/** Sections over sections, and groups over groups: a later setting replaces an earlier one. */
function merged(...all: readonly Sections[]): Sections {
  const result: Record<string, Record<string, unknown>> = {};
  for (const sections of all) {
    for (const [name, settings] of Object.entries(sections)) result[name] = over(result[name] ?? {}, settings);
  }
  return result;
}

function over(earlier: object, later: object): Record<string, unknown> {
  const result: Record<string, unknown> = { ...earlier };
  for (const [name, value] of Object.entries(later)) {
    const known = result[name];
    result[name] = isGroup(known) && isGroup(value) ? over(known, value) : value;
  }
  return result;
}

const isGroup = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value);
