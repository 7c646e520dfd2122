import { deepEqual, equal, match, notEqual, throws } from "node:assert/strict";
import { z } from "zod";
import { catalogueOf, leavesOf } from "../../../config/catalogue.ts";
import { field, group, section } from "../../../config/field.ts";
import { type Config, ConfigError, loadConfig } from "../../../config/index.ts";
import { duration } from "../../../config/kinds/duration.ts";
import { integer, text } from "../../../config/kinds/plain.ts";
import { CATALOGUE, load as loadSections } from "../../../config/load.ts";
import { print } from "../../../config/print.ts";
import { referenceOf } from "../../../config/reference.ts";
import { inputOf, load, problemOf, problemsOf } from "./support.ts";

Deno.test("every setting has a description of its own and a default that its kind takes", () => {
  for (const { path, schema, meta } of CATALOGUE.byPath.values()) {
    match(meta.description, /^[A-Z`].*\.( .*)?$/s, path);
    equal(schema.safeParse(undefined).success || meta.default === undefined, true, `default of ${path}`);
    match(path, /^[a-z\d_]+(\.[a-z\d_]+)+$/);
    if (meta.kind.name === "integer" || meta.kind.name === "number") notEqual(meta.unit, undefined, `unit of ${path}`);
  }
});

Deno.test("no two settings share a variable", () => {
  equal(CATALOGUE.byVariable.size, CATALOGUE.byPath.size);
  equal(leavesOf(CATALOGUE.root).length, CATALOGUE.byPath.size);
});

Deno.test("what a kind prints is what it takes: every default survives toYaml()", () => {
  for (const { path, schema, meta } of CATALOGUE.byPath.values()) {
    if (meta.default === undefined) continue;
    const value = schema.parse(undefined);
    deepEqual(schema.parse(meta.kind.toYaml(value)), value, path);
  }
});

Deno.test("a new domain is one section: it is loaded, printed and described like the others", () => {
  const cache = section({
    description: "The cache.",
    fields: {
      ttl: field(duration(), { default: "1h", description: "Life of an entry." }),
      olric: group({ token: field(text(), { secret: true, description: "Token of the servers." }) }),
      size: field(integer({ max: 10 }), { default: 5, unit: "entries", description: "Entries." }),
    },
    check: ({ size, ttl }) =>
      size > 8 && ttl > 1000 ? [{ key: "size", because: "ttl", expected: "less with such a ttl" }] : [],
  });
  const catalogue = catalogueOf({ cache });
  const input = inputOf({
    yaml: "cache:\n  olric: {token_file: /t}\n",
    files: { "/t": "hush\n" },
    env: { ORAMA_CACHE__TTL: "2h" },
  });
  const loaded = loadSections(catalogue, input);
  deepEqual(loaded.config, { cache: { ttl: 7_200_000, olric: { token: "hush" }, size: 5 } });
  equal(
    print(catalogue, loaded),
    'cache:\n  ttl: 2h  # env ORAMA_CACHE__TTL\n  olric:\n    token: "[secret]"  # orama.yaml:2, content of /t\n  size: 5  # default\n',
  );
  match(referenceOf(catalogue), /\| `cache\.olric\.token` \| text, \*\*secret\*\* \|/);
  throws(
    () => loadSections(catalogue, inputOf({ yaml: "cache:\n  size: 9\n" })),
    ({ problems: [problem] }: ConfigError) => {
      equal(problem?.line, 2);
      return problem?.problem === "expected less with such a ttl";
    },
  );
});

Deno.test("a field that was not made by field() is a defect that shows at once", () => {
  throws(() => catalogueOf({ x: section({ description: "", fields: { y: z.string() } }) }), TypeError);
});

Deno.test("sections refuse unknown keys by themselves", () => {
  for (const { schema } of Object.values(CATALOGUE.sections)) {
    equal(schema.safeParse({ nonsense: 1 }).error?.issues.some(({ code }) => code === "unrecognized_keys"), true);
  }
});

Deno.test("the type of the configuration is that of its sections", () => {
  const config: Config = load().config;
  const listen: { readonly hostname: string; readonly port: number } = config.http.listen;
  const driver: "sqlite" | "rqlite" = config.database.driver;
  const pool: readonly { readonly name: string; readonly urls: readonly string[] }[] = config.database.rqlite.pool;
  const publicUrl: string | undefined = config.http.public_url;
  const rpc: Readonly<Record<string, string>> = config.auth.ethereum_rpc;
  deepEqual([listen.port, driver, pool, publicUrl, rpc], [6001, "sqlite", [], undefined, {}]);
});

Deno.test("database.driver rqlite needs a cluster for the control plane and others for namespaces", () => {
  const problems = problemsOf({ yaml: "database:\n  driver: rqlite\n" });
  deepEqual(problems.map(({ line, key }) => [line, key]), [
    [2, "database.rqlite.control"],
    [2, "database.rqlite.pool"],
  ]);
  match(problems[0]!.problem, /because database\.driver is rqlite/);
  equal(problemsOf({ env: { ORAMA_DATABASE__DRIVER: "rqlite" } })[0]?.source, "env ORAMA_DATABASE__DRIVER");
});

Deno.test("clusters of RQLite have names of their own and share no node", () => {
  const pool = (clusters: string) =>
    problemsOf({ yaml: `database:\n  driver: rqlite\n  rqlite:\n    control: [http://a:1]\n    pool:\n${clusters}` })
      .map(({ line, key }) => [line, key]);
  deepEqual(pool("      - {name: x, urls: [http://b:1]}\n      - {name: x, urls: [http://c:1]}\n"), [[
    7,
    "database.rqlite.pool.1.name",
  ]]);
  deepEqual(pool("      - {name: x, urls: [http://a:1/]}\n"), [[6, "database.rqlite.pool.0.urls.0"]]);
  deepEqual(pool("      - {name: x, urls: [http://b:1]}\n      - {name: y, urls: [http://c:1, http://B:1]}\n"), [
    [7, "database.rqlite.pool.1.urls.1"],
  ]);
  deepEqual(pool("      - {name: x, urls: []}\n"), [[6, "database.rqlite.pool.0.urls"]]);
});

Deno.test("user name and password of RQLite come together", () => {
  const rqlite = "database: {driver: rqlite, rqlite: {control: [http://a:1], pool: [{name: x, urls: [http://b:1]}], ";
  equal(problemOf({ yaml: `${rqlite}username: u}}` }).key, "database.rqlite.password");
  equal(problemOf({ yaml: `${rqlite}password: p}}` }).key, "database.rqlite.username");
  equal(load({ yaml: `${rqlite}username: u, password: p}}` }).config.database.rqlite.password, "p");
});

Deno.test("no rule speaks of a setting that is wrong by itself", () => {
  const problems = problemsOf({
    yaml: "database:\n  driver: rqlite\n  rqlite:\n    control: [nowhere]\n    pool: 5\n",
  });
  deepEqual(problems.map(({ key }) => key), ["database.rqlite.control.0", "database.rqlite.pool"]);
});

Deno.test("cache.driver olric needs its members, each of them once", () => {
  const { key, line, problem } = problemOf({ yaml: "cache:\n  driver: olric\n" });
  deepEqual([key, line], ["cache.olric.addresses", 2]);
  match(problem, /at least one address such as .* because cache\.driver is olric/);
  const olric = (addresses: string) => `cache: {driver: olric, olric: {addresses: [${addresses}]}}`;
  equal(problemOf({ yaml: olric("a:1, b:1, A:1") }).key, "cache.olric.addresses.2");
  for (
    const wrong of [
      "a",
      '":3320"',
      "3320",
      "a:0",
      "a:65536",
      "'http://a:1'",
      "'[::1]'",
      "'a b:1'",
      "'a:1:2'",
      "'[::g]:1'",
      "'1.2.3.256:1'",
      "'u@a:1'",
      "'a:1/x'",
      "''",
    ]
  ) {
    equal(problemOf({ yaml: olric(wrong) }).key, "cache.olric.addresses.0", wrong);
  }
  deepEqual(load({ yaml: olric("'[::1]:3320', Node-1.example:3320, olric_2:80") }).config.cache.olric.addresses, [
    "[::1]:3320",
    "node-1.example:3320",
    "olric_2:80",
  ]);
  equal(load({ yaml: "cache: {olric: {addresses: []}}" }).config.cache.driver, "memory");
});

Deno.test("a near cache is bounded in bytes, of which there may be none, and in time, of which there must be some", () => {
  for (const wrong of ["max_ttl: 9ms", "max_ttl: 61m", "max_ttl: 0", "max_bytes: 2GiB", "max_bytes: -1"]) {
    equal(problemOf({ yaml: `cache: {near: {${wrong}}}` }).key, `cache.near.${wrong.split(":")[0]}`, wrong);
  }
  const { near } = load({ yaml: "cache: {near: {max_bytes: 0, max_ttl: 10ms}}" }).config.cache;
  deepEqual(near, { max_bytes: 0, max_ttl: 10 });
});

Deno.test("a value of the cache is no larger than what its namespace may hold", () => {
  equal(problemOf({ yaml: "limits: {cache: {bytes: 1KiB}}" }).key, "limits.cache.value_bytes");
  const { value_bytes, bytes } = load({ yaml: "limits: {cache: {bytes: 0}}" }).config.limits.cache;
  deepEqual([value_bytes, bytes], [512_000, 0]);
});

Deno.test("storage.driver ipfs needs its nodes, each of them once; a Cluster beside them may be left out", () => {
  const { key, line, problem } = problemOf({ yaml: "storage:\n  driver: ipfs\n" });
  deepEqual([key, line], ["storage.ipfs.kubo", 2]);
  match(problem, /at least one URL, because storage\.driver is ipfs/);
  const ipfs = (rest: string) => ({ yaml: `storage: {driver: ipfs, ipfs: {kubo: [http://a:1], ${rest}}}` });
  equal(
    problemOf({ yaml: "storage: {driver: ipfs, ipfs: {kubo: [http://a:1, http://A:1/]}}" }).key,
    "storage.ipfs.kubo.1",
  );
  equal(problemOf(ipfs("cluster: [http://b:1, http://c:1, http://b:1]")).key, "storage.ipfs.cluster.2");
  equal(problemOf(ipfs("cluster_username: u")).key, "storage.ipfs.cluster_password");
  equal(problemOf(ipfs("cluster_password: p")).key, "storage.ipfs.cluster_username");
  deepEqual(load(ipfs("cluster: []")).config.storage.ipfs.kubo, ["http://a:1"]);
  equal(load({ yaml: "storage: {ipfs: {kubo: []}}" }).config.storage.driver, "local");
});

Deno.test("content is to be on one peer at least, on no more than it may be, or on all of them", () => {
  const replication = (min: number, max: number) => ({ yaml: `storage: {replication: {min: ${min}, max: ${max}}}` });
  for (
    const [min, max, key] of [[0, 3, "min"], [1, 0, "max"], [-1, 3, "min"], [1, -1, "min"], [3, 2, "min"]] as const
  ) {
    equal(problemOf(replication(min, max)).key, `storage.replication.${key}`, `${min}, ${max}`);
  }
  for (const [min, max] of [[-1, -1], [1, 1], [2, 5]] as const) {
    deepEqual(load(replication(min, max)).config.storage.replication, { min, max });
  }
});

Deno.test("what is collected has been there for ten minutes, and chunks fit into a block", () => {
  equal(problemOf({ yaml: "storage: {local: {grace: 9m}}" }).key, "storage.local.grace");
  equal(problemOf({ yaml: "storage: {chunk_size: 2MiB}" }).key, "storage.chunk_size");
  equal(problemOf({ yaml: "limits: {storage: {bytes: 1MiB}}" }).key, "limits.storage.object_bytes");
  equal(load({ yaml: "limits: {storage: {bytes: 0, object_bytes: 1TiB}}" }).config.limits.storage.bytes, 0);
});

Deno.test("a limit that is on lets at least one request pass; a rate of 0 switches it off", () => {
  equal(problemOf({ yaml: "limits: {key: {burst: 0}}" }).key, "limits.key.burst");
  deepEqual(load({ yaml: "limits: {key: {rate: 0, burst: 0}}" }).config.limits.key, { rate: 0, burst: 0 });
});

Deno.test("a session outlives its access token, and a sign-in has a chain", () => {
  equal(problemOf({ yaml: "auth: {refresh_token_ttl: 1m}" }).key, "auth.refresh_token_ttl");
  equal(problemOf({ yaml: "auth: {sign_in: {chain_ids: []}}" }).key, "auth.sign_in.chain_ids");
});

Deno.test("loading reads nothing but what it was given", () => {
  const read: string[] = [];
  const readFile = (path: string) => {
    read.push(path);
    return "";
  };
  loadConfig({ readFile, env: {}, flags: [] });
  deepEqual(read, []);
  loadConfig({ file: "x.yaml", readFile, env: {}, flags: [] });
  deepEqual(read, ["x.yaml"]);
});

Deno.test("a configuration file that cannot be read is named", () => {
  const readFile = (): string => {
    throw new Deno.errors.NotFound("No such file or directory (os error 2)");
  };
  throws(() => loadConfig({ file: "none.yaml", readFile, env: {}, flags: [] }), (error: ConfigError) => {
    deepEqual([error.problems.length, error.problems[0]?.file], [1, "none.yaml"]);
    return error instanceof ConfigError && /none\.yaml: cannot be read: No such file/.test(error.message);
  });
});

Deno.test("a call may not be given more memory than the processes are started with, whichever of the two was set", () => {
  const beyond = problemOf({ yaml: "functions:\n  hosts:\n    memory: 64MiB\n" });
  deepEqual([beyond.line, beyond.key], [3, "limits.functions.memory"]);
  match(beyond.problem, /no more than functions\.hosts\.memory/);
  equal(problemOf({ yaml: "limits:\n  functions:\n    memory: 512MiB\n" }).line, 3);
  const fits = "functions: {hosts: {memory: 64MiB}}\nlimits: {functions: {memory: 64MiB}}";
  equal(load({ yaml: fits }).config.limits.functions.memory, 64 * 2 ** 20);
  // What is wrong by itself has no rule beside it.
  deepEqual(problemsOf({ yaml: "functions: {hosts: {memory: much}}" }).map(({ key }) => key), [
    "functions.hosts.memory",
  ]);
});

Deno.test("a namespace may have no more processes for functions than there are, and memory comes in whole MiB", () => {
  equal(problemOf({ yaml: "functions: {hosts: {max: 2, per_namespace: 3}}" }).key, "functions.hosts.per_namespace");
  equal(load({ yaml: "functions: {hosts: {per_namespace: 3}}" }).config.functions.hosts.per_namespace, 3);
  equal(problemOf({ yaml: "limits: {functions: {memory: 1500000}}" }).key, "limits.functions.memory");
  equal(problemOf({ yaml: "functions: {hosts: {memory: 300000001}}" }).key, "functions.hosts.memory");
});

Deno.test("keys of functions' secrets are 32 bytes as hex digits, and never printed", () => {
  const [key, old] = ["ab".repeat(32), "cd".repeat(32)];
  const loaded = load({ yaml: `functions: {secrets: {key: "${key}", old_keys: ["${old}"]}}` });
  deepEqual(loaded.config.functions.secrets, { key, old_keys: [old], reseal_after: 600_000 });
  const printed = print(CATALOGUE, loaded);
  equal(printed.includes(key) || printed.includes(old), false);
  for (const wrong of [`key: "${key}0"`, `key: hunter2`, `old_keys: [hunter2]`]) {
    equal(problemOf({ yaml: `functions: {secrets: {${wrong}}}` }).problem.includes("hunter2"), false);
  }
});
