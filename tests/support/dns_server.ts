import dns2 from "dns2";
import { freeUdpPort } from "./udp_port.ts";

/** What a name has: addresses by type, another name, or nothing at all. */
export type DnsAnswer =
  | { readonly a?: readonly string[]; readonly aaaa?: readonly string[] }
  | { readonly cname: string }
  | "no such name"
  | "refused"
  | "silence";

/** A DNS server that answers as its test says. */
export interface DnsServer extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** Names that were asked for, in order, with their type. */
  readonly asked: readonly string[];
}

const { Packet } = dns2;
const NO_SUCH_NAME = 3, REFUSED = 5;

/** @param answerOf is asked each time: it may say something else the second time */
export async function dnsServer(answerOf: (name: string) => DnsAnswer | undefined): Promise<DnsServer> {
  const asked: string[] = [];
  const server = dns2.createServer({
    udp: true,
    handle(request, send) {
      const response = Packet.createResponseFromRequest(request);
      const [question] = request.questions;
      if (!question) return;
      const type = question.type === Packet.TYPE.A ? "A" : question.type === Packet.TYPE.AAAA ? "AAAA" : "other";
      asked.push(`${question.name} ${type}`);
      let name = question.name.toLowerCase();
      for (let links = 0; links < 20; links++) {
        const answer = answerOf(name);
        if (answer === "silence") return;
        if (answer === "refused") response.header.rcode = REFUSED;
        else if (answer === undefined || answer === "no such name") response.header.rcode = NO_SUCH_NAME;
        else if ("cname" in answer) {
          response.answers.push(
            new Packet.Resource({
              name,
              type: Packet.TYPE.CNAME,
              class: Packet.CLASS.IN,
              ttl: 0,
              domain: answer.cname,
            }),
          );
          name = answer.cname;
          continue;
        } else {
          const addresses = type === "A" ? answer.a : type === "AAAA" ? answer.aaaa : [];
          for (const address of addresses ?? []) {
            response.answers.push(
              new Packet.Resource({ name, type: question.type, class: Packet.CLASS.IN, ttl: 0, address }),
            );
          }
        }
        break;
      }
      send(response);
    },
  });
  const host = "127.0.0.1", port = await freeUdpPort(host);
  await server.listen({ udp: { port, address: host } });
  return {
    host,
    port,
    asked,
    async [Symbol.asyncDispose]() {
      await server.close();
    },
  };
}
