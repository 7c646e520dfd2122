import type { TlsOptions } from "./options.ts";

/** Where a connection goes. */
export interface HttpTarget {
  readonly tls: boolean;
  readonly hostname: string;
  readonly port: number;
}

/** Milliseconds that a TLS handshake may take: a process that was stopped accepts connections and says nothing. */
const HANDSHAKE = 10_000;

/**
 * Opens a connection; over TLS, one whose other end has proven that it is the host that was asked for.
 * @throws Error with the reason when it cannot be had: nothing was sent then
 */
export async function openSocket({ tls, hostname, port }: HttpTarget, options: TlsOptions): Promise<Deno.Conn> {
  if (!tls) return await plainSocket(hostname, port);
  const socket = await tlsSocket(hostname, port, options);
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    socket.close();
  }, HANDSHAKE);
  try {
    // Deno would leave it to the first write, and what fails there may have been sent.
    await socket.handshake();
    return socket;
  } catch (cause) {
    if (late) throw new Error(`no TLS handshake within ${HANDSHAKE} ms`, { cause });
    socket.close();
    throw cause;
  } finally {
    clearTimeout(timer);
  }
}

async function tlsSocket(
  hostname: string,
  port: number,
  { ca, cert, key }: TlsOptions,
): Promise<Deno.TlsConn> {
  const caCerts = ca === undefined ? [] : [ca];
  if (cert !== undefined && key !== undefined) return await Deno.connectTls({ hostname, port, caCerts, cert, key });
  // Of what `connectTls` opens nobody can switch off Nagle's algorithm, which keeps the end of every longer request for 40 ms.
  const plain = await plainSocket(hostname, port);
  try {
    return await Deno.startTls(plain, { hostname, caCerts });
  } catch (error) {
    closeQuietly(plain);
    throw error;
  }
}

async function plainSocket(hostname: string, port: number): Promise<Deno.TcpConn> {
  const socket = await Deno.connect({ hostname, port });
  socket.setNoDelay(true);
  return socket;
}

function closeQuietly(socket: Deno.Conn): void {
  try {
    socket.close();
  } catch {
    // Whoever took it over has closed it.
  }
}

/** Whether the other end ended the connection because of our certificate: TLS 1.3 tells it after the handshake, and before anything is read. */
export const refusesCertificate = (error: unknown): boolean =>
  error instanceof Error && /received fatal alert: \w*(Certificate|UnknownCA)/.test(error.message);
