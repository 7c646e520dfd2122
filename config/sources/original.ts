import type { Assignment, Reading } from "../assignment.ts";
import type { Catalogue } from "../catalogue.ts";
import type { ConfigProblem } from "../problems.ts";
import { toPlain, type YamlEntry } from "../yaml.ts";

/** What a key of the Go gateway's `gateway.yaml` becomes. */
export interface OriginalKey {
  /** The settings that say the same here; empty for a key that has no effect. */
  readonly becomes: readonly string[];
  /** What it means here, for the reference. */
  readonly meaning: string;
  /**
   * @param value as the file has it
   * @param others the other keys of the Go gateway in the file
   */
  readonly translate: (value: unknown, others: ReadonlyMap<string, unknown>) => Translation;
}

/** The settings to make of one key, and the sentence that tells the operator. */
export interface Translation {
  readonly set: readonly (readonly [path: string, value: unknown])[];
  readonly note: string;
}

const unused = (meaning: string): OriginalKey => ({
  becomes: [],
  meaning,
  translate: () => ({ set: [], note: meaning }),
});

const noTls = "this version does not terminate TLS; put a proxy in front, and list it in http.trusted_proxies.";

/** Every key of the Go gateway's `gateway.yaml` (its unknown keys are errors too, so the list is whole). */
export const ORIGINAL_KEYS: ReadonlyMap<string, OriginalKey> = new Map(Object.entries<OriginalKey>({
  listen_addr: {
    becomes: ["http.listen"],
    meaning: "is `http.listen`. An address without host is every IPv4 interface, as it was.",
    translate: (value) => ({ set: [["http.listen", value]], note: "is now http.listen." }),
  },
  client_namespace: unused("has no effect: the namespace always comes from the caller's credential."),
  rqlite_dsn: {
    becomes: ["database.driver", "database.rqlite.control", "database.rqlite.username", "database.rqlite.password"],
    meaning:
      "is `database.driver: rqlite` and `database.rqlite.control`, with user name and password apart. Namespaces need clusters of their own: `database.rqlite.pool`.",
    translate: translateDsn,
  },
  bootstrap_peers: unused("has no effect: this version has no pub/sub between gateways."),
  enable_https: {
    becomes: [],
    meaning: `has no effect beside \`domain_name\`: ${noTls}`,
    translate: (value) => ({ set: [], note: value === true ? `has no effect: ${noTls}` : "has no effect when false." }),
  },
  domain_name: {
    becomes: ["http.public_url"],
    meaning:
      "is `http.public_url` (`https://` and the name) when `enable_https` is true; without that it has no effect.",
    translate: translateDomain,
  },
  tls_cache_dir: unused(`has no effect: ${noTls}`),
  olric_servers: {
    becomes: ["cache.driver", "cache.olric.addresses"],
    meaning: "is `cache.driver: olric` and `cache.olric.addresses`. An empty list has no effect.",
    translate: translateOlric,
  },
  olric_timeout: {
    becomes: ["cache.olric.request_timeout"],
    meaning: "is `cache.olric.request_timeout`.",
    translate: (value) => ({
      set: [["cache.olric.request_timeout", value]],
      note: "is now cache.olric.request_timeout.",
    }),
  },
  ipfs_cluster_api_url: {
    becomes: ["storage.driver", "storage.ipfs.cluster"],
    meaning: "is `storage.driver: ipfs` and `storage.ipfs.cluster`. An empty text has no effect.",
    translate: (value) => translateIpfs("storage.ipfs.cluster", value),
  },
  ipfs_api_url: {
    becomes: ["storage.driver", "storage.ipfs.kubo"],
    meaning: "is `storage.driver: ipfs` and `storage.ipfs.kubo`. An empty text has no effect.",
    translate: (value) => translateIpfs("storage.ipfs.kubo", value),
  },
  ipfs_timeout: {
    becomes: ["storage.ipfs.request_timeout"],
    meaning: "is `storage.ipfs.request_timeout`.",
    translate: (value) => ({
      set: [["storage.ipfs.request_timeout", value]],
      note: "is now storage.ipfs.request_timeout.",
    }),
  },
  ipfs_replication_factor: {
    becomes: ["storage.replication.min", "storage.replication.max"],
    meaning: "is both `storage.replication.min` and `storage.replication.max`. 0 has no effect.",
    translate: (value) =>
      value === 0 ? { set: [], note: "has no effect when 0." } : {
        set: [["storage.replication.min", value], ["storage.replication.max", value]],
        note: "is now storage.replication.min and storage.replication.max.",
      },
  },
}));

