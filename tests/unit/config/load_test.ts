import { deepEqual, equal } from "node:assert/strict";
import { originText } from "../../../config/index.ts";
import { load, problemOf, problemsOf } from "./support.ts";

Deno.test("loadConfig() gives defaults when nothing is said", () => {
  const { config, origins, notes } = load();
  deepEqual(config.http.listen, { hostname: "127.0.0.1", port: 6001 });
  equal(config.http.public_url, undefined);
  equal(config.http.body.max_bytes, 1_048_576);
  equal(config.http.body.stall_timeout, 10_000);
  equal(config.http.max_json_depth, 64);
  equal(config.http.shutdown.grace, 15_000);
  deepEqual(config.http.cors.origins, ["*"]);
  equal(config.auth.access_token_ttl, 900_000);
  equal(config.auth.refresh_token_ttl, 2_592_000_000);
  equal(config.auth.simple_key, false);
  deepEqual(config.auth.principal_cache, { size: 100_000, max_stale: 60_000 });
  deepEqual(config.namespaces, { creation: "wallet", max_per_wallet: 10, shared_default: false });
  deepEqual(config.limits, {
    key: { rate: 200, burst: 2000 },
    address: { rate: 50, burst: 500 },
    credentials: { rate: 1, burst: 60 },
    sql: {
      statement_timeout: 30_000,
      database_bytes: 0,
      rows_per_answer: 100_000,
      bytes_per_answer: 16_777_216,
      statements_in_flight: 256,
      bulk_rows: 1_000_000,
      retained_changes: 1_000_000,
      change_retention: 604_800_000,
    },
    cache: { value_bytes: 512_000, bytes: 33_554_432, scan_keys: 1_000, lock_waiters: 1_000 },
    storage: {
      object_bytes: 1_073_741_824,
      bytes: 10_737_418_240,
      objects: 100_000,
      uploads_in_flight: 20,
      entries: 10_000,
    },
    pubsub: {
      message_bytes: 1_048_576,
      history_messages: 10_000,
      history_ttl: 86_400_000,
      history_bytes: 16_777_216,
      publish_rate: 5_000,
      sockets: 20_000,
      topics: 10_000,
      topics_per_socket: 1_000,
      credential_share: 80,
      guest_share: 5,
      queue_bytes: 1_048_576,
    },
    functions: {
      functions: 100,
      versions: 20,
      module_bytes: 16_777_216,
      memory: 268_435_456,
      timeout: 60_000,
      concurrency: 64,
      waiting: 256,
      input_bytes: 1_048_576,
      output_bytes: 4_194_304,
      log_bytes: 65_536,
      host_calls: 1_000,
      triggers: 100,
      secrets: 100,
      log_retention: 604_800_000,
    },
    egress: {
      requests_in_flight: 64,
      request_bytes: 10_485_760,
      response_bytes: 10_485_760,
      stream_bytes: 0,
      duration: 60_000,
      stream_duration: 3_600_000,
      redirects: 10,
    },
    webhooks: {
      endpoints: 20,
      event_bytes: 65_536,
      waiting: 1_000,
      waiting_bytes: 16_777_216,
      requests_in_flight: 4,
      remembered: 100,
      delivered_retention: 259_200_000,
      dead_retention: 2_592_000_000,
    },
  });
  deepEqual(config.webhooks, {
    max_in_flight: 32,
    timeout: 15_000,
    retry: { tries: 8, delay: 15_000, factor: 4, max_delay: 86_400_000, life: 172_800_000 },
  });
  deepEqual(config.egress, {
    driver: "direct",
    proxies: [{ name: "socks5://127.0.0.1:9050", host: "127.0.0.1", port: 9050 }],
    probe_interval: 10_000,
    isolation: true,
    ports: ["80", "443", "8080", "8443"],
    ipv6: false,
    allow_networks: [],
    deny_networks: [],
    deny_hosts: [],
    dns: [],
    connect_timeout: 10_000,
    head_timeout: 30_000,
    idle_timeout: 30_000,
    max_in_flight: 1_024,
  });
  deepEqual(config.functions, {
    hosts: { spares: 2, idle: 60_000, memory: 268_435_456, confine: "auto" },
    wait: 10_000,
    modules: { cache: 67_108_864 },
    secrets: { old_keys: [], reseal_after: 600_000 },
    log: { retention: 259_200_000, listeners: 256 },
  });
  deepEqual(config.pubsub, {
    driver: "local",
    history: { size: 100, ttl: 300_000, max_bytes: 67_108_864 },
    slow_readers: "drop",
    idle_timeout: 25_000,
    sockets: { unauthenticated: 1_000, per_credential: 20_000, commands_per_second: 200, commands_per_frame: 100 },
    token_ttl: 3_600_000,
  });
  deepEqual(config.cache, {
    driver: "memory",
    memory: { max_bytes: 67_108_864 },
    olric: { addresses: [], connections: 8, request_timeout: 2_000 },
    near: { max_bytes: 16_777_216, max_ttl: 5_000 },
  });
  deepEqual(config.storage, {
    driver: "local",
    chunk_size: 262_144,
    unpinned_life: 86_400_000,
    replication: { min: 1, max: 3 },
    links: { max_life: 604_800_000 },
    uploads: { life: 86_400_000, unfinished: 100 },
    local: { collect_interval: 3_600_000, grace: 3_600_000 },
    ipfs: { kubo: [], cluster: [], request_timeout: 10_000, remote_pins: true, private_origins: false },
  });
  const { statement_timeout, retained_changes, change_retention, change_listeners } = config.database;
  deepEqual([statement_timeout, retained_changes, change_retention, change_listeners], [
    10_000,
    100_000,
    86_400_000,
    512,
  ]);
  equal(config.data.dir, "./data");
  equal(config.database.driver, "sqlite");
  equal(config.database.rqlite.request_timeout, 3000);
  deepEqual(notes, []);
  deepEqual(new Set([...origins.values()].map(({ kind }) => kind)), new Set(["default"]));
});

