import { field, group, type RuleProblem, section } from "../field.ts";
import { byteSize } from "../kinds/byte_size.ts";
import { list } from "../kinds/collections.ts";
import { duration } from "../kinds/duration.ts";
import { peerAddress } from "../kinds/peer_address.ts";
import { choice, integer, text } from "../kinds/plain.ts";

/** Where the cache of the namespaces is. */
export const cache = section({
  description: "Where the cache of the namespaces is. What is in it may be lost at any time: it is no database.",
  fields: {
    driver: field(choice(["memory", "olric"]), {
      default: "memory",
      description:
        "`memory`: in the gateway itself, gone when it ends; several gateways have a cache each. `olric`: an Olric cluster, for any number of gateways.",
    }),
    memory: group({
      max_bytes: field(byteSize({ min: "1MiB", max: "64GiB" }), {
        default: "64MiB",
        description:
          "What all namespaces together may hold. Beyond it, the entries that were unused for longest make room.",
      }),
    }),
    olric: group({
      addresses: field(list(peerAddress), {
        default: [],
        description:
          "Members of the cluster, such as `10.0.0.1:3320`; the others are found by asking them. Keep them on a private network: whoever reaches a member can read everything, and end it.",
      }),
      password: field(text(), {
        secret: true,
        description: "Password of the members, when they ask for one (`authentication.password`).",
      }),
      connections: field(integer({ min: 1, max: 256 }), {
        default: 8,
        unit: "connections",
        description:
          "Connections to each member. A member serves each of them one command at a time. Scans have a quarter as many of their " +
          "own, at least one.",
      }),
      request_timeout: field(duration({ min: "10ms", max: "1h" }), {
        default: "2s",
        description: "How long a member may take to answer before the request is 503.",
      }),
    }),
    near: group({
      max_bytes: field(byteSize({ max: "1GiB" }), {
        default: "16MiB",
        description:
          "Copies of values on Olric that a gateway may hold, all namespaces together, to answer reads of maps for which an owner " +
          "asked for it (the namespace's setting `cache.near`). Beyond it, what was unused for longest makes room. 0: none.",
      }),
      max_ttl: field(duration({ min: "10ms", max: "1h" }), {
        default: "5s",
        description:
          "The longest time for which an owner may have a copy answered: by so much may a read be behind what was written through " +
          "another gateway.",
      }),
    }),
  },
  check: ({ driver, olric }) => driver === "olric" ? checkOlric(olric.addresses) : [],
});

function checkOlric(addresses: readonly string[]): readonly RuleProblem[] {
  if (addresses.length === 0) {
    return [{
      key: "olric.addresses",
      because: "driver",
      expected: "at least one address such as 10.0.0.1:3320, because cache.driver is olric",
    }];
  }
  return addresses.flatMap((address, i) =>
    addresses.indexOf(address) === i ? [] : [{
      key: `olric.addresses.${i}`,
      expected: `each member once, but ${address} is there already`,
    }]
  );
}
