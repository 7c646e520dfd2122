import { deepEqual, equal, match } from "node:assert/strict";
import { originText } from "../../../config/index.ts";
import { ORIGINAL_KEYS } from "../../../config/sources/original.ts";
import { load, problemOf, problemsOf, refusal } from "./support.ts";

const WHOLE = `listen_addr: ":6009"
client_namespace: default
rqlite_dsn: "http://user:hunt%20er2@localhost:5001?level=none"
bootstrap_peers: ["/ip4/127.0.0.1/tcp/4001/p2p/12D3KooW"]
enable_https: true
domain_name: gw.example
tls_cache_dir: ~/.orama/tls-cache
olric_servers: ["localhost:3320"]
olric_timeout: 10s
ipfs_cluster_api_url: http://localhost:9094
ipfs_api_url: http://localhost:4501
ipfs_timeout: 60s
ipfs_replication_factor: 3
`;
const POOL = "database: {rqlite: {pool: [{name: a, urls: [http://localhost:5011]}]}}\n";

Deno.test("the Go gateway's file is understood: each key becomes a setting or a note, with its line", () => {
  const { config, origins, notes } = load({ yaml: WHOLE + POOL });
  deepEqual(config.http.listen, { hostname: "0.0.0.0", port: 6009 });
  equal(config.http.public_url, "https://gw.example");
  equal(config.database.driver, "rqlite");
  deepEqual(config.database.rqlite.control, ["http://localhost:5001"]);
  equal(config.database.rqlite.username, "user");
  equal(config.database.rqlite.password, "hunt er2");
  equal(config.cache.driver, "olric");
  deepEqual(config.cache.olric.addresses, ["localhost:3320"]);
  equal(config.cache.olric.request_timeout, 10_000);
  equal(config.storage.driver, "ipfs");
  deepEqual([config.storage.ipfs.kubo, config.storage.ipfs.cluster], [["http://localhost:4501"], [
    "http://localhost:9094",
  ]]);
  equal(config.storage.ipfs.request_timeout, 60_000);
  deepEqual(config.storage.replication, { min: 3, max: 3 });
  equal(originText(origins.get("http.listen")!), "orama.yaml:1 (listen_addr)");
  equal(notes.length, 13);
  equal(notes[0], "orama.yaml:1: listen_addr is now http.listen.");
  notes.forEach((note, i) => match(note, new RegExp(`^orama\\.yaml:${i + 1}: [a-z_]+ (is now|has no effect)`)));
  equal(notes.join().includes("er2"), false);
});

Deno.test("every key of the Go gateway is known", () => {
  const keys = [...WHOLE.matchAll(/^([a-z_]+):/gm)].map(([, key]) => key);
  deepEqual([...ORIGINAL_KEYS.keys()].sort(), keys.sort());
});

Deno.test("keys without effect say so and change nothing", () => {
  const { config, notes } = load({
    yaml: "client_namespace: x\ntls_cache_dir: /x\nenable_https: false\ndomain_name: gw.example\n",
  });
  deepEqual(config, load().config);
  equal(notes.length, 4);
  notes.forEach((note) => match(note, /has no effect/));
  match(load({ yaml: "enable_https: true\n" }).notes[0]!, /does not terminate TLS/);
  for (const none of ["[]", "~"]) {
    const empty = load({ yaml: `olric_servers: ${none}\n` });
    deepEqual(empty.config, load().config);
    match(empty.notes[0]!, /has no effect when empty/);
  }
  match(load({ yaml: 'enable_https: true\ndomain_name: ""\n' }).notes[1]!, /has no effect when empty/);
  const ipfs = load({ yaml: 'ipfs_cluster_api_url: ""\nipfs_api_url: ~\nipfs_replication_factor: 0\n' });
  deepEqual(ipfs.config, load().config);
  ipfs.notes.forEach((note) => match(note, /has no effect when/));
});

Deno.test("a Cluster without its Kubo stops the start and says what is missing", () => {
  const { problems: [problem], message } = refusal({ yaml: "\nipfs_cluster_api_url: http://localhost:9094\n" });
  deepEqual([problem?.line, problem?.key], [2, "storage.ipfs.kubo"]);
  match(message, /orama\.yaml:2 \(ipfs_cluster_api_url\): storage\.ipfs\.kubo: expected at least one URL/);
});

Deno.test("environment and flags win over the Go gateway's keys as over ours", () => {
  equal(load({ yaml: "listen_addr: :1", env: { ORAMA_HTTP__LISTEN: ":2" } }).config.http.listen.port, 2);
});

Deno.test("a key of the Go gateway beside the setting that says the same is refused", () => {
  const problem = problemOf({ yaml: "http:\n  listen: :1\nlisten_addr: :2\n" });
  deepEqual([problem.line, problem.key], [3, "listen_addr"]);
  equal(problem.problem, "says the same as http.listen (line 2): give only one of them");
  const dsn = (ours: string) =>
    problemsOf({ yaml: `rqlite_dsn: http://a:1\ndatabase: {${ours}}\n` }).map(({ key }) => key);
  deepEqual(dsn("driver: sqlite"), ["rqlite_dsn"]);
  deepEqual(dsn("rqlite: {control: [http://a:1]}"), ["rqlite_dsn"]);
  const olric = problemsOf({ yaml: "olric_servers: [a:1]\ncache: {olric: {addresses: [b:1]}}\n" });
  deepEqual(olric.map(({ key }) => key), ["olric_servers"]);
  deepEqual(dsn("rqlite: {password_file: /x}").includes("rqlite_dsn"), true);
});

Deno.test("an rqlite_dsn without clusters for namespaces stops the start and says what is missing", () => {
  const { problems: [problem], message } = refusal({ yaml: "\nrqlite_dsn: http://localhost:5001\n" });
  deepEqual([problem?.line, problem?.key], [2, "database.rqlite.pool"]);
  match(message, /orama\.yaml:2 \(rqlite_dsn\): database\.rqlite\.pool: expected at least one cluster for namespaces/);
});

Deno.test("wrong values of the Go gateway's keys are refused at their line", () => {
  deepEqual(problemsOf({ yaml: "listen_addr: nowhere\n" }).map(({ line, key }) => [line, key]), [[1, "http.listen"]]);
  equal(problemOf({ yaml: "enable_https: true\ndomain_name: [a]\n" }).key, "http.public_url");
  equal(problemsOf({ yaml: "olric_servers: [localhost]\n" })[0]?.key, "cache.olric.addresses.0");
  equal(problemsOf({ yaml: "olric_servers: here\n" })[0]?.key, "cache.olric.addresses");
  equal(problemsOf({ yaml: "olric_timeout: soon\n" })[0]?.key, "cache.olric.request_timeout");
  equal(problemsOf({ yaml: "rqlite_dsn: 5\n" })[0]?.key, "database.rqlite.control.0");
  equal(problemsOf({ yaml: "rqlite_dsn: localhost:5001\n" })[0]?.key, "database.rqlite.control.0");
});

Deno.test("a mistyped key of the Go gateway is told the nearest one", () => {
  equal(problemOf({ yaml: "listen_adr: :1" }).nearest, "listen_addr");
  equal(problemOf({ yaml: "http: {listen_addr: :1}" }).key, "http.listen_addr");
});
