/** A server under test. */
export interface Running {
  readonly pid: number;
  /** The first line that it wrote to standard output. */
  readonly firstLine: string;
  /** Milliseconds from its start to that line. */
  readonly startup: number;
  stop(): Promise<void>;
}

/** Starts a gateway the way the tasks `dev` and `serve` do. @param args what follows `main.ts` */
export const startGateway = (args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Running> =>
  start(["--v8-flags=--max-semi-space-size=4", "main.ts", ...args], env);

/** Starts a program with this Deno and waits for the first line of its standard output. */
export async function start(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Running> {
  const begun = performance.now();
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", ...args],
    stdout: "piped",
    stderr: "null",
    env,
  }).spawn();
  const reader = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`${args.join(" ")} ended before it was ready`);
    text += value;
  }
  const firstLine = text.slice(0, text.indexOf("\n"));
  const startup = performance.now() - begun;
  return {
    pid: process.pid,
    firstLine,
    startup,
    async stop() {
      process.kill("SIGTERM");
      await process.status;
      await reader.cancel();
    },
  };
}
