import { rejects } from "node:assert/strict";
import { EgressProcess, type EgressProcessOptions } from "../../../../../services/egress/link/process.ts";
import {
  type Hop,
  type HopBounds,
  HopFailure,
  type HopFailureCode,
  type HopResponse,
} from "../../../../../services/egress/parts.ts";
import { withinDeadline } from "../../../../support/deadline.ts";

/** Addresses of this machine that the process may not reach, 127.0.0.1 among them; 127.77.0.1 it may. */
export const DENY = ["0.0.0.0/8", "10.0.0.0/8", "127.0.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"];
/** IPv4, and nothing else. */
export const IPV4 = ["0.0.0.0/1", "128.0.0.0/1"];

/** Where the servers of the tests are. */
export const HERE = "127.77.0.1";
/** Bounds that no test of a sound server reaches. */
export const BOUNDS: HopBounds = { connect: 20_000, head: 20_000, idle: 20_000, headBytes: 16 * 1024 };
/** Milliseconds that a hop of a test may take, whatever happens. */
const DEADLINE = 40_000;
export const NEVER = new AbortController().signal;

/** What a test wants to be different of a hop. */
export interface HopChanges extends Partial<Omit<Hop, "bounds" | "target">> {
  readonly scheme?: "http" | "https";
  readonly host?: string;
  readonly path?: string;
  readonly addresses?: readonly string[];
  readonly bounds?: Partial<HopBounds>;
}

/** A hop to a server of the tests. */
export function hopTo(port: number, changes: HopChanges = {}): Hop {
  const { scheme = "http", host = "egress.test", path = "/", addresses = [HERE], bounds, ...rest } = changes;
  return {
    target: { scheme, host, kind: /^[\d.]+$/.test(host) ? "ipv4" : host.includes(":") ? "ipv6" : "name", port, path },
    way: { kind: "direct", addresses },
    method: "GET",
    headers: [],
    body: undefined,
    bounds: { ...BOUNDS, ...bounds },
    ...rest,
  };
}

/** A real process, and what it wrote to its log. */
export class Sender implements AsyncDisposable {
  readonly lines: string[] = [];
  readonly process: EgressProcess;

  constructor(options: Partial<EgressProcessOptions> = {}) {
    this.process = new EgressProcess({
      kind: "direct",
      net: { allow: IPV4, deny: DENY },
      ipv6: false,
      ca: [],
      onLine: (line) => this.lines.push(line),
      ...options,
    });
  }

  static async start(options: Partial<EgressProcessOptions> = {}): Promise<Sender> {
    const sender = new Sender(options);
    try {
      await sender.process.start();
      return sender;
    } catch (error) {
      await sender.process.close();
      throw new Error(sender.lines.join("\n"), { cause: error });
    }
  }

  /** @throws HopFailure */
  async send(hop: Hop, signal: AbortSignal = NEVER): Promise<HopResponse> {
    return await withinDeadline(this.process.send(hop, signal), "there was a response", DEADLINE);
  }

  /** The whole response, its body as text. @throws HopFailure */
  async text(
    hop: Hop,
  ): Promise<{ readonly status: number; readonly headers: HopResponse["headers"]; readonly text: string }> {
    const { body, ...head } = await this.send(hop);
    return { ...head, text: await withinDeadline(new Response(body).text(), "the body had an end", DEADLINE) };
  }

  /** That a hop fails so, be it before the response or within it. @param what names it where it does not */
  async fails(hop: Hop, code: HopFailureCode, sentence: RegExp, what: string): Promise<void> {
    await rejects(this.text(hop), (error) => {
      if (!(error instanceof HopFailure) || error.code !== code || !sentence.test(error.message)) {
        throw new Error(`${what}: ${error}, not ${code} ${sentence}`, { cause: error });
      }
      return true;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process.close();
  }
}
