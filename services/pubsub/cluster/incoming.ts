import type { NodeId } from "../mesh/mesh.ts";
import type { Asking } from "./asking.ts";
import type { Curiosity } from "./curiosity.ts";
import type { Bytes } from "./fields.ts";
import type { Inbound } from "./inbound.ts";
import type { Interest } from "./interest.ts";
import type { Membership } from "./membership.ts";
import type { PeerRates } from "./rates.ts";
import { decodeMessage, type Frame } from "./wire.ts";

/** What takes messages and questions is made of. */
export interface IncomingOptions {
  readonly node: NodeId;
  readonly maxBytes: number;
  readonly rates: PeerRates;
  readonly membership: Membership;
  readonly curiosity: Curiosity;
  readonly interest: Interest;
  readonly inbound: Inbound;
  readonly asking: Asking;
}

/** Messages and questions of other gateways: what is too much, malformed or forged is refused. */
export class Incoming {
  /** How much was refused. */
  refused = 0;

  constructor(private readonly options: IncomingOptions) {}

  /** A message of a channel. @param origin who signed it */
  received(channel: string, origin: NodeId, bytes: Bytes): void {
    const { node, maxBytes, rates, interest } = this.options;
    const key = interest.topicOf(channel);
    if (origin === node || key === undefined) return;
    const range = rates.take(origin, bytes.byteLength) ? decodeMessage(bytes, maxBytes) : undefined;
    if (range === undefined) this.refused++;
    else this.entries(origin, { key, range });
  }

  /** Entries that a gateway sent as its own. */
  entries(origin: NodeId, { key, range }: Pick<Extract<Frame, { type: "entries" }>, "key" | "range">): void {
    const { node, membership, curiosity, inbound } = this.options;
    const { epoch, entries } = range;
    if (curiosity.isNews(epoch)) return;
    const owner = membership.isOwn(epoch) ? node : membership.open.get(epoch)?.node;
    // What comes late of one that ended is asked for where it is needed.
    if (owner === undefined) return;
    // A number belongs to one gateway, and the network proves which one this is.
    if (owner === origin && entries.length > 0) inbound.offer(key, range);
    else this.refused++;
  }

  /** A question. @throws Error for what is none, or too many */
  asked(node: NodeId, question: Bytes): Bytes {
    const { rates, asking } = this.options;
    const answer = rates.take(node, question.byteLength) ? asking.answer(question) : undefined;
    if (answer !== undefined) return answer;
    this.refused++;
    throw new Error("no answer");
  }
}
