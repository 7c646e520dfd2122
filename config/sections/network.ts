import { field, section } from "../field.ts";
import { list } from "../kinds/collections.ts";
import { announcedMultiaddress, listenMultiaddress, peerMultiaddress } from "../kinds/multiaddress.ts";
import { flag, path, text } from "../kinds/plain.ts";

const networkKey = text({ pattern: /^[\da-f]{64}$/i, expected: "32 random bytes as 64 hex digits" });

/** The network between the gateways of a cluster. */
export const network = section({
  description:
    "The libp2p network between the gateways of a cluster; there is none unless `pubsub.driver` is `libp2p`.",
  fields: {
    listen: field(list(listenMultiaddress), {
      default: ["/ip4/127.0.0.1/tcp/0"],
      description:
        "Where this gateway takes connections of others. Only gateways with the same network key can join, but whoever reaches the " +
        "port can try: keep it on a private network where there is one. By default gateways on one machine find each other, and " +
        "nothing is open to other machines.",
    }),
    announce: field(list(announcedMultiaddress), {
      default: [],
      description:
        "Where others reach this gateway, if not where it listens: behind address translation, or in a container. The control " +
        "plane tells it to them.",
    }),
    bootstrap: field(list(peerMultiaddress), {
      default: [],
      description:
        "Gateways to connect to beside those that the control plane names, which is all that share it: seldom needed.",
    }),
    mdns: field(flag, {
      default: false,
      description: "Whether to look for gateways of the same network key on the local network by multicast.",
    }),
    key: field(networkKey, {
      secret: true,
      description:
        "The key that gateways of one network share, from `openssl rand -hex 32`. Without it, it is derived from the root key, " +
        "which the gateways of a cluster share anyway.",
    }),
    identity_file: field(path, {
      description:
        "The file with this gateway's own key, from which its peer id comes; made when it is not there. No two gateways may share " +
        "one. Default: `node.key` in the data folder.",
    }),
  },
  check: ({ listen }) =>
    listen.length === 0 ? [{ key: "listen", expected: "at least one address, such as /ip4/127.0.0.1/tcp/0" }] : [],
});
