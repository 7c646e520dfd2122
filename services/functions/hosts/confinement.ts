/** What keeps hosts from harm on this machine. */
export interface Confinement {
  /** A command that becomes the host's. */
  readonly wrap: readonly string[];
  /** By name, whether it is in force. */
  readonly inForce: Readonly<Record<string, boolean>>;
}

interface Measure {
  readonly name: string;
  readonly program: string;
  /** Arguments to try, the best first. */
  readonly tries: readonly (readonly string[])[];
}

/** Files that a host may have open: its pipes, and what the engine needs. */
const MAX_FILES = 64;

/**
 * In this order, because each becomes the next: what needs a right comes before the rights are gone. Nothing of it forks, so that the
 * process which was started is the host.
 */
const MEASURES: readonly Measure[] = [
  { name: "limits", program: "prlimit", tries: [["--core=0", `--nofile=${MAX_FILES}`]] },
  {
    name: "no_network",
    program: "unshare",
    tries: [["--net"], ["--user", "--map-current-user", "--net"]],
  },
  {
    name: "no_capabilities",
    program: "setpriv",
    tries: [["--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all"], [
      "--inh-caps=-all",
      "--ambient-caps=-all",
    ]],
  },
  { name: "no_new_privileges", program: "setpriv", tries: [["--no-new-privs"]] },
];

/** Nothing but what a host does to itself. */
export const UNCONFINED: Confinement = {
  wrap: [],
  inForce: Object.fromEntries(MEASURES.map(({ name }) => [name, false])),
};

/**
 * Finds out what is there, by trying it. Takes some milliseconds, and never fails.
 * @param works whether a command ends well; by default it is run
 */
export async function findConfinement(works: Works = runs): Promise<Confinement> {
  if (Deno.build.os !== "linux") return UNCONFINED;
  const found = await Promise.all(MEASURES.map((measure) => firstThatWorks(measure, works)));
  const suits = (commands: Found) => works([...commands.flatMap((one) => one ?? []), Deno.execPath(), "--version"]);
  // Each alone works; so must all of them with the program itself. What does not suit the others is left out, and nothing else.
  if (await suits(found)) return inForceOf(found);
  let kept: Found = found.map(() => undefined);
  for (const [at, command] of found.entries()) {
    const more = command && kept.with(at, command);
    if (more && await suits(more)) kept = more;
  }
  return inForceOf(kept);
}

type Works = (command: readonly string[]) => Promise<boolean>;
/** The command of each measure; `undefined` for one that is not there. */
type Found = readonly (readonly string[] | undefined)[];

const inForceOf = (found: Found): Confinement => ({
  wrap: found.flatMap((command) => command ?? []),
  inForce: Object.fromEntries(MEASURES.map(({ name }, at) => [name, found[at] !== undefined])),
});

async function firstThatWorks({ program, tries }: Measure, works: Works): Promise<readonly string[] | undefined> {
  const path = await pathOf(program);
  if (path === undefined) return undefined;
  for (const args of tries) {
    if (await works([path, ...args, path, "--version"])) return [path, ...args];
  }
  return undefined;
}

/** Where the system's own folders have it: others may be anybody's. */
async function pathOf(program: string): Promise<string | undefined> {
  for (const folder of ["/usr/bin", "/bin", "/usr/sbin", "/sbin"]) {
    const path = `${folder}/${program}`;
    if (await Deno.stat(path).then(({ isFile }) => isFile, () => false)) return path;
  }
  return undefined;
}

async function runs([command, ...args]: readonly string[]): Promise<boolean> {
  if (command === undefined) return false;
  try {
    const child = new Deno.Command(command, { args, stdin: "null", stdout: "null", stderr: "null", clearEnv: true });
    return (await child.output()).success;
  } catch {
    return false;
  }
}
