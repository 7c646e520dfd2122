/**
 * Runs a program that must not outlive this process, and prints its process id first. A shell stands between the two: it
 * holds the end of a pipe that closes when this process ends, however it ends, and then kills the program. The usual ways
 * (`setpriv --pdeathsig`, `prctl`) exist on Linux alone and follow the thread that started the program, not the process. Signals
 * that end a whole group of processes, such as those of `timeout`, leave the shell alone, or nobody would kill the program.
 */
const TIE = `exec 3<&0
log=$1; shift
"$@" </dev/null >>"$log" 2>&1 3<&- &
child=$!
echo $child
trap '' HUP INT TERM
(cat <&3 >/dev/null; kill -9 $child) 2>/dev/null &
wait $child
code=$?
kill $! 2>/dev/null
exit $code`;

/** A program that ends with this process at the latest. */
export class TiedProcess {
  #ended = false;

  private constructor(
    /** Of the program itself. */
    readonly pid: number,
    /** Where its output goes. */
    readonly log: string,
    readonly exit: Promise<Deno.CommandStatus>,
    private readonly tie: WritableStream<Uint8Array>,
  ) {
    exit.then(() => this.#ended = true);
  }

  /** @param log path of a file that gets what the program writes; it is appended to */
  static async start(command: readonly string[], log: string): Promise<TiedProcess> {
    const args = ["-c", TIE, "tie", log, ...command];
    const shell = new Deno.Command("sh", { args, stdin: "piped", stdout: "piped", stderr: "null" }).spawn();
    const reader = shell.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let line = "";
    while (!line.includes("\n")) {
      const { value, done } = await reader.read();
      if (done) throw new Error(`cannot start ${command[0]}`);
      line += value;
    }
    await reader.cancel();
    return new TiedProcess(Number(line), log, shell.status, shell.stdin);
  }

  /** Whether it has ended. */
  get ended(): boolean {
    return this.#ended;
  }

  signal(signal: Deno.Signal): void {
    Deno.kill(this.pid, signal);
  }

  /** Kills it without notice, as a power cut would, and waits until it is gone. */
  async kill(): Promise<void> {
    try {
      if (!this.#ended) this.signal("SIGKILL");
    } catch (error) {
      // It ended by itself, and the shell has not told yet.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    await this.exit;
    await this.tie.close().catch(() => {});
  }

  /** The last lines it wrote. */
  tail(lines = 15): string {
    return Deno.readTextFileSync(this.log).trimEnd().split("\n").slice(-lines).join("\n");
  }
}
