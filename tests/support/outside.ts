import { type DnsAnswer, type DnsServer, dnsServer } from "./dns_server.ts";
import { TestGateway } from "./gateway.ts";
import { SocksServer } from "./socks_server.ts";

/** What a server was asked. */
export interface Got {
  readonly method: string;
  readonly url: string;
  readonly headers: Headers;
  readonly body: string;
}

/** Where the servers of these tests are that gateways may reach. */
export const OPEN = "127.77.0.1";

/**
 * A gateway, and what is outside of it: a server on an address that it may reach, a canary on the same port of one that it may not, a DNS
 * server and a SOCKS5 server.
 */
export class Outside implements AsyncDisposable {
  /** In the order in which they came to the open server. */
  readonly got: Got[] = [];
  /** Connections to the canary. */
  canary = 0;
  /** What the open server answers. */
  answer: (request: Request) => Response | Promise<Response> = () => new Response("hello");
  /** What names lead to, on the DNS server. */
  names: (name: string) => DnsAnswer | undefined = () => undefined;

  private constructor(
    readonly gateway: TestGateway,
    readonly port: number,
    readonly dns: DnsServer,
    readonly socks: SocksServer,
    private readonly owned: AsyncDisposableStack,
  ) {}

  /** @param egress settings beyond those that let it reach the open server */
  static async start(egress: Readonly<Record<string, unknown>> = {}): Promise<Outside> {
    await using owned = new AsyncDisposableStack();
    const made: { outside?: Outside } = {};
    const server = owned.use(
      Deno.serve({ hostname: OPEN, port: 0, onListen: () => {} }, async (request) => {
        const { method, url, headers } = request;
        const streams = headers.has("x-streams");
        made.outside?.got.push({ method, url, headers, body: streams ? "" : await request.text() });
        return await made.outside?.answer(request) ?? new Response("early");
      }),
    );
    const { port } = server.addr;
    // The same port, so that nothing but the address is between them.
    const listener = Deno.listen({ hostname: "127.0.0.1", port });
    owned.defer(() => listener.close());
    const dns = owned.use(await dnsServer((name) => made.outside?.names(name)));
    const socks = owned.use(new SocksServer());
    socks.target = { hostname: OPEN, port };
    const settings = {
      allow_networks: [`${OPEN}/32`],
      dns: [`${dns.host}:${dns.port}`],
      ports: ["80", "443", String(port)],
      proxies: [`socks5://${socks.address.host}:${socks.address.port}`],
      ...egress,
    };
    const gateway = owned.use(await TestGateway.start({ config: { egress: settings } }));
    const outside = made.outside = new Outside(gateway, port, dns, socks, owned.move());
    void outside.#watch(listener);
    return outside;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.owned.disposeAsync();
  }

  async #watch(listener: Deno.Listener): Promise<void> {
    try {
      for await (const connection of listener) {
        this.canary++;
        connection.close();
      }
    } catch {
      // It was closed.
    }
  }
}
