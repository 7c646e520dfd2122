import { deepEqual, equal, match, ok } from "node:assert/strict";
import { newOwner, type Owner } from "../support/accounts.ts";
import { awaitedLater } from "../support/awaited_later.ts";
import { deploy, hostCalls, invoke, tryToDeploy } from "../support/functions.ts";
import type { TestGateway } from "../support/gateway.ts";
import { isThere, processorSeconds } from "../support/host_processes.ts";
import { answering, deployText, functionHosts, functionsTest, HEARD } from "./support/function_gateways.ts";
import { until } from "./support/wait.ts";

type Key = { readonly key: string };

/** What a function answers, or the status of what it does not. */
async function answered(gateway: TestGateway, credential: Key, name: string): Promise<unknown> {
  const answer = await invoke(gateway, credential, name);
  return answer.status === 200 ? answer.get("output") : answer.status;
}

/** Calls a function again and again. Its `ended` gives what was not the text that was wanted. */
function callers(gateway: TestGateway, credential: Key, name: string, wanted: string) {
  const odd: string[] = [];
  const told = { calls: 0 };
  let calling = true;
  const all = awaitedLater(Array.from({ length: 2 }, async () => {
    for (; calling; told.calls++) {
      const answer = await invoke(gateway, credential, name);
      if (answer.status !== 200 || answer.get("output") !== wanted) odd.push(`${answer.status} ${answer.text}`);
    }
  }));
  return {
    async more(count: number): Promise<void> {
      const before = told.calls;
      await until("calls go on", () => told.calls >= before + count || odd.length > 0);
    },
    async ended(): Promise<readonly string[]> {
      calling = false;
      await Promise.all(all);
      return odd;
    },
  };
}

/** A host of the gateway that computes and computes. */
async function spinningHost(gateway: TestGateway): Promise<number> {
  const before = new Map(functionHosts(gateway).map((pid) => [pid, processorSeconds(pid)]));
  let found: number | undefined;
  await until("a process computes", () => {
    found = functionHosts(gateway).find((pid) => processorSeconds(pid) - (before.get(pid) ?? 0) > 0.5);
    return found !== undefined;
  });
  return found!;
}

functionsTest(
  "a gateway that is killed in the middle of calls leaves no process behind, and the other one goes on",
  {},
  async (pair) => {
    const { gateways: [a, b] } = pair, { key } = await pair.owner();
    await deployText(a, key, "f", "here");
    await deploy(a, key, "spin", "spin.wat", { timeout_seconds: "60" });
    await deploy(a, key, "sleep", "sleep_an_hour.wat", { timeout_seconds: "60" });
    await until("it is known", async () => await answered(b, key, "f") === "here", HEARD);
    const going = callers(b, key, "f", "here");
    try {
      const lost = ["spin", "spin", "sleep"].map((name) =>
        invoke(a, key, name).then(({ status }) => status, () => "cut")
      );
      await spinningHost(a);
      const hosts = functionHosts(a);
      ok(hosts.length >= lost.length, `${hosts.length}`);
      a.signal("SIGKILL");
      await a.exitCode();
      deepEqual(await Promise.all(lost), ["cut", "cut", "cut"]);
      await until("its processes are gone", () => !hosts.some(isThere), 10_000);
      deepEqual(functionHosts(a), [], "none was started meanwhile");
      await going.more(50);
      equal(await deployText(b, key, "g", "new"), 1);
      equal(await answered(b, key, "g"), "new");
    } finally {
      deepEqual(await going.ended(), []);
    }
  },
);

/** Credentials that are known are believed for as long as the control plane is away here. */
const bearing = { auth: { principal_cache: { max_stale: "60s" } } };

