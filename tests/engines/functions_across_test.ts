import { deepEqual, equal, ok } from "node:assert/strict";
import { awaitedLater } from "../support/awaited_later.ts";
import { EventReader } from "../support/event_reader.ts";
import { deploy, hostCalls, invoke } from "../support/functions.ts";
import type { TestGateway } from "../support/gateway.ts";
import { answering, deployText, functionsTest, HEARD, logging } from "./support/function_gateways.ts";
import { until } from "./support/wait.ts";

/** Calls after each change whose answers must all be right. */
const BETWEEN = 20;

/** Milliseconds within which another gateway goes on for a trigger. */
const TAKEN_OVER = 120_000;

/** What a function answers, or the status of what it does not. */
async function answered(gateway: TestGateway, credential: { readonly key: string }, name: string): Promise<unknown> {
  const answer = await invoke(gateway, credential, name);
  return answer.status === 200 ? answer.get("output") : answer.status;
}

functionsTest(
  "what is deployed at one gateway is called at another at once, and however it changes there",
  {},
  async (pair) => {
    const { gateways: [a, b] } = pair, { key } = await pair.owner();
    const seen = (name: string, wanted: unknown) =>
      until(`${name} answers ${wanted}`, async () => await answered(b, key, name) === wanted, HEARD);
    // That there is none is remembered as well, and must not outlive the deploy.
    equal(await answered(b, key, "f"), 404);
    equal(await deployText(a, key, "f", "one"), 1);
    await seen("f", "one");
    for (let i = 0; i < BETWEEN; i++) equal(await answered(b, key, "f"), "one");
    equal(await deployText(a, key, "f", "two"), 2);
    await seen("f", "two");
    deepEqual([await answered(b, key, "f@1"), await answered(b, key, "f@2")], ["one", "two"]);

    const change = (method: string, path: string, body?: unknown) =>
      a.call(method, `/v1/functions/${path}`, { ...key, ...(body !== undefined && { body }) });
    const alias = async (version: number) =>
      (await change("PUT", "f/aliases/prod", { targets: [{ version, weight: 100 }] })).expect(200);
    equal(await answered(b, key, "f@prod"), 404);
    await alias(1);
    await seen("f@prod", "one");
    await alias(2);
    await seen("f@prod", "two");
    (await change("POST", "f/rollback")).expect(200);
    await seen("f", "one");
    equal(await answered(b, key, "f@prod"), "two", "an alias stays where it was");
    (await change("DELETE", "f/aliases/prod")).expect(200);
    await seen("f@prod", 404);
    (await change("DELETE", "f@2")).expect(200);
    await seen("f@2", 404);

    (await change("DELETE", "f")).expect(200);
    await seen("f", 404);
    equal(await answered(b, key, "f@1"), 404);
    equal(await deployText(a, key, "f", "anew"), 3, "no number comes twice");
    await seen("f", "anew");
  },
);

functionsTest(
  "versions that are deployed while another gateway serves drop no call, and never give way to older ones",
  {},
  async (pair) => {
    const { gateways: [a, b] } = pair, { key } = await pair.owner();
    await deployText(a, key, "f", "v1");
    await until("it is known", async () => await answered(b, key, "f") === "v1", HEARD);
    const wrong: string[] = [], seen = new Set<number>();
    let calling = true, calls = 0;
    // Each caller for itself: between two of them nobody can say which call was first.
    const callers = awaitedLater(Array.from({ length: 4 }, async () => {
      for (let last = 1; calling; calls++) {
        const answer = await invoke(b, key, "f");
        const version = answer.status === 200 ? Number(/^v(\d)$/.exec(String(answer.get("output")))?.[1]) : NaN;
        if (!(version >= last)) wrong.push(`${answer.status} ${answer.text} after v${last}`);
        else seen.add(last = version);
      }
    }));
    try {
      for (const version of [2, 3, 4, 5]) {
        const before = calls;
        await until("calls go on", () => calls >= before + BETWEEN);
        equal(await deployText(a, key, "f", `v${version}`), version);
        await until(`v${version} serves`, () => seen.has(version) || wrong.length > 0, HEARD);
      }
    } finally {
      calling = false;
      await Promise.all(callers);
    }
    deepEqual([wrong, [...seen].toSorted()], [[], [1, 2, 3, 4, 5]]);
  },
);

