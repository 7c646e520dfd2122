import { field, group, section } from "../field.ts";
import { byteSize } from "../kinds/byte_size.ts";
import { duration } from "../kinds/duration.ts";
import { choice, integer, number } from "../kinds/plain.ts";

/** Live messages by topic. */
export const pubsub = section({
  description: "Live messages by topic: who gets them, and what is kept of them for those who were away.",
  fields: {
    driver: field(choice(["local", "libp2p"]), {
      default: "local",
      description:
        "`local`: for one gateway alone. `libp2p`: between all gateways of a cluster, over the network of section `network`.",
    }),
    history: group({
      size: field(integer({ max: 1_000_000 }), {
        default: 100,
        unit: "messages",
        description: "Messages that are kept of each topic, where its owner says nothing else. 0: none.",
      }),
      ttl: field(duration({ min: "1s", max: "1d" }), {
        default: "5m",
        description: "How long they are kept, where the owner says nothing else.",
      }),
      max_bytes: field(byteSize({ max: "64GiB" }), {
        default: "64MiB",
        description:
          "What is kept of all topics of all namespaces, in the memory of the gateway; beyond it, the topics that were unused for " +
          "longest lose theirs. 0: nothing.",
      }),
    }),
    slow_readers: field(choice(["drop", "close"]), {
      default: "drop",
      description:
        "What becomes of a socket that reads too slowly, where the owner says nothing else: `drop` drops the oldest that waits for " +
        "it and says so, `close` closes it.",
    }),
    idle_timeout: field(duration({ min: "1s", max: "10m" }), {
      default: "25s",
      description:
        "How long a socket may be silent, pings unanswered, before it is closed: whose connection is gone without a word is " +
        "present for so long.",
    }),
    sockets: group({
      unauthenticated: field(integer({ min: 1, max: 1_000_000 }), {
        default: 1_000,
        unit: "sockets",
        description:
          "Sockets that may be open at once without a credential; each has 10 s to send one. Beyond, whoever has been silent " +
          "for longest makes room for the next, of the client address that has most of them.",
      }),
      per_credential: field(integer({ min: 1, max: 10_000_000 }), {
        default: 20_000,
        unit: "sockets",
        description:
          "Sockets and event streams of one credential that may be open at once, on each gateway, where its share of " +
          "`limits.pubsub.sockets` is not less.",
      }),
      commands_per_second: field(number({ max: 1_000_000 }), {
        default: 200,
        unit: "commands/s",
        description:
          "Commands of one socket per second, on average; ten times as many at once after a pause. 0 switches this limit off.",
      }),
      commands_per_frame: field(integer({ min: 1, max: 10_000 }), {
        default: 100,
        unit: "commands",
        description: "Commands in one frame of a socket.",
      }),
    }),
    token_ttl: field(duration({ min: "1s", max: "1d" }), {
      default: "1h",
      description: "The longest life of a token that names topics, and that of one for which none is asked.",
    }),
  },
});
