import { deepEqual, equal, match, notEqual } from "node:assert/strict";
import { nearestOf } from "../../../config/problems.ts";
import { problemOf, problemsOf, refusal } from "./support.ts";

Deno.test("an unknown key is refused with its file, line, path and the nearest known name", () => {
  deepEqual(problemOf({ yaml: "\nhttp:\n  body:\n    max_byte: 5\n" }), {
    source: "orama.yaml:4",
    file: "orama.yaml",
    line: 4,
    key: "http.body.max_byte",
    problem: "unknown key",
    expected: "one of the keys max_bytes, stall_timeout, timeout",
    nearest: "max_bytes",
  });
  equal(problemOf({ yaml: "htpp: {listen: 5}" }).nearest, "http");
  equal(problemOf({ yaml: "database: {rqlite: {request-timeout: 5s}}" }).nearest, "request_timeout");
  equal(problemOf({ yaml: "database: {rqlite: {REQUEST_TIMEOUT: 5s}}" }).nearest, "request_timeout");
});

Deno.test("a known key in a wrong place is told its right one", () => {
  equal(problemOf({ yaml: "listen: :5" }).nearest, "http.listen");
  equal(problemOf({ yaml: "http: {max_bytes: 5}" }).nearest, "http.body.max_bytes");
  equal(problemOf({ yaml: "cache: {max_bytes: 5}" }).nearest, "cache.memory.max_bytes");
  equal(problemOf({ yaml: "log:\n  http.listen: 5" }).nearest, "http.listen");
});

Deno.test("a name like no other gets no suggestion", () => {
  equal(problemOf({ yaml: "quxquuxcorge: 5" }).nearest, undefined);
  equal(problemOf({ yaml: `${"x".repeat(900)}: 5` }).nearest, undefined);
  equal(nearestOf("listn", ["listen", "list"]), "listen");
});

Deno.test("names of JavaScript's own are unknown keys like any other", () => {
  for (const key of ["constructor", "toString", "hasOwnProperty", "prototype", "__defineGetter__"]) {
    equal(problemOf({ yaml: `${key}: 5` }).key, key);
    equal(problemOf({ yaml: `http:\n  ${key}: 5` }).key, `http.${key}`);
    equal(problemOf({ flags: [[key, 5, "--x"]] }).key, key);
  }
  match(problemOf({ yaml: "http:\n  __proto__: {listen: 1}" }).problem, /__proto__/);
  equal(problemOf({ env: { ORAMA___PROTO__: "5" } }).key, "ORAMA___PROTO__");
});

Deno.test("a wrong value is refused with its line, what was expected and what was found", () => {
  const problem = problemOf({ yaml: "http:\n  listen: :5\n  body:\n    stall_timeout: ten\n" });
  equal(problem.line, 4);
  equal(problem.key, "http.body.stall_timeout");
  match(problem.expected!, /^a duration such as 10s/);
  match(problem.problem, /^expected a duration .*; found "ten"$/);
});

Deno.test("a wrong part of a list or map is refused with its own line and path", () => {
  const yaml = [
    "http:",
    "  trusted_proxies:",
    "    - 10.0.0.0/8",
    "    - 10.0.0.1/8",
    "database:",
    "  rqlite:",
    "    pool:",
    "      - name: a",
    "        urls: [http://a:1]",
    "      - nam: b",
    "        urls:",
    "          - http://b:1",
    "          - b:1",
  ].join("\n");
  const found = problemsOf({ yaml }).map(({ line, key, nearest }) => [line, key, nearest]);
  deepEqual(found, [
    [4, "http.trusted_proxies.1", undefined],
    [10, "database.rqlite.pool.1.name", undefined],
    [10, "database.rqlite.pool.1.nam", "name"],
    [13, "database.rqlite.pool.1.urls.1", undefined],
  ]);
});

Deno.test("a scalar or list in the place of a section, and the reverse, are refused", () => {
  match(problemOf({ yaml: "http: 5" }).problem, /^expected a map with the keys listen, .*; found a number$/);
  match(problemOf({ yaml: "http: [listen]" }).problem, /found a list$/);
  match(problemOf({ yaml: "http: {listen: {host: a}}" }).problem, /found a map$/);
  match(problemOf({ yaml: "http: {listen: }" }).problem, /found nothing$/);
  match(problemOf({ yaml: "http: {public_url: ~}" }).problem, /found nothing$/);
});

