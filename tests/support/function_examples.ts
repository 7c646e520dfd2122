/** The folder of an example, by its name. */
const folderOf = (name: string) => new URL(`../../examples/functions/${name}/`, import.meta.url);

/** Milliseconds for a program to say whether it is here. */
const PROBE = 20_000;
/** Milliseconds for a build that fetches what it needs first. */
const BUILD = 300_000;

/** An example in `examples/functions`, and whether it can be built here. */
export interface FunctionExample {
  readonly name: string;
  /** Why it cannot be built here; `undefined`: it can. */
  readonly lacks: string | undefined;
}

interface Ended {
  readonly success: boolean;
  readonly text: string;
}

async function run(command: readonly string[], cwd?: string, deadline = PROBE): Promise<Ended> {
  const [program, ...args] = command as [string, ...string[]];
  try {
    const { success, stdout, stderr } = await new Deno.Command(program, {
      args,
      ...(cwd !== undefined && { cwd }),
      stdin: "null",
      signal: AbortSignal.timeout(deadline),
    }).output();
    return { success, text: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr) };
  } catch {
    return { success: false, text: "it could not be run" };
  }
}

const works = async (...command: readonly string[]) => (await run(command)).success;

/** Whether there is a Rust with the target, and what the example builds on is here or can be fetched. */
async function rust(name: string, target: string): Promise<string | undefined> {
  const { success, text } = await run(["rustc", "--print", "target-libdir", "--target", target]);
  const there = success && await Deno.stat(text.trim()).then(() => true, () => false);
  if (!there) return `Rust with the target ${target}`;
  const manifest = new URL("Cargo.toml", folderOf(name)).pathname;
  return await works("cargo", "fetch", "--locked", "--manifest-path", manifest) ? undefined : "crates.io";
}

async function c(): Promise<string | undefined> {
  const found = await works("zig", "version") || await works("python3", "-c", "import ziglang") ||
    Deno.env.has("WASI_SYSROOT") && await works("wasm-ld", "--version");
  return found ? undefined : "zig, or clang and WASI_SYSROOT";
}

async function go(): Promise<string | undefined> {
  const { text } = await run(["go", "env", "GOVERSION"]);
  const [, minor] = /^go1\.(\d+)/.exec(text) ?? [];
  return Number(minor) >= 24 ? undefined : "go 1.24";
}

async function assemblyScript(): Promise<string | undefined> {
  const asc = ["npx", "--yes", "--package=assemblyscript@0.28.20", "asc", "--version"];
  return await works(...asc) ? undefined : "npx that can fetch assemblyscript";
}

/** All examples. */
export async function functionExamples(): Promise<readonly FunctionExample[]> {
  const lacks: Readonly<Record<string, Promise<string | undefined>>> = {
    rust: rust("rust", "wasm32-wasip1"),
    c: c(),
    go: go(),
    assemblyscript: assemblyScript(),
    "extism-rust": rust("extism-rust", "wasm32-unknown-unknown"),
  };
  return await Promise.all(Object.entries(lacks).map(async ([name, lacks]) => ({ name, lacks: await lacks })));
}

/** Builds an example in a copy of its folder. @returns the module @throws Error with what the compiler said */
export async function buildExample(name: string): Promise<Uint8Array<ArrayBuffer>> {
  const folder = await Deno.makeTempDir({ prefix: "orama-function-" });
  try {
    const copied = await run(["cp", "-R", `${folderOf(name).pathname}.`, folder]);
    const built = copied.success ? await run(["sh", `${folder}/build.sh`], folder, BUILD) : copied;
    if (!built.success) throw new Error(`${name} was not built:\n${built.text}`);
    return await Deno.readFile(`${folder}/greet.wasm`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
