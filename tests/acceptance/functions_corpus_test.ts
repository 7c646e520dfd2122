import { deepEqual, equal, match, ok } from "node:assert/strict";
import { until } from "../engines/support/wait.ts";
import { AMOUNTS } from "../fixtures/functions/cases/amounts.ts";
import { DEPLOY } from "../fixtures/functions/cases/deploy.ts";
import { ENDLESS } from "../fixtures/functions/cases/endless.ts";
import { HOST_CALLS } from "../fixtures/functions/cases/host_calls.ts";
import { SURROUNDINGS } from "../fixtures/functions/cases/surroundings.ts";
import { TRAPS } from "../fixtures/functions/cases/traps.ts";
import { WELL_BEHAVED } from "../fixtures/functions/cases/well_behaved.ts";
import { CASES, type FunctionCase, HOSTILE_LINES, SPELLINGS } from "../fixtures/functions/index.ts";
import { newOwner } from "../support/accounts.ts";
import { awaitedLater } from "../support/awaited_later.ts";
import { callProblem, caseFields, caseName, deployProblem, outputOf } from "../support/function_cases.ts";
import { type Credential, deploy, hostCalls, invoke, tryToDeploy } from "../support/functions.ts";
import { CAN_SEE_PROCESSES, hostsOf, isThere } from "../support/host_processes.ts";
import { figure } from "../support/live_metrics.ts";
import { gatewaySuite } from "../support/suite.ts";

/** Processes that are kept for whoever comes. */
const SPARES = 1;
const suite = gatewaySuite({
  config: {
    functions: { hosts: { idle: "1s", spares: SPARES }, wait: "60s" },
    limits: { functions: { functions: 1_000, host_calls: 500, log_bytes: "16KiB" } },
  },
});

/** How many cases run at once. */
const AT_ONCE = 4;
/** Milliseconds between two calls of a neighbour. */
const PACE = 25;

const GROUPS: readonly (readonly [name: string, cases: readonly FunctionCase[]])[] = [
  ["modules that do as they are told are answered", WELL_BEHAVED],
  ["modules that do not end, or will not, are stopped", ENDLESS],
  ["modules that end badly are told so", TRAPS],
  ["modules of which there is too much of something are refused or stopped", AMOUNTS],
  ["modules that cannot be called are refused with what is wrong with them", DEPLOY],
  ["modules that mistreat the host calls get errors, and no more", HOST_CALLS],
  ["modules that look for what is around them find nothing", SURROUNDINGS],
];

for (const [name, cases] of GROUPS) {
  suite.test(`${name}, and a neighbour is answered all through`, async () => {
    await using owner = await newOwner(suite.gateway);
    await using neighbour = await neighbourOf();
    const credential = { token: owner.accessToken };
    const wrong: string[] = [];
    await eachAtOnce(cases, async (one) => {
      const problem = await tried(one, credential);
      if (problem !== undefined) wrong.push(`${one.file}: ${problem}`);
    });
    deepEqual(wrong, []);
    ok(await neighbour.answered() > 0);
    ok(isThere(suite.gateway.pid));
  }, { namespaces: 2 });
}

suite.test("the groups are the whole corpus", () => {
  deepEqual(new Set(GROUPS.flatMap(([, cases]) => cases)), new Set(CASES));
});

suite.test(
  "functions with the names of modules that functions import are called, and two calls of one name at once",
  async () => {
    await using owner = await newOwner(suite.gateway);
    await using other = await newOwner(suite.gateway);
    const { gateway } = suite;
    const credentials = [{ token: owner.accessToken }, { token: other.accessToken }];
    for (const name of ["env", "host", "wasi_snapshot_preview1", "memory", "constructor"]) {
      for (const credential of credentials) await deploy(gateway, credential, name, "echo.wat");
      const inputs = Array.from({ length: 8 }, (_, i) => `[${i}]`);
      const answers = inputs.map((input, i) => invoke(gateway, credentials[i % 2]!, name, input));
      deepEqual((await Promise.all(answers)).map(({ text }) => text), inputs, name);
    }
    // Both run at the same time beyond doubt: neither ends before its deadline.
    await deploy(gateway, credentials[0]!, "env", "spin.wat", { timeout_seconds: "2" });
    const both = awaitedLater([invoke(gateway, credentials[0]!, "env"), invoke(gateway, credentials[0]!, "env")]);
    await until("both run", async () => await figure(gateway, "function_invocations_running") === 2);
    equal((await invoke(gateway, credentials[1]!, "env", "[2]")).expect(200).text, "[2]");
    for (const answer of await Promise.all(both)) equal(answer.expect(422).get("code"), "FUNCTION_TIMEOUT");
  },
  { namespaces: 2 },
);

