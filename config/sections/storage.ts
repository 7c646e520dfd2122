import { field, group, type RuleProblem, section } from "../field.ts";
import { byteSize } from "../kinds/byte_size.ts";
import { list } from "../kinds/collections.ts";
import { duration, LONGEST_TIMER } from "../kinds/duration.ts";
import { choice, flag, integer, path, text } from "../kinds/plain.ts";
import { url } from "../kinds/url.ts";

/** Where files are that are addressed by their content. */
export const storage = section({
  description: "Where files of the namespaces are, addressed by their content.",
  fields: {
    driver: field(choice(["local", "ipfs"]), {
      default: "local",
      description:
        "`local`: blocks in a folder; for one gateway. `ipfs`: Kubo nodes with IPFS Cluster, for any number of gateways.",
    }),
    chunk_size: field(byteSize({ min: "1KiB", max: "1MiB" }), {
      default: "256KiB",
      description:
        "Into pieces of which size files are cut. It is part of what a CID is made of: after a change, equal files have other CIDs than before.",
    }),
    unpinned_life: field(duration({ min: "1m", max: "365d" }), {
      default: "24h",
      description: "After how long an upload goes that is not to be pinned (`pin=false`).",
    }),
    replication: group({
      min: field(integer({ min: -1, max: 1_000 }), {
        default: 1,
        unit: "peers",
        description:
          "On how many peers of the Cluster content has to be, where an upload does not say, to count as pinned. -1: on all of them.",
      }),
      max: field(integer({ min: -1, max: 1_000 }), {
        default: 3,
        unit: "peers",
        description: "On how many it is put while there are enough of them. -1: on all of them.",
      }),
    }),
    links: group({
      max_life: field(duration({ min: "1s", max: "365d" }), {
        default: "7d",
        description: "For how long a link to an object may be good, at most.",
      }),
    }),
    uploads: group({
      folder: field(path, {
        description:
          "The folder in which uploads that can be gone on with (tus) are kept until they are whole, encrypted. By default `uploads` in the data folder (`data.dir`). It belongs to one gateway.",
      }),
      life: field(duration({ min: "1m", max: "365d" }), {
        default: "24h",
        description:
          "After how long such an upload goes when nothing comes of it any more; and what is known of a whole one.",
      }),
      unfinished: field(integer({ min: 1, max: 1_000_000 }), {
        default: 100,
        unit: "uploads",
        description: "How many unfinished ones a namespace may have, on each gateway; one more is 429.",
      }),
    }),
    local: group({
      folder: field(path, {
        description: "The folder of the blocks. By default `storage` in the data folder (`data.dir`).",
      }),
      collect_interval: field(duration({ min: "1s", max: LONGEST_TIMER }), {
        default: "1h",
        description: "How often blocks are deleted that belong to nothing any more.",
      }),
      grace: field(duration({ min: "10m", max: "30d" }), {
        default: "1h",
        description: "How old such a block has to be.",
      }),
    }),
    ipfs: group({
      kubo: field(list(url), {
        default: [],
        description:
          "RPC addresses of the Kubo nodes, such as `http://127.0.0.1:5001`. Keep them on a private network: whoever reaches one can do everything with it.",
      }),
      cluster: field(list(url), {
        default: [],
        description:
          "REST addresses of the peers of one IPFS Cluster, such as `http://127.0.0.1:9094`. None: each Kubo node keeps everything.",
      }),
      cluster_username: field(text(), {
        description: "User name at the peers, when they ask for one (`basic_auth_credentials`).",
      }),
      cluster_password: field(text(), {
        secret: true,
        description: "Password of `storage.ipfs.cluster_username`.",
      }),
      request_timeout: field(duration({ min: "10ms", max: "1h" }), {
        default: "10s",
        description: "How long a node may take to begin its answer, and to go on with it, before another one is asked.",
      }),
      remote_pins: field(flag, {
        default: true,
        description:
          "Whether a namespace may pin content by its CID that no namespace has, and that the nodes then look for on their network.",
      }),
      private_origins: field(flag, {
        default: false,
        description:
          "Whether the nodes connect to addresses of private networks, too, that somebody names who pins content (`origins`), and " +
          "whether who pins is told their own (`delegates`).",
      }),
    }),
  },
  check: ({ driver, replication, ipfs }) => [
    ...checkReplication(replication),
    ...driver === "ipfs" ? checkIpfs(ipfs) : [],
  ],
});

function checkReplication({ min, max }: { readonly min: number; readonly max: number }): readonly RuleProblem[] {
  const key = "replication.min", because = "replication.max";
  if (min === 0 || max === 0) return [{ key: min === 0 ? key : because, expected: "at least 1, or -1 for all peers" }];
  if ((min === -1) !== (max === -1)) return [{ key, because, expected: "-1 for both of min and max, or for neither" }];
  return min > max ? [{ key, because, expected: "no more than storage.replication.max" }] : [];
}

interface Ipfs {
  readonly kubo: readonly string[];
  readonly cluster: readonly string[];
  readonly cluster_username?: string | undefined;
  readonly cluster_password?: string | undefined;
}

function checkIpfs(
  { kubo, cluster, cluster_username: user, cluster_password: password }: Ipfs,
): readonly RuleProblem[] {
  const problems: RuleProblem[] = [];
  if (kubo.length === 0) {
    problems.push({
      key: "ipfs.kubo",
      because: "driver",
      expected: "at least one URL, because storage.driver is ipfs",
    });
  }
  for (const [name, urls] of Object.entries({ kubo, cluster })) {
    urls.forEach((node, i) => {
      if (urls.indexOf(node) === i) return;
      problems.push({ key: `ipfs.${name}.${i}`, expected: `each address once, but ${node} is there already` });
    });
  }
  if (user !== undefined && password === undefined) {
    const expected = "a password for storage.ipfs.cluster_username";
    problems.push({ key: "ipfs.cluster_password", because: "ipfs.cluster_username", expected });
  }
  if (user === undefined && password !== undefined) {
    const expected = "the user name of the password";
    problems.push({ key: "ipfs.cluster_username", because: "ipfs.cluster_password", expected });
  }
  return problems;
}
