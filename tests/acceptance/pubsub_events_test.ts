import { deepEqual, equal, match, ok } from "node:assert/strict";
import { until } from "../engines/support/wait.ts";
import { newMember, newOwner, type SignedIn } from "../support/accounts.ts";
import { EventReader } from "../support/event_reader.ts";
import { TestSocket } from "../support/sockets.ts";
import { gatewaySuite } from "../support/suite.ts";

const suite = gatewaySuite();
const { test } = suite;

const publish = async (owner: SignedIn, topic: string, data: unknown) =>
  (await suite.gateway.call("POST", "/v1/pubsub/publish", { key: owner.apiKey, body: { topic, data } })).expect(200);

const listen = (owner: Pick<SignedIn, "apiKey">, query: string, headers: Record<string, string> = {}) =>
  EventReader.open(`${suite.gateway.url}/v1/pubsub/sse?${query}`, { "x-api-key": owner.apiKey, ...headers });

const messages = async (reader: EventReader, count: number) =>
  (await reader.take(count, ["message"])).map(({ data }) => JSON.parse(data));

test("messages of several topics come as events, and whoever comes back misses nothing", async () => {
  await using owner = await newOwner(suite.gateway);
  const first = await listen(owner, "topic=a&topic=b");
  equal(first.response.headers.get("content-type"), "text/event-stream");
  await first.take(2, ["subscribed"]);
  await publish(owner, "a", { n: 1 });
  await publish(owner, "b", { n: 2 });
  const told = await messages(first, 2);
  deepEqual(told.map(({ type, topic, data }) => [type, topic, data]), [["message", "a", { n: 1 }], ["message", "b", {
    n: 2,
  }]]);
  const { lastId } = first;
  for (const { id } of first.events) match(id!, /^[\w-]{2,},[\w-]{2,}$/, "a place for each topic, from the first on");
  await first[Symbol.asyncDispose]();
  await publish(owner, "b", { n: 3 });
  await publish(owner, "a", { n: 4 });
  await using again = await listen(owner, "topic=a&topic=b", { "last-event-id": lastId! });
  deepEqual((await messages(again, 2)).map(({ data }) => data.n).toSorted(), [3, 4]);
  const recovered = (await again.take(2, ["recovered"])).map(({ data }) => JSON.parse(data).recovered);
  deepEqual(recovered, [true, true]);
  await publish(owner, "a", { n: 5 });
  equal((await messages(again, 3)).at(-1).data.n, 5);
});

test("whoever breaks off while it comes back stands nowhere else than before in the topics of which it was told nothing", async () => {
  await using owner = await newOwner(suite.gateway);
  const first = await listen(owner, "topic=a&topic=b");
  await first.take(2, ["subscribed"]);
  for (const topic of ["a", "b"]) await publish(owner, topic, { of: topic });
  await messages(first, 2);
  const { lastId } = first;
  await first[Symbol.asyncDispose]();
  for (const topic of ["a", "b"]) await publish(owner, topic, { missed: topic });
  const broken = await listen(owner, "topic=a&topic=b", { "last-event-id": lastId! });
  const [event] = await broken.take(1, ["recovered"]);
  await broken[Symbol.asyncDispose]();
  await using again = await listen(owner, "topic=a&topic=b", { "last-event-id": event!.id! });
  deepEqual((await messages(again, 2)).map(({ data }) => data.missed).toSorted(), ["a", "b"]);
  for (const { id } of again.events) match(id!, /^[\w-]{2,},[\w-]{2,}$/);
});

test("whoever comes back to a topic that kept nothing is told that it may have missed something", async () => {
  await using owner = await newOwner(suite.gateway);
  const { namespace } = owner;
  const settings = (body: unknown) =>
    suite.gateway.call("PATCH", `/v1/namespaces/${namespace}/settings`, { token: owner.accessToken, body });
  (await settings({ pubsub: { history_size: 0 } })).expect(200);
  const first = await listen(owner, "topic=a&topic=b");
  await first.take(2, ["subscribed"]);
  await publish(owner, "a", 1);
  await messages(first, 1);
  deepEqual(new Set(first.events.map(({ id }) => id)), new Set(["-,-"]));
  const { lastId } = first;
  await first[Symbol.asyncDispose]();
  await publish(owner, "a", 2);
  await using again = await listen(owner, "topic=a&topic=b", { "last-event-id": lastId! });
  await again.take(2, ["subscribed"]);
  const told = again.events.filter(({ event }) => event === "recovered").map(({ data }) => JSON.parse(data));
  deepEqual(
    told.map(({ topic, recovered, unrecovered }) => [topic, recovered, unrecovered]).toSorted(),
    [["a", false, "no_history"], ["b", false, "no_history"]],
  );
  // Somebody who was never here has missed nothing.
  await using fresh = await listen(owner, "topic=a");
  await fresh.take(1, ["subscribed"]);
  equal(fresh.events.length, 1);
});

test("who comes and leaves is told where that was asked for", async () => {
  await using owner = await newOwner(suite.gateway);
  await using watching = await listen(owner, "topic=room&events=presence");
  await watching.take(1, ["subscribed"]);
  const member = await listen(
    owner,
    `topic=room&presence=true&member_id=u1&member_meta=${encodeURIComponent('{"a":1}')}`,
  );
  const [join] = await watching.take(1, ["join"]);
  deepEqual(JSON.parse(join!.data).member.meta, { a: 1 });
  await member[Symbol.asyncDispose]();
  await watching.take(1, ["leave"]);
});