Deno.test("flags win over the environment, the environment over the file, the file over defaults", () => {
  const yaml = "http:\n  listen: :1\n  max_json_depth: 1\nlog:\n  level: debug\n  format: text\n";
  const env = { ORAMA_HTTP__LISTEN: ":2", ORAMA_HTTP__MAX_JSON_DEPTH: "2", ORAMA_LOG__LEVEL: "error" };
  const { config, origins } = load({ yaml, env, flags: [["http.listen", ":3", "--listen"]] });
  equal(config.http.listen.port, 3);
  equal(config.http.max_json_depth, 2);
  equal(config.log.level, "error");
  equal(config.log.format, "text");
  const of = (path: string) => originText(origins.get(path)!);
  equal(of("http.listen"), "--listen");
  equal(of("http.max_json_depth"), "env ORAMA_HTTP__MAX_JSON_DEPTH");
  equal(of("log.format"), "orama.yaml:6");
  equal(of("log.access"), "default");
});

Deno.test("defaults of a mode replace ordinary ones and lose against everything else", () => {
  const defaults = { name: "dev", values: { "auth.simple_key": true, "log.format": "text", "data.dir": "./dev" } };
  const { config, origins } = load({
    yaml: "log: {format: json}",
    env: { ORAMA_DATA__DIR: "/var/lib/orama" },
    defaults,
  });
  equal(config.auth.simple_key, true);
  equal(config.log.format, "json");
  equal(config.data.dir, "/var/lib/orama");
  equal(originText(origins.get("auth.simple_key")!), "default of dev");
});

Deno.test("a flag without a value is a flag that was not given", () => {
  equal(load({ flags: [["http.listen", undefined, "--listen"]] }).config.http.listen.port, 6001);
});

Deno.test("a flag may carry a value as well as a text", () => {
  const { config } = load({
    flags: [["http.listen", 0, "--listen"], ["log.access", false, "--no-log"], ["log.level", "warning", "-q"]],
  });
  equal(config.http.listen.port, 0);
  equal(config.log.access, false);
  equal(config.log.level, "warning");
});

Deno.test("variables are read by the type that is expected", () => {
  const { config } = load({
    env: {
      ORAMA_HTTP__TRUSTED_PROXIES: "10.0.0.0/8, fd00::/8",
      ORAMA_HTTP__CORS__ORIGINS: '["https://a.example", "https://b.example"]',
      ORAMA_HTTP__BODY__MAX_BYTES: "10MB",
      ORAMA_AUTH__NONCE_TTL: "1m30s",
      ORAMA_AUTH__SIGN_IN__CHAIN_IDS: "1,137",
      ORAMA_AUTH__SIGN_IN__STATEMENT: "true",
      ORAMA_AUTH__ISSUER: "007",
      ORAMA_AUTH__AUDIENCE: "[not, a, list]",
      ORAMA_AUTH__ETHEREUM_RPC: "{1: https://rpc.example/key}",
      ORAMA_LIMITS__KEY__RATE: "0.5",
      ORAMA_LOG__ACCESS: "false",
      ORAMA_DATABASE__DRIVER: "rqlite",
      ORAMA_DATABASE__RQLITE__CONTROL: "http://a:5001,http://b:5001",
      ORAMA_DATABASE__RQLITE__POOL: "[{name: one, urls: [http://c:5001]}]",
      HOME: "/root",
      TEST_ENGINES_DIR: "/engines",
    },
  });
  deepEqual(config.http.trusted_proxies, ["10.0.0.0/8", "fd00::/8"]);
  deepEqual(config.http.cors.origins, ["https://a.example", "https://b.example"]);
  equal(config.http.body.max_bytes, 10_000_000);
  equal(config.auth.nonce_ttl, 90_000);
  deepEqual(config.auth.sign_in.chain_ids, [1, 137]);
  equal(config.auth.sign_in.statement, "true");
  equal(config.auth.issuer, "007");
  equal(config.auth.audience, "[not, a, list]");
  deepEqual(config.auth.ethereum_rpc, { 1: "https://rpc.example/key" });
  equal(config.limits.key.rate, 0.5);
  equal(config.log.access, false);
  deepEqual(config.database.rqlite.control, ["http://a:5001", "http://b:5001"]);
  deepEqual(config.database.rqlite.pool, [{ name: "one", urls: ["http://c:5001"] }]);
});

