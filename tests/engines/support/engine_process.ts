import { PortReservation } from "./ports.ts";
import type { Program } from "./programs.ts";
import { TiedProcess } from "./tied_process.ts";
import { Hopeless } from "./wait.ts";

/** One program of an engine, which can be hurt. */
export class EngineProcess {
  #process: TiedProcess | undefined = undefined;

  /** @param log path of a file that gets what it writes, over all its starts */
  constructor(
    readonly program: Program,
    readonly id: string,
    private readonly command: readonly string[],
    readonly log: string,
  ) {}

  /** Whether its process has ended though nobody here ended it. */
  get ended(): boolean {
    return this.#process?.ended ?? false;
  }

  /** Starts it, for the first time or again on what it has on disk, and does not wait until it is ready. */
  async start(): Promise<void> {
    this.#process = await TiedProcess.start(this.command, this.log);
  }

  /** `kill -9`; comes back when the process is gone. */
  async kill(): Promise<void> {
    await this.#process?.kill();
    this.#process = undefined;
  }

  /** `kill -9` and a new start; does not wait until it is ready. */
  async restart(): Promise<void> {
    await this.kill();
    await this.start();
  }

  /** `SIGSTOP`: its connections stay open and nobody answers. */
  pause(): void {
    this.#process?.signal("SIGSTOP");
  }

  /** `SIGCONT`. */
  resume(): void {
    this.#process?.signal("SIGCONT");
  }

  /** `SIGTERM`, as from somebody else: nobody told this object that its process ends. */
  terminate(): void {
    this.#process?.signal("SIGTERM");
  }

  /** @throws Hopeless with its last words when its process has ended by itself */
  assertRuns(): void {
    if (this.ended) throw new Hopeless(`${this.program} ${this.id} ended by itself\n${this.tail()}`);
  }

  /** Its last lines of output; none before it was started. */
  tail(): string {
    if (this.#process !== undefined) return this.#process.tail();
    try {
      return Deno.readTextFileSync(this.log).slice(-2_000);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return "";
      throw error;
    }
  }
}

/** Where the programs of a group have their files, and which ports are theirs. */
export interface EnginePlace {
  readonly folder: string;
  readonly reserved: PortReservation;
  /** Milliseconds for all of them to become ready. */
  readonly deadline: number;
}

/** What a group is started with. */
export interface EngineLaunch {
  /** Name of the engine. */
  readonly name: string;
  readonly ports: number;
  /** Milliseconds for all programs to become ready. Default 30,000. */
  readonly deadline: number | undefined;
}

/** Programs that belong together, with what they have in a temporary folder that goes with them. */
export abstract class EngineGroup implements AsyncDisposable {
  protected constructor(private readonly processes: readonly EngineProcess[], protected readonly place: EnginePlace) {}

  /** Waits until all programs are ready. */
  abstract ready(): Promise<void>;

  /** Starts all programs of a group and waits until they are ready. @throws Error with the last lines of output when they do not get there */
  protected static async launch<Group extends EngineGroup>(
    { name, ports, deadline = 30_000 }: EngineLaunch,
    make: (place: EnginePlace) => Promise<Group>,
  ): Promise<Group> {
    const folder = await Deno.makeTempDir({ prefix: `orama-${name.toLowerCase().replaceAll(" ", "-")}-` });
    const place = { folder, reserved: PortReservation.take(ports), deadline };
    let group: Group | undefined;
    try {
      group = await make(place);
      await Promise.all(group.processes.map((process) => process.start()));
      await group.ready();
      return group;
    } catch (cause) {
      const logs = group?.tails() ?? "";
      await (group === undefined ? leave(place) : group[Symbol.asyncDispose]());
      throw new Error(`${name} did not start\n${logs}`, { cause });
    }
  }

  /** The last lines of output of each program, for the message of a failed test. */
  tails(): string {
    return this.processes.map((process) =>
      `--- ${process.program} ${process.id}, last lines of output\n${process.tail()}`
    ).join("\n");
  }

  /** Kills all programs and removes what they had. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.processes.map((process) => process.kill()));
    await leave(this.place);
  }
}

async function leave({ folder, reserved }: EnginePlace): Promise<void> {
  reserved[Symbol.dispose]();
  await Deno.remove(folder, { recursive: true });
}