Deno.test("a root that is no map is refused", () => {
  for (const yaml of ["- http", "just words", "5", "true", "[]"]) {
    match(problemOf({ yaml }).problem, /^expected a map with the sections anyone, auth/);
  }
});

Deno.test("a text that YAML takes for a number is refused with the advice to quote it", () => {
  match(problemOf({ yaml: "auth: {issuer: 0123}" }).problem, /\(put it in quotes\)$/);
});

Deno.test("an unknown variable stops the start and is told the nearest name", () => {
  const problem = problemOf({ env: { ORAMA_HTTP__LISTN: ":1" } });
  deepEqual([problem.key, problem.nearest], ["ORAMA_HTTP__LISTN", "ORAMA_HTTP__LISTEN"]);
  equal(problemOf({ env: { ORAMA_HTTP_LISTEN: ":1" } }).nearest, "ORAMA_HTTP__LISTEN");
  equal(problemOf({ env: { ORAMA_http__listen: ":1" } }).nearest, "ORAMA_HTTP__LISTEN");
  match(problemOf({ env: { ORAMA_DATABASE__RQLITE: "{}" } }).problem, /group/);
  match(problemOf({ env: { ORAMA_: "" } }).problem, /unknown/);
});

Deno.test("a variable of a wrong type is refused by its name", () => {
  const wrong = {
    ORAMA_LOG__ACCESS: "yes",
    ORAMA_LIMITS__KEY__BURST: "1e3",
    ORAMA_LIMITS__KEY__RATE: "NaN",
    ORAMA_HTTP__MAX_JSON_DEPTH: "64.5",
    ORAMA_AUTH__NONCE_TTL: "5 minutes",
    ORAMA_HTTP__BODY__MAX_BYTES: "-1",
    ORAMA_HTTP__TRUSTED_PROXIES: "[10.0.0.0/8",
    ORAMA_AUTH__ETHEREUM_RPC: "https://rpc.example",
    ORAMA_DATABASE__RQLITE__POOL: "http://a:1,http://b:1",
    ORAMA_DATABASE__DRIVER: "postgres",
    ORAMA_AUTH__SIGN_IN__CHAIN_IDS: "one",
  };
  const problems = problemsOf({ env: wrong });
  deepEqual(new Set(problems.map(({ source }) => source)), new Set(Object.keys(wrong).map((name) => `env ${name}`)));
});

Deno.test("a flag for a setting that does not exist, or of a wrong type, is refused by its name", () => {
  const problems = problemsOf({
    flags: [["http.listn", ":1", "--listen"], ["log.level", "loud", "--level"], ["log.access", {}, "--log"]],
  });
  deepEqual(problems.map(({ source, key, nearest }) => [source, key, nearest]), [
    ["--listen", "http.listn", "http.listen"],
    ["--level", "log.level", undefined],
    ["--log", "log.access", undefined],
  ]);
});

Deno.test("a wrong value is refused even where another one overrides it", () => {
  const problem = problemOf({ yaml: "http:\n  listen: nowhere\n", flags: [["http.listen", ":1", "--listen"]] });
  equal(problem.line, 2);
});

Deno.test("everything that is wrong is said at once, the file from top to bottom first", () => {
  const error = refusal({
    yaml: "htp: 1\nlog:\n  level: loud\nlimits: {key: {rate: -1}}\nlog: {}\n",
    env: { ORAMA_X: "1", ORAMA_LOG__ACCESS: "maybe" },
    flags: [["http.listen", "x", "--listen"]],
  });
  deepEqual(error.problems.map(({ source }) => source), [
    "orama.yaml:1",
    "orama.yaml:3",
    "orama.yaml:4",
    "orama.yaml:5",
    "env ORAMA_X",
    "env ORAMA_LOG__ACCESS",
    "--listen",
  ]);
  const [head, ...lines] = error.message.split("\n");
  equal(head, "the configuration has 7 problems:");
  equal(lines[0], '  orama.yaml:1: htp: unknown key; did you mean "http"?');
  equal(lines[4], "  env ORAMA_X: unknown variable");
  equal(lines[5], '  env ORAMA_LOG__ACCESS: log.access: expected true or false; found "maybe"');
  equal(lines.length, 7);
});

