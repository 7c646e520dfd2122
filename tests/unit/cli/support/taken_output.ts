import process from "node:process";

/** What a command came to. */
export interface Outcome<Code> {
  readonly code: Code;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command in this process and takes what it writes, by Deno or by Node's streams. */
export async function withTakenOutput<Code>(work: () => Promise<Code>): Promise<Outcome<Code>> {
  const written = { stdout: "", stderr: "" };
  const taken = (name: keyof typeof written) => {
    const [ours, nodes] = [Deno[name], process[name]];
    const before = { ours: ours.writeSync, nodes: nodes.write };
    const take = (data: Uint8Array | string) => {
      written[name] += typeof data === "string" ? data : new TextDecoder().decode(data);
      return data.length;
    };
    ours.writeSync = take;
    nodes.write = ((data: Uint8Array | string) => take(data) >= 0) as typeof nodes.write;
    return () => {
      ours.writeSync = before.ours;
      nodes.write = before.nodes;
    };
  };
  const restore = [taken("stdout"), taken("stderr")];
  try {
    return { code: await work(), ...written };
  } finally {
    restore.forEach((one) => one());
  }
}
