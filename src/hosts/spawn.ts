import { HOST_COMMAND, type HostKind } from "./kinds.ts";
import { UntilEnd } from "./pipe.ts";
import type { FrameBounds } from "./protocol.ts";

/** What a host may do when it starts. It gives all of it back before it serves, but for {@link HostRights.net}. */
export interface HostRights {
  /** Files and folders it may read. */
  readonly read?: readonly string[];
  /** Files and folders it may write. */
  readonly write?: readonly string[];
  /** Where it may connect to, and listen; without it nowhere. */
  readonly net?: {
    /** Hosts, addresses and ranges, with ports or without, and `unix:` with a path; none for all. */
    readonly allow: readonly string[];
    /** Addresses and ranges, names included that resolve to them, whatever is allowed. */
    readonly deny: readonly string[];
  };
}

/** What is started as a host. */
export interface HostProgram extends FrameBounds {
  readonly kind: HostKind;
  /** Another file than the gateway's own; for tests. */
  readonly script?: string;
  readonly rights?: HostRights;
  /** A file with certificates of authorities that it trusts beside those of the system, in PEM. Not for a compiled file. */
  readonly certificates?: string;
  /** Megabytes of V8's heap. */
  readonly heap?: number;
  /** Pages of 64 KiB that any memory of WebAssembly may have. */
  readonly wasmPages?: number;
  /** A command that becomes the host's: `["nice", "-n", "5"]`. It must not fork. */
  readonly wrap?: readonly string[];
}

/** A child process with a pipe each way. */
export interface HostProcess {
  readonly pid: number;
  /** What it writes to standard output, until it has ended, whoever else has the pipe open then. */
  readonly output: AsyncIterable<Uint8Array>;
  /** How it ended, in words. Never rejects. */
  readonly exited: Promise<string>;
  /** @throws when it no longer reads */
  write(bytes: Uint8Array): Promise<void>;
  /** Tells it that nothing more will come. */
  closeInput(): void;
  /** SIGKILL, to the process and all that it forked and that is in its group yet. */
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
  const args = [
    ...Deno.build.standalone ? [] : runArguments(program),
    HOST_COMMAND,
    program.kind,
    String(Deno.pid),
  ];
  const [command = Deno.execPath(), ...wrapped] = [...program.wrap ?? [], Deno.execPath()];
  const child = new Deno.Command(command, {
    args: [...wrapped, ...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    clearEnv: true,
    env: environment(program),
    detached: true,
  }).spawn();
  const input = child.stdin.getWriter();
  // Whoever writes learns of a broken pipe by the write itself.
  input.closed.catch(() => {});
  const errors = new UntilEnd(child.stderr), output = new UntilEnd(child.stdout);
  const lines = readLines(errors, onLine);
  let gone = false;
  const kill = () => {
    if (gone) return;
    try {
      // It leads a group and a session of its own.
      if (Deno.build.os === "windows") child.kill("SIGKILL");
      else Deno.kill(-child.pid, "SIGKILL");
    } catch {
      // It has ended already.
    }
  };
  return {
    pid: child.pid,
    output,
    exited: child.status.then(async ({ code, signal }) => {
      // What it forked has no business without it. Its id is nobody else's while somebody is in the group.
      kill();
      gone = true;
      output.end(REST);
      errors.end(REST);
      await lines;
      return signal ? `signal ${signal}` : `exit code ${code}`;
    }),
    write: (bytes) => input.write(bytes),
    closeInput: () => void input.close().catch(() => {}),
    kill,
  };
}

/** Milliseconds between two looks at a standard error whose lines are dropped. */
const DROP = 5;
/** Milliseconds for which a pipe is read after the end of the process, when somebody else has it open yet. */
const REST = 100;

/** Deno finds its cache of compiled sources by these; nothing else of the environment is a host's business. */
function environment(program: HostProgram): Record<string, string> {
  const names = ["DENO_DIR", "HOME", "XDG_CACHE_HOME", "LOCALAPPDATA", "SystemRoot"];
  const flags = v8Flags(program);
  return Object.fromEntries([
    ...names.flatMap((name) => {
      const value = Deno.env.get(name);
      return value === undefined ? [] : [[name, value]];
    }),
    // The only way to give a compiled file flags. From the sources they stand among the arguments as well.
    ...flags.length === 0 ? [] : [["DENO_V8_FLAGS", flags.join(",")]],
  ]);
}

const v8Flags = ({ heap, wasmPages }: HostProgram): string[] => [
  ...heap === undefined ? [] : [`--max-old-space-size=${heap}`],
  // As a whole when it is loaded, not bit by bit while a call's clock runs: what takes too long is found at the deploy.
  ...wasmPages === undefined ? [] : [`--wasm-max-mem-pages=${wasmPages}`, "--no-wasm-lazy-compilation"],
];

function runArguments(program: HostProgram): string[] {
  const { script = ownScript(), certificates, rights: { read = [], write = [], net } = {} } = program;
  const flags = v8Flags(program);
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
    // Compiled code is kept in a file that the process holds open for writing: what breaks out of a guest must not write what others run.
    ...program.kind === "function" ? ["--no-code-cache"] : [],
    ...flags.length === 0 ? [] : [`--v8-flags=${flags.join(",")}`],
    ...certificates === undefined ? [] : [`--cert=${certificates}`],
    ...list("read", read),
    ...list("write", write),
    ...net?.allow.length === 0 ? ["--allow-net"] : [],
    ...list("net", net?.allow ?? []),
    ...net && net.deny.length > 0 ? [`--deny-net=${net.deny.join(",")}`] : [],
    script,
  ];
}

/** Among the sources, what loads least; else the one file that all was bundled into. */
function ownScript(): string {
  const here = import.meta.url;
  return here.endsWith("/src/hosts/spawn.ts") ? new URL("../cli/host.ts", here).href : here;
}

async function readLines(stream: AsyncIterable<Uint8Array>, onLine: (line: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  let left = MAX_STDERR, rest = "";
  for await (const chunk of stream) {
    if (left <= 0) {
      // Whoever writes without end waits for the pipe, not this process for it.
      await new Promise((resolve) => setTimeout(resolve, DROP));
      continue;
    }
    const lines = (rest + decoder.decode(chunk.subarray(0, left), { stream: true })).split("\n");
    left -= chunk.length;
    rest = lines.pop()!;
    lines.forEach((line) => line && onLine(line));
    if (left <= 0) onLine("(more lines of this host are dropped)");
  }
  if (rest) onLine(rest);
}