suite.test(
  "a function calls none of another namespace, by no spelling, public or private, with one of that name or without",
  async () => {
    await using owner = await newOwner(suite.gateway);
    await using victim = await newOwner(suite.gateway);
    const { gateway } = suite;
    const mine = { token: owner.accessToken }, theirs = { token: victim.accessToken };
    const secret = crypto.randomUUID();
    const metadata = JSON.stringify({ env_vars: { X: secret } });
    const names = SPELLINGS.map((spelling) =>
      spelling.replaceAll("other", victim.namespace).replaceAll("Other", victim.namespace.toUpperCase())
    );
    await deploy(gateway, mine, "stranger", "invoke_stranger.wat");
    await deploy(gateway, mine, "calls", "calls.wat");
    const told: string[] = [];
    const lookFor = async () => {
      await eachAtOnce(names, async (name) => {
        // A line of `calls.wat` holds no tab and no end of a line; `invoke_stranger.wat` takes no more than 2 KiB.
        const answer = name.length <= 2_048
          ? (await invoke(gateway, mine, "stranger", name)).expect(200).string("output").split("\n")
          : await hostCalls(gateway, mine, "calls", ["function_invoke", name, ""], ["last_error"]);
        const [found, error] = answer;
        const code = found === "0" && error?.startsWith("{") ? JSON.parse(error).code : undefined;
        if (!/^(NOT_FOUND|INVALID_\w+)$/.test(code) || answer.join().includes(secret)) {
          told.push(`${JSON.stringify(name.slice(0, 100))}: ${answer.join(" ").slice(0, 200)}`);
        }
      });
    };
    await deploy(gateway, theirs, "name", "host_module.wat", { metadata });
    await lookFor();
    await deploy(gateway, theirs, "name", "host_module.wat", { metadata, is_public: "true" });
    await deploy(gateway, mine, "name", "echo.wat");
    await lookFor();
    deepEqual(told, []);
    equal((await invoke(gateway, theirs, "name")).expect(200).get("output"), `${secret}\n`, "it is there");
  },
  { namespaces: 2 },
);

suite.test("hostile arguments of host calls are answered with an error, and show nobody else's data", async () => {
  await using owner = await newOwner(suite.gateway);
  await using victim = await newOwner(suite.gateway);
  const { gateway } = suite;
  const mine = { token: owner.accessToken }, theirs = { token: victim.accessToken };
  const secret = crypto.randomUUID();
  for (const credential of [mine, theirs]) await deploy(gateway, credential, "calls", "calls.wat");
  const body = { value: secret };
  (await gateway.call("PUT", "/v1/functions/secrets/secret", { ...theirs, body })).expect(200);
  const [table, row, done, cid, kept] = await hostCalls(
    gateway,
    theirs,
    "calls",
    ["db_execute", "CREATE TABLE theirs (a TEXT)"],
    ["db_execute", `INSERT INTO theirs VALUES ('${secret}')`],
    ["cache_set", "theirs", secret, "600"],
    ["storage_put", "theirs", secret],
    ["get_secret", "secret"],
  );
  deepEqual([table, row, done, kept], ["0", "1", "done", secret]);
  match(cid!, /^baf/);
  const { namespace } = victim;
  const curious = [
    "db_query\tSELECT * FROM theirs",
    `db_query\tSELECT * FROM "${namespace}".theirs`,
    "cache_get\ttheirs",
    `cache_get\t${namespace}:theirs`,
    `cache_get\t${namespace}/theirs`,
    `cache_get\t${namespace}\0theirs`,
    `storage_get\t${cid}`,
    "get_secret\tsecret",
    `get_secret\t${namespace}/secret`,
    `get_secret\t${namespace}\0secret`,
  ];
  const wrong: string[] = [];
  const crashed = await crashes();
  await eachAtOnce([...HOSTILE_LINES, ...curious], async (line) => {
    const shown = JSON.stringify(line.slice(0, 80));
    const answer = await invoke(gateway, mine, "calls", `${line}\nlast_error\nget_request_id`);
    if (answer.status !== 200) return wrong.push(`${shown}: ${answer.status} ${answer.text.slice(0, 200)}`);
    const [said, error, id] = outputOf(answer).split("\n");
    const problem = id === answer.headers.get("x-request-id") ? harm(line, said!, error!) : "what follows it is lost";
    if (problem !== undefined || answer.text.includes(secret)) {
      wrong.push(`${shown}: ${problem}: ${answer.text.slice(0, 300)}`);
    }
  });
  deepEqual(wrong, []);
  equal(await crashes(), crashed);
  const left = await hostCalls(gateway, theirs, "calls", ["db_query", "SELECT a FROM theirs"], ["cache_get", "theirs"]);
  deepEqual(left, [`[{"a":"${secret}"}]`, secret]);
}, { namespaces: 2 });

