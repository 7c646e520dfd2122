import { HOST_CALLS, type HostCallName } from "../../../../../services/functions/modules/imports.ts";

/** What the module is run with. */
interface Surroundings {
  readonly input?: string;
  /** What each host call gives: bytes as text. Called with texts and numbers. */
  readonly call?: (
    name: HostCallName,
    args: readonly (string | number | bigint)[],
  ) => string | number | bigint | undefined;
}

/** Ends a guest that asked for it. */
export class Exit extends Error {
  constructor(readonly code: number) {
    super(`exit ${code}`);
  }
}

/** Runs a WASI command as far as the corpus needs it, to see that its modules do what they say. @returns what it wrote */
export function run(wasm: BufferSource, { input = "", call = () => undefined }: Surroundings = {}): string {
  let left = new TextEncoder().encode(input);
  const output: Uint8Array[] = [];
  const exported = () => instance.exports as Record<string, unknown>;
  const memory = () => new Uint8Array((exported()["memory"] as WebAssembly.Memory).buffer);
  const u32 = (at: number) => new DataView(memory().buffer).getUint32(at, true);
  const text = (at: number, length: number) => new TextDecoder().decode(memory().slice(at, at + length));
  const put = (answer: string): bigint => {
    const bytes = new TextEncoder().encode(answer);
    const at = (exported()["orama_alloc"] as (size: number) => number)(bytes.length);
    memory().set(bytes, at);
    return BigInt(at) << 32n | BigInt(bytes.length);
  };
  const hostCall = (name: HostCallName) => (...given: (number | bigint)[]) => {
    const { takes, gives } = HOST_CALLS[name];
    const numbers = given[Symbol.iterator]();
    const next = () => numbers.next().value!;
    const answer = call(name, takes.map((each) => each === "bytes" ? text(Number(next()), Number(next())) : next()));
    if (gives === "nothing") return;
    if (gives !== "bytes") return gives === "i64" ? BigInt(answer ?? 0) : Number(answer ?? 0);
    return answer === undefined ? 0n : put(String(answer));
  };
  const instance = new WebAssembly.Instance(new WebAssembly.Module(wasm), {
    wasi_snapshot_preview1: {
      fd_read: (_fd: number, iovec: number, _count: number, read: number) => {
        const part = left.subarray(0, Math.min(left.length, u32(iovec + 4)));
        memory().set(part, u32(iovec));
        left = left.subarray(part.length);
        new DataView(memory().buffer).setUint32(read, part.length, true);
        return 0;
      },
      fd_write: (_fd: number, iovec: number, _count: number, written: number) => {
        output.push(memory().slice(u32(iovec), u32(iovec) + u32(iovec + 4)));
        new DataView(memory().buffer).setUint32(written, u32(iovec + 4), true);
        return 0;
      },
      proc_exit: (code: number) => {
        throw new Exit(code);
      },
    },
    env: Object.fromEntries((Object.keys(HOST_CALLS) as HostCallName[]).map((name) => [name, hostCall(name)])),
  });
  (exported()["_start"] as () => void)();
  return output.map((part) => new TextDecoder().decode(part)).join("");
}
