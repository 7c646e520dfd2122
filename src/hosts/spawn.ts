import { HOST_COMMAND, type HostKind } from "./kinds.ts";

/** What a host may do when it starts. It gives all of it back before it serves. */
export interface HostRights {
  /** Files and folders it may read. */
  readonly read?: readonly string[];
  /** Files and folders it may write. */
  readonly write?: readonly string[];
}

/** What is started as a host. */
export interface HostProgram {
  readonly kind: HostKind;
  /** Another file than the gateway's own; for tests. */
  readonly script?: string;
  readonly rights?: HostRights;
  /** Megabytes of V8's heap. */
  readonly heap?: number;
}

/** A child process with a pipe each way. */
export interface HostProcess {
  readonly pid: number;
  /** What it writes to standard output, to its end. */
  readonly output: AsyncIterable<Uint8Array>;
  /** How it ended, in words. Never rejects. */
  readonly exited: Promise<string>;
  /** @throws when it no longer reads */
  write(bytes: Uint8Array): Promise<void>;
  /** Tells it that nothing more will come. */
  closeInput(): void;
  /** SIGKILL. */
  kill(): void;
}

/** Bytes of standard error that a host may write into the log in its life. */
const MAX_STDERR = 16 * 1024;

/**
 * Starts a host: from the sources with exactly its rights, from a compiled file with the rights of the build, which it then gives
 * back. Its environment is empty, and it is no member of this process's group, so that Ctrl-C at a terminal is for the gateway
 * alone to handle.
 */
export function spawnHost(program: HostProgram, onLine: (line: string) => void): HostProcess {
  const child = new Deno.Command(Deno.execPath(), {
    args: [...Deno.build.standalone ? [] : runArguments(program), HOST_COMMAND, program.kind, String(Deno.pid)],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    clearEnv: true,
    env: environment(),
    detached: true,
  }).spawn();
  const input = child.stdin.getWriter();
  // Whoever writes learns of a broken pipe by the write itself.
  input.closed.catch(() => {});
  const lines = readLines(child.stderr, onLine);
  return {
    pid: child.pid,
    output: child.stdout,
    exited: child.status.then(async ({ code, signal }) => {
      await lines;
      return signal ? `signal ${signal}` : `exit code ${code}`;
    }),
    write: (bytes) => input.write(bytes),
    closeInput: () => void input.close().catch(() => {}),
    kill() {
      try {
        child.kill("SIGKILL");
      } catch {
        // It has ended already.
      }
    },
  };
}

/** Deno finds its cache of compiled sources by these; nothing else of the environment is a host's business. */
function environment(): Record<string, string> {
  const names = ["DENO_DIR", "HOME", "XDG_CACHE_HOME", "LOCALAPPDATA", "SystemRoot"];
  return Object.fromEntries(names.flatMap((name) => {
    const value = Deno.env.get(name);
    return value === undefined ? [] : [[name, value]];
  }));
}

function runArguments(program: HostProgram): string[] {
  const { script = ownScript(), rights: { read = [], write = [] } = {}, heap } = program;
  const list = (name: string, paths: readonly string[]) =>
    paths.length === 0 ? [] : [`--allow-${name}=${paths.map((path) => path.replaceAll(",", ",,")).join(",")}`];
  return [
    "run",
    "--quiet",
    "--no-prompt",
    "--no-config",
    "--no-lock",
    "--no-remote",
    "--no-npm",
    "--cached-only",
    ...heap === undefined ? [] : [`--v8-flags=--max-old-space-size=${heap}`],
    ...list("read", read),
    ...list("write", write),
    script,
  ];
}

/** Among the sources, what loads least; else the one file that all was bundled into. */
function ownScript(): string {
  const here = import.meta.url;
  return here.endsWith("/src/hosts/spawn.ts") ? new URL("../cli/host.ts", here).href : here;
}

async function readLines(stream: ReadableStream<Uint8Array>, onLine: (line: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  let left = MAX_STDERR, rest = "";
  for await (const chunk of stream) {
    if (left <= 0) continue;
    const lines = (rest + decoder.decode(chunk.subarray(0, left), { stream: true })).split("\n");
    left -= chunk.length;
    rest = lines.pop()!;
    lines.forEach((line) => line && onLine(line));
    if (left <= 0) onLine("(more lines of this host are dropped)");
  }
  if (rest) onLine(rest);
}