Deno.test("an empty variable empties a list, and is no value for anything else", () => {
  const env = { ORAMA_HTTP__TRUSTED_PROXIES: "" };
  deepEqual(load({ yaml: "http: {trusted_proxies: [10.0.0.0/8]}", env }).config.http.trusted_proxies, []);
  for (const variable of ["ORAMA_HTTP__LISTEN", "ORAMA_AUTH__ISSUER", "ORAMA_LOG__ACCESS", "ORAMA_LIMITS__KEY__RATE"]) {
    equal(problemOf({ env: { [variable]: "" } }).source, `env ${variable}`);
  }
});

Deno.test("a list in a higher place replaces the whole list", () => {
  const yaml = "http: {trusted_proxies: [10.0.0.0/8, 192.168.0.0/16]}";
  deepEqual(load({ yaml, env: { ORAMA_HTTP__TRUSTED_PROXIES: "127.0.0.1" } }).config.http.trusted_proxies, [
    "127.0.0.1/32",
  ]);
});

Deno.test("a section with nothing in it, and a file with nothing in it, say nothing", () => {
  const expected = load().config;
  for (const yaml of ["", "# nothing\n", "http:\n", "http: {}\nlog:\n", "~\n", "\uFEFF", "---\n"]) {
    deepEqual(load({ yaml }).config, expected, JSON.stringify(yaml));
  }
});

Deno.test("a file with a byte order mark, CRLF and anchors is read as usual", () => {
  const { config } = load({ yaml: "\uFEFFlimits:\r\n  key: &l {rate: 5, burst: 7}\r\n  address: *l\r\n" });
  deepEqual(config.limits.address, { rate: 5, burst: 7 });
});

Deno.test("a secret comes from the file that its _file setting names, without the blanks around it", () => {
  const files = {
    "/run/secrets/pw": "\uFEFF  hunter2 \r\n",
    "/run/secrets/rpc": "1: https://rpc.example/k\n137: https://rpc.example/p\n",
  };
  const rqlite = "database: {rqlite: {username: u, password_file: /run/secrets/pw}}";
  const { config, origins } = load({ yaml: rqlite, files, env: { ORAMA_AUTH__ETHEREUM_RPC_FILE: "/run/secrets/rpc" } });
  equal(config.database.rqlite.password, "hunter2");
  equal("password_file" in config.database.rqlite, false);
  deepEqual(config.auth.ethereum_rpc, { 1: "https://rpc.example/k", 137: "https://rpc.example/p" });
  equal(originText(origins.get("database.rqlite.password")!), "orama.yaml:1, content of /run/secrets/pw");
  equal(origins.has("database.rqlite.password_file"), false);
});

Deno.test("of two _file settings only the one that wins is read", () => {
  const files = { "/b": "right" };
  const yaml = "database: {rqlite: {username: u, password_file: /a}}";
  const { config } = load({ yaml, files, env: { ORAMA_DATABASE__RQLITE__PASSWORD_FILE: "/b" } });
  equal(config.database.rqlite.password, "right");
});

Deno.test("a secret and its _file together are refused, also from different sources", () => {
  const files = { "/pw": "hunter2" };
  const together = problemOf({
    yaml: "database:\n  rqlite:\n    username: u\n    password: a\n    password_file: /pw\n",
    files,
  });
  equal(together.line, 5);
  equal(together.key, "database.rqlite.password_file");
  equal(together.problem.includes("database.rqlite.password (orama.yaml:4)"), true);
  const apart = { ORAMA_DATABASE__RQLITE__PASSWORD_FILE: "/pw", ORAMA_DATABASE__RQLITE__USERNAME: "u" };
  const [problem] = problemsOf({ yaml: "database:\n  rqlite:\n    password: a\n", files, env: apart });
  equal(problem?.source, "env ORAMA_DATABASE__RQLITE__PASSWORD_FILE");
});

Deno.test("a secret file that cannot be read, is empty or holds nonsense is named", () => {
  const from = (path: string, files = {}) =>
    problemOf({ yaml: `database: {rqlite: {username: u, password_file: ${path}}}`, files });
  const missing = from("/run/none");
  equal(missing.key, "database.rqlite.password_file");
  equal(missing.line, 1);
  equal(missing.problem.startsWith("/run/none cannot be read"), true);
  equal(from("/pw", { "/pw": " \n" }).problem, "/pw is empty");
  const twoLines = from("/pw", { "/pw": "hunter2\nhunter3" });
  equal(twoLines.key, "database.rqlite.password");
  equal(twoLines.source, "orama.yaml:1, content of /pw");
  equal(JSON.stringify(twoLines).includes("hunter"), false);
});
