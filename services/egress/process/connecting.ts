import { isIP, type Socket } from "node:net";
import { connect, createSecureContext, rootCertificates, type SecureContext } from "node:tls";
import { HopFailure } from "../parts.ts";
import type { OpenMessage, StartMessage } from "../wire/messages.ts";
import { mayDial } from "./addresses.ts";
import { connectTimeout, ofConnecting, ofTls, refusedAddress } from "./failures.ts";
import { dial, guarded, ofSocket, TimeLeft } from "./sockets.ts";
import { connectThrough } from "./socks.ts";

/** Connects to servers, in the one way that the process is for. */
export class Connector {
  readonly #kind: StartMessage["kind"];
  readonly #ipv6: boolean;
  /** `undefined` for what the system trusts. */
  readonly #context: SecureContext | undefined;

  /** Needs the right to read what the system trusts, where there is more that is trusted. */
  constructor({ kind, ipv6, ca }: Pick<StartMessage, "kind" | "ipv6" | "ca">) {
    this.#kind = kind;
    this.#ipv6 = ipv6;
    // These would replace those of the system.
    if (ca.length > 0) this.#context = createSecureContext({ ca: [...rootCertificates, ...ca], minVersion: "TLSv1.2" });
  }

  /**
   * A connection that stands, with TLS where the target wants it.
   * @throws HopFailure, and the signal's reason
   */
  async connect({ target, way, bounds }: OpenMessage, signal: AbortSignal): Promise<Socket> {
    const left = new TimeLeft(bounds.connect);
    if (way.kind !== (this.#kind === "direct" ? "direct" : "socks")) throw refusedAddress("the other process's way");
    const socket = way.kind === "direct"
      ? await this.#direct(way.addresses, target.port, left, signal)
      : await connectThrough(way.proxy, way, target.host, target.port, left, signal);
    return target.scheme === "http" ? socket : await this.#secure(socket, target.host, left, signal);
  }

  /** At the first address that answers. Each has an equal part of the time that is left. */
  async #direct(
    addresses: readonly string[],
    port: number,
    left: TimeLeft,
    signal: AbortSignal,
  ): Promise<Socket> {
    if (addresses.length === 0 || !addresses.every((address) => mayDial(address, this.#ipv6))) throw refusedAddress();
    let failure: unknown;
    for (const [at, address] of addresses.entries()) {
      if (left.over) throw connectTimeout();
      try {
        return await dial(address, port, { ms: left.ms / (addresses.length - at), late: connectTimeout, signal });
      } catch (error) {
        if (signal.aborted) throw error;
        failure = error;
      }
    }
    throw ofConnecting(failure);
  }

  async #secure(socket: Socket, host: string, left: TimeLeft, signal: AbortSignal): Promise<Socket> {
    try {
      // Neither side of a proxy has anything to say before the handshake.
      if (socket.readableLength > 0) throw new HopFailure("EGRESS_TLS_FAILED", "The server does not speak TLS.");
      const secure = guarded(connect({
        socket,
        host,
        // RFC 6066, 3: addresses are no server names. Against `host` the certificate is checked all the same.
        ...isIP(host) === 0 ? { servername: host } : {},
        ...this.#context ? { secureContext: this.#context } : {},
        ALPNProtocols: ["http/1.1"],
        minVersion: "TLSv1.2",
        rejectUnauthorized: true,
      }));
      await ofSocket<void>(secure, { ms: left.ms, late: connectTimeout, signal }, (done) => {
        secure.once("secureConnect", done);
        return () => secure.off("secureConnect", done);
      });
      if (!secure.authorized) throw new HopFailure("EGRESS_TLS_FAILED", "The server's certificate is not trusted.");
      return secure;
    } catch (error) {
      socket.destroy();
      throw signal.aborted ? error : ofTls(error);
    }
  }
}