/** Runs last: what the other tests left behind is looked at. */
suite.test("when all is over, no process is left but the spares, none computes, and nothing waits", async () => {
  const { gateway } = suite;
  for (const state of ["busy", "idle"]) {
    await until(`none is ${state}`, async () => await figure(gateway, `function_hosts{state="${state}"}`) === 0);
  }
  equal(await figure(gateway, "function_invocations_running"), 0);
  equal(await figure(gateway, "function_invocations_waiting"), 0);
  if (CAN_SEE_PROCESSES) {
    await until("the spares alone are there", () => hostsOf(gateway.pid, "function").length <= SPARES);
  }
  (await gateway.call("GET", "/v1/health")).expect(200);
});

/** Deploys a case, and calls it unless it is to be refused. @returns what went wrong */
async function tried(one: FunctionCase, credential: Credential): Promise<string | undefined> {
  const { gateway } = suite;
  const name = caseName(one);
  const deployed = await tryToDeploy(gateway, credential, name, one.file, caseFields(one));
  const problem = deployProblem(deployed, one);
  if (problem !== undefined) return problem;
  if (one.refusedAtDeploy === undefined) return callProblem(await invoke(gateway, credential, name, one.input), one);
  const { status } = await gateway.call("GET", `/v1/functions/${name}`, credential);
  return status === 404 ? undefined : `it was refused, and is there all the same (${status})`;
}

/** What is wrong with how a hostile line was answered. @param error what `last_error` said behind it */
function harm(line: string, said: string, error: string): string | undefined {
  if (line.startsWith("http_fetch")) {
    return said.startsWith("{") && JSON.parse(said).status === 0 && JSON.parse(said).error ? undefined : "no error";
  }
  if (said !== "0") return "an answer";
  if (error === "0") return ABSENT.test(line) ? undefined : "no word of what is wrong";
  const { code, message } = JSON.parse(error) as { code: string; message: string };
  if (!/^[A-Z_]+$/.test(code) || /^(INTERNAL|UNAVAILABLE)$/.test(code)) return "the wrong code";
  return /file:\/\/|\.ts\b/.test(message) ? "inner words" : undefined;
}

/** How many processes have ended by themselves, or sent what they must not. */
const crashes = () => figure(suite.gateway, 'function_hosts_ended_total{cause="crashed"}');

/** Lines that ask for what is not there, which is no mistake. */
const ABSENT = /^(cache_get|get_secret)\t/;

/** Does something with each, some at a time. */
async function eachAtOnce<T>(all: readonly T[], run: (one: T) => Promise<unknown>): Promise<void> {
  const left = [...all];
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (let one = left.shift(); one !== undefined; one = left.shift()) await run(one);
  }));
}

/** Another namespace that calls a function of its own again and again until it is disposed of. */
async function neighbourOf() {
  const owner = await newOwner(suite.gateway);
  const credential = { token: owner.accessToken };
  await deploy(suite.gateway, credential, "echo", "echo.wat");
  let over = false, count = 0;
  const calling = awaitedLater((async () => {
    while (!over) {
      const input = `[${count}]`;
      equal((await invoke(suite.gateway, credential, "echo", input)).expect(200).text, input);
      count++;
      await new Promise((resolve) => setTimeout(resolve, PACE));
    }
    return count;
  })());
  return {
    /** Ends it. @returns how often it was answered @throws what an answer that was none throws */
    async answered(): Promise<number> {
      over = true;
      return await calling;
    },
    async [Symbol.asyncDispose]() {
      over = true;
      await calling.catch(() => {});
      await owner[Symbol.asyncDispose]();
    },
  };
}