function translateDsn(value: unknown): Translation {
  const note =
    "is now database.driver: rqlite with database.rqlite.control; list clusters for namespaces in database.rqlite.pool.";
  const url = typeof value === "string" ? URL.parse(value) : null;
  const driver = ["database.driver", "rqlite"] as const;
  if (!url) return { set: [driver, ["database.rqlite.control", [value]]], note };
  const { username, password, search } = url;
  url.username =
    url.password =
    url.search =
    url.hash =
      "";
  return {
    set: [
      driver,
      ["database.rqlite.control", [url.href]],
      ...(username === "" ? [] : [["database.rqlite.username", decoded(username)] as const]),
      ...(password === "" ? [] : [["database.rqlite.password", decoded(password)] as const]),
    ],
    note: search === "" ? note : `${note} Its query options have no effect.`,
  };
}

function translateOlric(value: unknown): Translation {
  // The Go gateway looked for members by itself then; here that is the embedded cache.
  if (value === null || Array.isArray(value) && value.length === 0) {
    return { set: [], note: "has no effect when empty." };
  }
  return {
    set: [["cache.driver", "olric"], ["cache.olric.addresses", value]],
    note: "is now cache.driver: olric with cache.olric.addresses.",
  };
}

function translateIpfs(path: string, value: unknown): Translation {
  // The Go gateway looked for its own node then; here that is the storage in the data folder.
  if (value === null || value === "") return { set: [], note: "has no effect when empty." };
  return { set: [["storage.driver", "ipfs"], [path, [value]]], note: `is now storage.driver: ipfs with ${path}.` };
}

function translateDomain(value: unknown, others: ReadonlyMap<string, unknown>): Translation {
  if (value === "" || value === null) return { set: [], note: "has no effect when empty." };
  if (others.get("enable_https") !== true) return { set: [], note: "has no effect without enable_https." };
  return {
    set: [["http.public_url", typeof value === "string" ? `https://${value}` : value]],
    note: "is now http.public_url.",
  };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/**
 * Translates the keys of the Go gateway.
 * @param keys those that the file has
 * @param ours what the same file says in our own keys: saying one thing in both ways is refused
 */
export function translateOriginal(
  catalogue: Catalogue,
  file: string,
  keys: ReadonlyMap<string, YamlEntry>,
  ours: readonly Assignment[],
): Reading {
  const assignments: Assignment[] = [];
  const problems: ConfigProblem[] = [];
  const notes: string[] = [];
  const values = new Map([...keys].map(([key, { node }]) => [key, toPlain(node)]));
  for (const [key, { line }] of keys) {
    const { becomes, translate } = ORIGINAL_KEYS.get(key)!;
    const doubles = ours.filter(({ leaf }) => becomes.includes((leaf.contentOf ?? leaf).path));
    for (const { leaf, origin } of doubles) {
      const where = origin.kind === "file" ? ` (line ${origin.line})` : "";
      problems.push({
        source: `${file}:${line}`,
        file,
        line,
        key,
        problem: `says the same as ${leaf.path}${where}: give only one of them`,
        expected: `either ${key} or ${leaf.path}`,
      });
    }
    if (doubles.length > 0) continue;
    const { set, note } = translate(values.get(key), values);
    notes.push(`${file}:${line}: ${key} ${note}`);
    for (const [path, raw] of set) {
      const leaf = catalogue.byPath.get(path);
      if (leaf) assignments.push({ leaf, raw, origin: { kind: "file", file, line, oldKey: key } });
    }
  }
  return { assignments, problems, notes };
}
