/** Milliseconds for a listener on this machine to answer. */
const PATIENCE = 2_000;
/** The greeting of a client that can do without a password (RFC 1928, 3). */
const GREETING = Uint8Array.of(5, 1, 0);

/** Where something listens on this machine. */
export interface LocalPort {
  readonly port: number;
  /** Milliseconds that it may take. Default: 2,000. */
  readonly patience?: number | undefined;
}

/** What became of asking a listener: how many milliseconds it took, or why it is of no use. */
export type Answer = { readonly latency: number } | { readonly problem: string };

/** Whether somebody takes connections. */
export const knock = (where: LocalPort): Promise<Answer> => withConnection(where, () => Promise.resolve(undefined));

/** Whether somebody takes connections and speaks SOCKS5, without a password (RFC 1928, 3). */
export const greet = (where: LocalPort): Promise<Answer> =>
  withConnection(where, async (connection) => {
    await connection.write(GREETING);
    const answer = new Uint8Array(2);
    for (let at = 0; at < answer.length;) {
      const count = await connection.read(answer.subarray(at));
      if (count === null) return "closes the connection instead of answering";
      at += count;
    }
    if (answer[0] !== 5) return "is no SOCKS5 proxy";
    return answer[1] === 0 ? undefined : "is a SOCKS5 proxy that asks for a password";
  });

async function withConnection(
  { port, patience = PATIENCE }: LocalPort,
  work: (connection: Deno.Conn) => Promise<string | undefined>,
): Promise<Answer> {
  const began = performance.now();
  const late = AbortSignal.timeout(patience);
  let connection: Deno.Conn | undefined;
  const end = () => connection?.close();
  try {
    connection = await Deno.connect({ hostname: "127.0.0.1", port, signal: late });
    late.addEventListener("abort", end);
    const problem = await work(connection);
    return problem === undefined ? { latency: performance.now() - began } : { problem };
  } catch (error) {
    if (late.aborted) return { problem: `does not answer within ${patience} ms` };
    return { problem: error instanceof Deno.errors.ConnectionRefused ? "nobody listens" : "breaks the connection off" };
  } finally {
    late.removeEventListener("abort", end);
    if (!late.aborted) end();
  }
}