functionsTest("functions are called while the control plane has no leader; deploys are 503, and nothing is half done", {
  control: 3,
  config: bearing,
}, async (pair) => {
  const { gateways: [a, b], control } = pair, { key } = await pair.owner();
  await deployText(a, key, "f", "one");
  for (const gateway of [a, b]) {
    await until("it is known", async () => await answered(gateway, key, "f") === "one", HEARD);
  }
  const going = [a, b].map((gateway) => callers(gateway, key, "f", "one"));
  const both = () => Promise.all(going.map((one) => one.more(20)));
  const odd: string[] = [];
  try {
    const leader = await control.leader();
    await leader.kill();
    await both();
    let made = 0;
    await until("the next leader takes deploys", async () => {
      const { status, text } = await tryToDeploy(b, key, "g", await answering("elected"));
      if (status === 201) return ++made > 0;
      if (status !== 503 && !(status === 409 && text.includes("OUTCOME_UNKNOWN"))) odd.push(`${status} ${text}`);
      return false;
    });
    deepEqual(odd, []);

    const second = await control.leader();
    await second.kill();
    // Longer than anything is taken from memory without a try to read it anew.
    const since = performance.now();
    const refused: unknown[] = [];
    while (performance.now() - since < 12_000) {
      await both();
      const [deployed, gone] = await Promise.all([
        tryToDeploy(a, key, "half", await answering("half")),
        a.call("DELETE", "/v1/functions/f", key),
      ]);
      for (const answer of [deployed, gone]) {
        refused.push([answer.status, answer.get("code"), /^\d+$/.test(answer.headers.get("retry-after") ?? "")]);
      }
    }
    ok(refused.length > 0);
    deepEqual(refused.filter((one) => String(one) !== "503,UNAVAILABLE,true"), []);

    await Promise.all([leader, second].map((node) => node.start()));
    await control.ready();
    await until(
      "deploys are taken",
      async () => (await tryToDeploy(a, key, "f", await answering("two"))).status === 201,
    );
  } finally {
    const wrong = (await Promise.all(going.map((one) => one.ended()))).flat();
    deepEqual(wrong.filter((text) => !text.includes('"two"')), []);
  }
  for (const gateway of [a, b]) {
    await until("it serves", async () => await answered(gateway, key, "f") === "two", HEARD);
  }
  equal(await answered(b, key, "half"), 404);
  const names = (await a.call("GET", "/v1/functions", key)).expect(200).list("functions").map(({ name }) => name);
  deepEqual(names, ["f", "g"]);
  equal((await a.call("GET", "/v1/functions/f/versions", key)).get("versions.1.version"), 1);
});

/** What is asked of Kubo ends soon. */
const impatient = { storage: { ipfs: { request_timeout: "2s" } } };

functionsTest("functions in memory are called while the storage is away; others are 503 and come back with it", {
  config: impatient,
}, async (pair) => {
  const { gateways: [a, b], kubos } = pair, [node] = kubos.nodes, { key } = await pair.owner();
  await deployText(a, key, "known", "known");
  await until("it is known", async () => await answered(b, key, "known") === "known", HEARD);
  const outages = {
    dead: {
      begin: () => node!.kill(),
      end: async () => {
        await node!.start();
        await kubos.ready();
      },
    },
    still: { begin: () => node!.pause(), end: () => node!.resume() },
  };
  for (const [name, { begin, end }] of Object.entries(outages)) {
    await deployText(a, key, name, name);
    await until(
      "it is deployed",
      async () => (await b.call("GET", `/v1/functions/${name}`, key)).status === 200,
      HEARD,
    );
    const going = callers(b, key, "known", "known");
    await begin();
    try {
      const refused = await invoke(b, key, name);
      deepEqual([refused.status, refused.get("code")], [503, "UNAVAILABLE"], refused.text);
      match(refused.headers.get("retry-after") ?? "", /^\d+$/);
      const deployed = await tryToDeploy(a, key, "half", await answering(`half ${name}`));
      deepEqual([deployed.status, deployed.get("code")], [503, "UNAVAILABLE"], deployed.text);
      equal((await a.call("GET", "/v1/functions/half", key)).status, 404);
      await going.more(20);
    } finally {
      await end();
      deepEqual(await going.ended(), [], name);
    }
    await until("it is back", async () => await answered(b, key, name) === name);
  }
  await until(
    "deploys are taken",
    async () => (await tryToDeploy(a, key, "half", await answering("whole"))).status === 201,
  );
  equal((await a.call("GET", "/v1/functions/half", key)).get("version"), 1, "what was refused took no number");
});

