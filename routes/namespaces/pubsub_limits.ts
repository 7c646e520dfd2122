import { z } from "zod";

const DAY = 24 * 60 * 60 * 1000;
const MIB = 2 ** 20;
const amount = (min: number, max = Number.MAX_SAFE_INTEGER) => z.int().min(min).max(max).nullable();

/** What an operator may limit of live messages. */
export const pubsubLimits = z.strictObject({
  message_bytes: amount(1, MIB).describe("Bytes of one message."),
  history_messages: amount(0, 1_000_000).describe("The most messages of a topic that an owner may have kept."),
  history_ttl: amount(1000, DAY).describe("The most milliseconds for which an owner may have them kept."),
  history_bytes: amount(0, 2 ** 40).describe("Bytes that are kept of all its topics, on each gateway; 0: nothing."),
  publish_rate: amount(0, 10_000_000).describe(
    "Messages that are published per second, on each gateway; 0: any number.",
  ),
  sockets: amount(1, 10_000_000).describe("Sockets and event streams that are open at once, on each gateway."),
  topics: amount(1, 10_000_000).describe(
    "Topics that have subscribers, or of which something is kept, on each gateway.",
  ),
  topics_per_socket: amount(1, 100_000).describe("Topics to which one socket is subscribed."),
  credential_share: amount(1, 100).describe(
    "Percentage of `topics`, `publish_rate` and `sockets` that one key, or one wallet with its sessions, may have.",
  ),
  guest_share: amount(1, 100).describe(
    "The same for one token that names topics; those with the same `member_id` count together.",
  ),
  queue_bytes: amount(1024, 64 * MIB).describe("Bytes that wait for one socket that does not read."),
});
