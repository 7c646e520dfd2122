import process from "node:process";
import { type Engines, engineTest } from "./engine_test.ts";
import type { Program } from "./programs.ts";
import { TiedProcess } from "./tied_process.ts";

const CONFIG = new URL("../../../deno.json", import.meta.url).pathname;

/** What a process can have for itself, if the system gives it. */
export interface Loan {
  /** What that is, such as `network`. */
  readonly what: string;
  /** Of `unshare`, beside a file system of its own. */
  readonly options: readonly string[];
  /** Shell command that runs before the program. */
  readonly prepare: string;
  /** Shell command that succeeds, after the other, where the program can run. Default: none. */
  readonly probe?: string;
}

/** The same for a test. */
export interface Own extends Loan {
  /** Set in the process that has it. */
  readonly variable: string;
}

/** Why a thing cannot be had here, by what it is; `undefined`: it can. */
const found = new Map<string, string | undefined>();

/** Says that a machine gives nobody the right to make namespaces, and that whoever runs the tests knows. */
const CANNOT = "TEST_NO_NAMESPACES";

/**
 * What becomes of a test that wants something for itself. Where engines are required, so is this: what a machine cannot do must
 * be said, or the test would be missed by nobody.
 * @param missing why it cannot be had; `undefined`: it can
 * @param variable of the environment, by its name
 */
export function fateOf(
  missing: string | undefined,
  variable: (name: string) => string | undefined,
): "runs" | "ignored" | "fails" {
  if (missing === undefined) return "runs";
  return variable("TEST_ENGINES_REQUIRED") === "1" && variable(CANNOT) !== "1" ? "fails" : "ignored";
}

/**
 * A test in a process that has something for itself, which goes with it. That takes Linux and the right to make namespaces;
 * without these the test counts as ignored, and its name says what was missing. With `TEST_ENGINES_REQUIRED=1` it fails instead,
 * unless `TEST_NO_NAMESPACES=1` says that it cannot be otherwise.
 * @param file of the test, `import.meta.url`: the process runs it anew
 */
export function ownTest(
  own: Own,
  file: string,
  name: string,
  needs: readonly Program[],
  run: (engines: Engines) => Promise<void>,
): void {
  if (Deno.env.has(own.variable)) return engineTest(name, needs, run);
  lenderTest(own, name, needs, () => inProcess(own, file, name));
}

/**
 * A test that starts programs which have something for themselves ({@link commandOf}), and has it not itself. What becomes of it where
 * that cannot be is as with {@link ownTest}.
 */
export function lenderTest(
  own: Loan,
  name: string,
  needs: readonly Program[],
  run: (engines: Engines) => Promise<void>,
): void {
  if (!found.has(own.what)) found.set(own.what, whatIsMissing(own));
  const missing = found.get(own.what);
  const fate = fateOf(missing, (variable) => Deno.env.get(variable));
  if (fate === "runs") return engineTest(name, needs, run);
  const reason = `no ${own.what} of its own: ${missing}`;
  Deno.test({
    name: `${name} [${reason}]`,
    ignore: fate === "ignored",
    fn() {
      throw new Error(`${reason}. Run this as root on Linux, or set ${CANNOT}=1 where that cannot be.`);
    },
  });
}

/** The command line that runs another one with what it wants. Whoever is not root becomes root of what is its own alone. */
export function commandOf({ options, prepare }: Loan, command: readonly string[]): string[] {
  const mapped = process.getuid?.() === 0 ? [] : ["--map-root-user"];
  return ["unshare", ...mapped, "--mount", ...options, "sh", "-c", `${prepare} && exec "$@"`, "sh", ...command];
}

/** Found out by having it. */
function whatIsMissing(own: Loan): string | undefined {
  const [program, ...args] = commandOf(own, ["sh", "-c", own.probe ?? "true"]);
  try {
    const { success, stderr } = new Deno.Command(program!, { args, stdout: "null" }).outputSync();
    return success ? undefined : new TextDecoder().decode(stderr).trim().split("\n")[0] || "it failed";
  } catch (error) {
    return String(error);
  }
}

async function inProcess(own: Own, file: string, name: string): Promise<void> {
  const log = await Deno.makeTempFile({ prefix: `orama-own-${own.what}-` });
  const exactly = `/^${RegExp.escape(name)}$/`;
  const path = new URL(file).pathname;
  const test = [Deno.execPath(), "test", "-A", "--no-check", "--config", CONFIG, "--filter", exactly, path];
  const process = await TiedProcess.start(["env", `${own.variable}=1`, "NO_COLOR=1", ...commandOf(own, test)], log);
  try {
    const { code } = await process.exit;
    const text = Deno.readTextFileSync(log);
    if (code !== 0 || !/\b1 passed\b/.test(text)) throw new Error(`with a ${own.what} of its own:\n${text}`);
    const told = [...text.matchAll(/^-+ output -+\n([^]*?)^-+ output end -+$/gm)].map(([, lines]) => lines).join("");
    await Deno.stdout.write(new TextEncoder().encode(told));
  } finally {
    await process.kill();
    await Deno.remove(log);
  }
}
