/** Whether processes can be looked up here. */
export const CAN_SEE_PROCESSES = Deno.build.os === "linux";

/**
 * Process ids of the hosts that a process has started, those of one kind (Linux: proc(5)).
 * @param marked what stands in their command line: test files that run at once have one parent
 */
export function hostsOf(parent: number, kind = "sql", marked = ""): number[] {
  const found: number[] = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const [, state, of] = /\) (\S) (\d+) /.exec(Deno.readTextFileSync(`/proc/${name}/stat`)) ?? [];
      if (state === "Z" || Number(of) !== parent) continue;
      const command = Deno.readTextFileSync(`/proc/${name}/cmdline`);
      if (command.endsWith(`\0host\0${kind}\0${parent}\0`) && command.includes(marked)) found.push(Number(name));
    } catch {
      // It has ended meanwhile.
    }
  }
  return found;
}

/** The one host that has a namespace's file open. @param file its path: tests of one process have namespaces of one name */
export function hostOf(parent: number, file: string): number | undefined {
  return hostsOf(parent).find((pid) => {
    try {
      return [...Deno.readDirSync(`/proc/${pid}/fd`)].some(({ name }) =>
        Deno.readLinkSync(`/proc/${pid}/fd/${name}`) === file
      );
    } catch {
      return false;
    }
  });
}

/** Whether a process is there and no zombie. */
export function isThere(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
  } catch {
    return false;
  }
}

/** Seconds of processor time that a process has used (Linux: proc(5), stat); 0 for one that is not there. */
export function processorSeconds(pid: number): number {
  try {
    const fields = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1]!.split(" ");
    return (Number(fields[11]) + Number(fields[12])) / 100;
  } catch {
    return 0;
  }
}