functionsTest(
  "deploys of one function at both gateways at once get a number each, and both serve the same one",
  {},
  async (pair) => {
    const { gateways } = pair, { key } = await pair.owner();
    const versions = await Promise.all(
      Array.from(
        { length: 6 },
        (_, i) => deployText(gateways[i % 2]!, key, "f", `by ${i}`).then((version) => ({ i, version })),
      ),
    );
    deepEqual(versions.map(({ version }) => version).toSorted(), [1, 2, 3, 4, 5, 6]);
    const last = `by ${versions.find(({ version }) => version === 6)!.i}`;
    for (const gateway of gateways) {
      await until("the last one serves", async () => await answered(gateway, key, "f") === last, HEARD);
      for (const { i, version } of versions) equal(await answered(gateway, key, `f@${version}`), `by ${i}`);
    }
  },
);

functionsTest(
  "modules come from the storage, also once the gateway that they were deployed at is dead",
  {},
  async (pair) => {
    const { gateways: [a, b], kubos: { nodes: [node] } } = pair, { key } = await pair.owner();
    const before = (await node!.blocks()).length;
    const module = await answering("kept");
    const cid = (await deploy(a, key, "f", module)).string("function.wasm_cid");
    ok((await node!.blocks()).length > before, "the storage has it");
    equal(await node!.has(cid), false, "sealed: nobody who looks into the engine reads it");
    a.signal("SIGKILL");
    await a.exitCode();
    equal(await answered(b, key, "f"), "kept", "its first call there");
    const read = await fetch(`${b.url}/v1/functions/f/wasm`, { headers: { "x-api-key": key.key } });
    deepEqual(await read.bytes(), module);
    equal(await deployText(b, key, "f", "goes on"), 2);
    deepEqual([await answered(b, key, "f"), await answered(b, key, "f@1")], ["goes on", "kept"]);
  },
);

functionsTest("a secret that is set at one gateway is read at another, replaced and gone", {}, async (pair) => {
  const { gateways: [a, b] } = pair, { key, owner } = await pair.owner();
  await deploy(a, key, "calls", "calls.wat");
  const path = "/v1/functions/secrets/TOKEN", by = { token: owner.accessToken };
  const set = async (value: string) => {
    a.secrets.note(value);
    (await a.call("PUT", path, { ...by, body: { value } })).expect(200);
  };
  const reads = (wanted: string) =>
    until(
      `it reads ${wanted}`,
      async () => (await hostCalls(b, key, "calls", ["get_secret", "TOKEN"]))[0] === wanted,
      HEARD,
    );
  await reads("0");
  await set("the first value of this secret");
  await reads("the first value of this secret");
  await set("the second value of this secret");
  await reads("the second value of this secret");
  equal((await b.call("GET", "/v1/functions/secrets", by)).expect(200).get("count"), 1);
  (await a.call("DELETE", path, by)).expect(200);
  await reads("0");
});

functionsTest(
  "lines that a function logs at one gateway are followed at another, once and in order, also after a break",
  {},
  async (pair) => {
    const { gateways: [a, b] } = pair, { key } = await pair.owner();
    await deploy(a, key, "log", await logging());
    const url = `${a.url}/v1/functions/log/logs/stream`, headers = { "x-api-key": key.key };
    const log = async (gateway: TestGateway, text: string) => (await invoke(gateway, key, "log", text)).expect(200);
    const messages = (reader: EventReader) =>
      reader.events.filter(({ event }) => event === "line").map(({ data }) => JSON.parse(data).message);
    await until("it is known", async () => (await b.call("GET", "/v1/functions/log", key)).status === 200, HEARD);
    await using reader = await EventReader.open(url, headers);
    equal(reader.response.status, 200);
    const wanted = Array.from({ length: 10 }, (_, i) => `far ${i}`);
    for (const text of wanted) await log(b, text);
    await log(a, "near");
    await reader.take(wanted.length + 1, ["line"]);
    deepEqual(messages(reader).filter((text) => text !== "near"), wanted);
    equal(messages(reader).length, wanted.length + 1);
    const lastId = String(reader.lastId);
    reader.leave();
    await until(
      "both sides are written",
      async () => (await a.call("GET", "/v1/functions/log/logs", key)).expect(200).get("count") === wanted.length + 1,
    );
    await log(b, "meanwhile");
    await using again = await EventReader.open(url, { ...headers, "last-event-id": lastId });
    await until("the line is there", () => messages(again).includes("meanwhile"));
    await log(b, "and then");
    await until("the last line is there", () => messages(again).includes("and then"));
    // A line of another gateway is told later than it was logged, and behind it what was told before may come again.
    deepEqual(messages(again).filter((text) => text !== "near"), ["meanwhile", "and then"]);
  },
);