test("a position that cannot be, a topic that cannot be, and too many of them are refused before anything is streamed", async () => {
  await using owner = await newOwner(suite.gateway);
  const many = Array.from({ length: 33 }, (_, i) => `topic=${i}`).join("&");
  for (
    const query of [
      "",
      "topic=",
      "topic=%01",
      "topic=%FF",
      "topic=%C3&topic=a",
      "topic=a&topic=%ED%A0%80",
      "topic=a&since=nonsense",
      "topic=a&since=x,y",
      "topic=a&since=-,-",
      "topic=a&topic=%01",
      many,
    ]
  ) {
    await using reader = await listen(owner, query);
    equal(reader.response.status, 400, query);
  }
  await using stranger = await EventReader.open(`${suite.gateway.url}/v1/pubsub/sse?topic=a`, {});
  equal(stranger.response.status, 401);
});

test("a stream whose key is revoked ends within a second, and leaves its topic", async () => {
  await using owner = await newOwner(suite.gateway);
  const made = (await suite.gateway.call("POST", "/v1/auth/keys", {
    token: owner.accessToken,
    body: { name: "to go", scopes: ["pubsub:subscribe"] },
  })).expect(201);
  await using reader = await listen({ apiKey: made.string("api_key") }, "topic=t");
  await reader.take(1, ["subscribed"]);
  (await suite.gateway.call("DELETE", `/v1/auth/keys/${made.string("id")}`, { token: owner.accessToken })).expect(200);
  await until("the stream has ended", () => reader.ended);
  match((await reader.take(1, ["failure"]))[0]!.data, /INVALID_CREDENTIAL/);
  const topics = await suite.gateway.call("GET", "/v1/pubsub/topics", { key: owner.apiKey });
  deepEqual(topics.expect(200).body, { topics: [] });
});

test("a member that may no more see who is present hears of nobody by any connection, and of messages still", async () => {
  await using owner = await newOwner(suite.gateway);
  const { namespace } = owner;
  const member = await newMember(suite.gateway, owner, "member");
  await using plain = await listen(member, "topic=room");
  await using watching = await listen(member, "topic=room&events=presence");
  await using present = await listen(member, "topic=room&presence=true&member_id=demoted");
  await using socket = await TestSocket.open(suite.gateway.url, `/v1/pubsub/ws?topic=room&api_key=${member.apiKey}`);
  for (const reader of [plain, watching, present]) await reader.take(1, ["subscribed"]);
  await using own = await TestSocket.open(suite.gateway.url, `/v1/pubsub/ws?topic=room&api_key=${owner.apiKey}`);
  const path = `/v1/namespaces/${namespace}/members/${member.wallet.address}`;
  (await suite.gateway.call("PUT", path, { token: owner.accessToken, body: { role: "viewer" } })).expect(200);
  for (const reader of [watching, present]) {
    await until("the stream has ended", () => reader.ended);
    const [lost, failure] = await reader.take(2, ["unsubscribed", "failure"]);
    deepEqual(JSON.parse(lost!.data), { type: "unsubscribed", topic: "room", reason: "right_lost" });
    match(failure!.data, /"INSUFFICIENT_SCOPE"/);
  }
  const left = (await own.next(1))[0]!;
  deepEqual([left.type, left.member_id], ["presence.leave", "demoted"]);
  /** What the socket is told when somebody comes, and something is published then. */
  const heard = async (id: string) => {
    await using _somebody = await listen(owner, `topic=room&presence=true&member_id=${id}`);
    await publish(owner, "room", id);
    const told: unknown[] = [];
    while (told.at(-1) !== "message") told.push((await socket.next(1))[0]!.type ?? "message");
    return told;
  };
  await until("the socket is told of messages alone", async () => (await heard("u")).length === 1);
  deepEqual(await heard("v"), ["message"]);
  deepEqual(plain.ended, false);
  await until(
    "messages go on",
    () => plain.events.some(({ event, data }) => event === "message" && data.includes('"v"')),
  );
});

test("what is kept is read in pages, and says whether anything is missing", async () => {
  await using owner = await newOwner(suite.gateway);
  for (let n = 1; n <= 5; n++) await publish(owner, "t", n);
  const read = async (query: string) =>
    (await suite.gateway.call("GET", `/v1/pubsub/history?topic=t${query}`, { key: owner.apiKey })).expect(200);
  const first = await read("&limit=2");
  deepEqual([first.list("messages").map(({ data }) => data), first.get("more")], [[1, 2], true]);
  const rest = await read(`&since=${first.string("position")}`);
  deepEqual(rest.list("messages").map(({ data }) => data), [3, 4, 5]);
  deepEqual([rest.get("more"), rest.get("complete")], [false, true]);
  ok(Number.isInteger(rest.list("messages")[0]!.at));
  const [one] = first.list("messages");
  equal((await read(`&since=${one!.position}&limit=1`)).list("messages")[0]!.data, 2);
  equal((await suite.gateway.call("GET", "/v1/pubsub/history?topic=t&since=x", { key: owner.apiKey })).status, 400);
});