functionsTest(
  "a namespace that is deleted at one gateway takes its calls at another with it, and who has its name next sees nothing of it",
  {},
  async (pair) => {
    const { gateways: [a, b] } = pair, { owner, key } = await pair.owner();
    const by = { token: owner.accessToken }, value = "the secret of whoever was here before";
    await deployText(a, key, "f", "old", { is_public: "true" });
    await deployText(a, key, "other", "old too", { is_public: "true" });
    await deploy(a, key, "calls", "calls.wat");
    await deploy(a, key, "spin", "spin.wat", { timeout_seconds: "60", retry_count: "3" });
    a.secrets.note(value);
    (await a.call("PUT", "/v1/functions/secrets/TOKEN", { ...by, body: { value } })).expect(200);
    const cron = { kind: "cron", expression: "* * * * * *" };
    (await a.call("POST", "/v1/functions/f/triggers", { ...key, body: cron })).expect(201);
    await until("it is known", async () => await answered(b, key, "calls@latest") !== 404, HEARD);
    equal((await hostCalls(b, key, "calls", ["get_secret", "TOKEN"], ["log_info", "old line"]))[0], value);
    equal(await answered(b, key, "f"), "old");

    const running = awaitedLater(invoke(b, key, "spin"));
    const host = await spinningHost(b);
    (await a.call("DELETE", `/v1/namespaces/${owner.namespace}`, by)).expect(200);
    await until("its process is gone", () => !isThere(host), 10_000);
    const { status, text } = await running;
    ok(status >= 400, `${status} ${text}`);

    let taken: Owner | undefined;
    await until("the name is free", async () => (taken = await newOwner(b, owner.namespace)) !== undefined);
    const next = taken!, mine = { key: next.apiKey };
    const path = (name: string) => `/v1/invoke/${owner.namespace}/${name}`;
    for (const gateway of [a, b]) {
      for (const name of ["f", "other", "calls", "spin"]) {
        const public_ = await gateway.call("POST", path(name), { raw: "" });
        ok([401, 404].includes(public_.status), `${name}: ${public_.status} ${public_.text}`);
        equal(await answered(gateway, mine, name), 404, name);
      }
      deepEqual((await gateway.call("GET", "/v1/functions", mine)).expect(200).list("functions"), []);
      equal(
        (await gateway.call("GET", "/v1/functions/secrets", { token: next.accessToken })).expect(200).get("count"),
        0,
      );
      await until("the old key is none", async () => (await invoke(gateway, key, "f")).status === 401, HEARD);
    }
    equal(await deployText(a, mine, "f", "new"), 1, "numbers begin anew");
    await deploy(a, mine, "calls", "calls.wat");
    for (const gateway of [b, a]) {
      await until("it is known", async () => await answered(gateway, mine, "calls") !== 404, HEARD);
      equal(await answered(gateway, mine, "f@1"), "new", "of the same name and number");
      equal((await hostCalls(gateway, mine, "calls", ["get_secret", "TOKEN"]))[0], "0");
      equal((await gateway.call("GET", "/v1/functions/f/triggers", mine)).expect(200).get("count"), 0);
    }
    const logs = async (name: string) =>
      (await b.call("GET", `/v1/functions/${name}/logs`, mine)).expect(200).get("count");
    deepEqual([await logs("f"), await logs("calls")], [0, 0]);
    const ran = (await b.call("GET", "/v1/functions/f/invocations", mine)).expect(200).list("invocations");
    deepEqual(ran.filter(({ trigger }) => trigger !== "http"), []);
  },
);