functionsTest("a tick of cron runs once in all, and goes on when a gateway is killed", {}, async (pair) => {
  const { gateways: [a, b] } = pair, { key } = await pair.owner();
  await deploy(a, key, "tick", await logging());
  const trigger = { kind: "cron", expression: "* * * * * *" };
  (await a.call("POST", "/v1/functions/tick/triggers", { ...key, body: trigger })).expect(201);
  const ticks = async () =>
    (await b.call("GET", "/v1/functions/tick/logs?limit=1000", key)).expect(200).list("logs")
      .map(({ message }) => String(JSON.parse(String(message)).scheduled_at));
  await until("it ticks", async () => (await ticks()).length >= 8);
  a.signal("SIGKILL");
  await a.exitCode();
  const dead = Date.now();
  await until("it ticks still", async () => (await ticks()).filter((at) => Date.parse(at) > dead).length >= 4);
  const all = await ticks();
  equal(new Set(all).size, all.length, `a tick ran twice: ${all.join(" ")}`);
  ok(all.every((at) => at.endsWith(".000Z")));
});

functionsTest(
  "a message that is published at either gateway calls its function once, in order",
  {},
  async (pair) => {
    const { gateways: [a, b] } = pair, { key } = await pair.owner();
    await deploy(a, key, "hears", await logging());
    (await a.call("POST", "/v1/functions/hears/triggers", { ...key, body: { kind: "topic", topic: "orders" } })).expect(
      201,
    );
    const publish = async (gateway: TestGateway, data: string) =>
      (await gateway.call("POST", "/v1/pubsub/publish", { ...key, body: { topic: "orders", data } })).expect(200);
    const heard = async () =>
      (await b.call("GET", "/v1/functions/hears/logs?limit=1000", key)).expect(200).list("logs")
        .map(({ message }) => String(JSON.parse(String(message)))).toReversed();
    let early = 0;
    await until("it listens", async () => {
      await publish([a, b][early % 2]!, `early ${early++}`);
      return (await heard()).length > 0;
    });
    const wanted = Array.from({ length: 20 }, (_, i) => `both ${i}`);
    for (const [i, text] of wanted.entries()) await publish([a, b][i % 2]!, text);
    await publish(a, "behind them");
    await until("the last one is heard", async () => (await heard()).includes("behind them"));
    const told = (await heard()).filter((text) => text.startsWith("both"));
    deepEqual(told.toSorted(), wanted.toSorted(), "each once");
    for (const parity of [0, 1]) {
      const of = (all: readonly string[]) => all.filter((text) => Number(text.slice(5)) % 2 === parity);
      deepEqual(of(told), of(wanted), "in the order of each gateway");
    }
    // Whichever of them called the function.
    a.signal("SIGKILL");
    await a.exitCode();
    const late = Array.from({ length: 20 }, (_, i) => `late ${i}`);
    for (const text of late) await publish(b, text);
    await until("all are heard", async () => {
      const all = new Set(await heard());
      return late.every((text) => all.has(text));
    }, TAKEN_OVER);
  },
);

functionsTest(
  "who follows a log again behind the last line loses none, whichever gateway wrote it and when",
  {},
  async (pair) => {
    const { gateways: [a, b] } = pair, { key } = await pair.owner();
    await deploy(a, key, "log", await logging());
    const url = `${a.url}/v1/functions/log/logs/stream`, headers = { "x-api-key": key.key };
    const log = async (gateway: TestGateway, text: string) => (await invoke(gateway, key, "log", text)).expect(200);
    const lines = (reader: EventReader) =>
      reader.events.filter(({ event }) => event === "line").map(({ data }) => String(JSON.parse(data).message));
    await until("it is known", async () => (await b.call("GET", "/v1/functions/log", key)).status === 200, HEARD);
    const got = new Set<string>(), wanted: string[] = [];
    let last: string | undefined;
    for (let i = 0; i < 5; i++) {
      await using reader = await EventReader.open(url, {
        ...headers,
        ...(last !== undefined && { "last-event-id": last }),
      });
      wanted.push(`far ${i}`, `near ${i}`);
      await log(b, `far ${i}`);
      await log(a, `near ${i}`);
      // What the other gateway wrote comes later, with an id before that of this one.
      await until("the near one is told", () => lines(reader).includes(`near ${i}`));
      last = String(reader.lastId);
      for (const line of lines(reader)) got.add(line);
    }
    await using reader = await EventReader.open(url, { ...headers, "last-event-id": last! });
    await until("all are told", () => {
      for (const line of lines(reader)) got.add(line);
      return wanted.every((line) => got.has(line));
    });
  },
);