Deno.test("very many problems are counted and not all printed", () => {
  const yaml = Array.from({ length: 4000 }, (_, i) => `unknown_${i}: 1`).join("\n");
  const { problems, message } = refusal({ yaml });
  equal(problems.length, 4000);
  equal(message.split("\n").length, 52);
  match(message, /and 3950 more$/);
});

Deno.test("no secret and no password in a URL is in any message", () => {
  const files = { "/secret": "hunter2\nhunter2" };
  const yamls = [
    "database: {rqlite: {password: [hunter2]}}",
    "database: {rqlite: {password: {hunter2: 1}}}",
    'database: {rqlite: {password: "hunter2\\u0000"}}',
    "database: {rqlite: {passwort: hunter2}}",
    "database: {rqlite: hunter2}",
    "database: {rqlite: {control: [http://u:hunter2@a]}}",
    "database: {rqlite: {control: ['http://u:hunt@er/hunter2@a b']}}",
    "database: {rqlite: {username: u, password_file: /secret}}",
    "auth: {ethereum_rpc: hunter2}",
    "auth: {ethereum_rpc: {1: hunter2}}",
    "auth: {ethereum_rpc: {hunter2: x}}",
    "rqlite_dsn: 'http://u:hunter2@h h'",
    "database: {rqlite: {password: hunter2: x}}",
    "database: {rqlite: {password: *hunter2 }}",
    "- hunter2",
    "hunter2",
  ];
  for (const yaml of yamls) {
    const { message, problems } = refusal({ yaml, files });
    notEqual(problems.length, 0);
    equal((message + JSON.stringify(problems)).includes("hunter2"), false, `${yaml} → ${message}`);
  }
});

Deno.test("names cannot forge lines of the message or steer the terminal", () => {
  const { message } = refusal({ yaml: '"a\\n  orama.yaml:9: all is well\\e[2J": 1', env: { "ORAMA_A\nB": "1" } });
  equal(message.split("\n").length, 3);
  equal(message.includes("\u001b"), false);
});

Deno.test("bad YAML is reported beside what the other sources have wrong, and no rule is guessed about it", () => {
  const problems = problemsOf({
    yaml: "database:\n  rqlite: {control: [http://a:1]\n",
    env: { ORAMA_DATABASE__DRIVER: "rqlite", ORAMA_NOPE: "1" },
  });
  equal(problems[0]?.file, "orama.yaml");
  equal(problems.at(-1)?.key, "ORAMA_NOPE");
  equal(problems.some(({ key }) => key.startsWith("database")), false);
});

Deno.test("hostile files are one problem each", () => {
  const bomb = Array.from(
    { length: 12 },
    (_, i) => `l${i}: &l${i} [${Array(10).fill(i === 0 ? "x" : `*l${i - 1}`).join(", ")}]`,
  );
  match(problemOf({ yaml: bomb.join("\n") }).problem, /values/);
  match(problemOf({ yaml: "#".repeat(2 ** 20 + 1) }).problem, /longer/);
  match(problemOf({ yaml: "http:\n\tlisten: :1" }).problem, /tabs/);
  match(problemOf({ env: { ORAMA_HTTP__TRUSTED_PROXIES: "[".repeat(5000) } }).problem, /^expected a list/);
});

Deno.test("a setting that was replaced is refused with the name of the new one, wherever it was set", () => {
  const inFile = problemOf({ yaml: "database:\n  sqlite:\n    max_open: 64\n" });
  deepEqual([inFile.line, inFile.key], [3, "database.sqlite.max_open"]);
  match(inFile.problem, /write database\.sqlite\.hosts\.max/);
  match(problemOf({ env: { ORAMA_DATABASE__SQLITE__MAX_OPEN: "64" } }).problem, /database\.sqlite\.hosts\.max/);
});
