import { deepEqual, equal, match, ok } from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { type Principal, ROLES, SCOPES } from "../../../src/contracts/identity.ts";
import { ok as okReply } from "../../../src/http/reply.ts";
import type { Access, Route } from "../../../src/http/route.ts";
import { ALICE, principal } from "../auth/support/node.ts";
import { appOf, route } from "../http/support.ts";

const JWT = "a.b.c";
const whoIsIt = (parts: Partial<Route>) =>
  route({ handle: ({ caller }) => okReply({ caller: caller?.id ?? null }), ...parts });

/** An app with one route and two callers: `key` and `token`. */
function withCallers(parts: Partial<Route>) {
  const app = appOf([whoIsIt({ access: { kind: "authenticated" }, ...parts })]);
  app.authenticator.known.set("key", principal({ id: "key_1" }));
  app.authenticator.known.set(JWT, principal({ id: "ses_1", kind: "jwt" }));
  const send = (headers: Record<string, string> = {}, query = "") => app.call(`GET /v1/thing${query}`, { headers });
  return { ...app, send };
}
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

Deno.test("authenticate: a good token wins, and the key beside it is not looked at", async () => {
  for (const cold of [false, true]) {
    const { send, authenticator } = withCallers({});
    if (cold) { for (const credential of ["key", JWT]) authenticator.cold.add(credential); }
    equal((await send({ ...bearer(JWT), "x-api-key": "key" })).json().caller, "ses_1");
    deepEqual(authenticator.asked, [`token ${JWT}`]);
  }
});

Deno.test("authenticate: a token that is not good gives way to the key", async () => {
  for (const cold of [[], [JWT], ["key"], [JWT, "key"]]) {
    const { send, authenticator } = withCallers({});
    authenticator.known.delete(JWT);
    for (const credential of cold) authenticator.cold.add(credential);
    equal((await send({ ...bearer(JWT), "x-api-key": "key" })).json().caller, "key_1");
    equal((await send(bearer(JWT), "?api_key=key")).json().caller, "key_1");
  }
});

Deno.test("authenticate: nothing is 401 UNAUTHENTICATED, anything bad is 401 INVALID_CREDENTIAL", async () => {
  const { send } = withCallers({});
  const nothing = await send();
  deepEqual([nothing.status, nothing.json().code, nothing.json().error], [401, "UNAUTHENTICATED", "missing API key"]);
  equal(nothing.headers.get("www-authenticate"), 'Bearer realm="gateway", charset="UTF-8"');
  for (const headers of [{ "x-api-key": "bad" }, bearer("x.y.z"), { ...bearer("x.y.z"), "x-api-key": "bad" }]) {
    const bad = await send(headers);
    deepEqual([bad.status, bad.json().code], [401, "INVALID_CREDENTIAL"]);
    equal(bad.headers.get("www-authenticate"), 'Bearer error="invalid_token"');
  }
});

Deno.test("authenticate: a public route asks nobody, unless it wants to know", async () => {
  const open = withCallers({ access: { kind: "public" } });
  equal((await open.send({ "x-api-key": "key" })).json().caller, null);
  deepEqual(open.authenticator.asked, []);
  const minding = withCallers({ access: { kind: "public", identify: true } });
  equal((await minding.send({ "x-api-key": "key" })).json().caller, "key_1");
  equal((await minding.send({ "x-api-key": "bad" })).json().caller, null, "a bad credential is ignored");
  equal((await minding.send()).status, 200);
});

Deno.test("authenticate: a control plane that cannot say is 503 and not 401", async () => {
  const { send, authenticator } = withCallers({});
  const down = () => Promise.reject(new GatewayError("UNAVAILABLE", "down"));
  Object.assign(authenticator, { identifyKey: down, identifyToken: down });
  for (const headers of [{ "x-api-key": "key" }, bearer(JWT)]) {
    const answer = await send(headers);
    deepEqual([answer.status, answer.headers.get("retry-after")], [503, "1"]);
  }
});

Deno.test("limit: a caller counts by credential, a stranger by address, credential routes by address alone", async () => {
  const ofCaller = withCallers({ limit: undefined as never });
  await ofCaller.send({ "x-api-key": "key" });
  await ofCaller.send(bearer(JWT));
  await ofCaller.send();
  await ofCaller.send({ "x-api-key": "bad" });
  deepEqual(ofCaller.limits.taken, ["key key_1", "key ses_1", "address 192.0.2.1", "address 192.0.2.1"]);
  const strict = withCallers({ limit: "credentials" });
  await strict.send({ "x-api-key": "key" });
  deepEqual(strict.limits.taken, ["credentials 192.0.2.1"]);
  const free = withCallers({ limit: "none" });
  await free.send({ "x-api-key": "key" });
  deepEqual(free.limits.taken, []);
});

Deno.test("limit: a credential that must be looked up counts against its address first, so that guessing is bounded", async () => {
  const { send, authenticator, limits } = withCallers({ limit: undefined as never });
  authenticator.cold.add("key").add("guess");
  await send({ "x-api-key": "key" });
  deepEqual(limits.taken, ["address 192.0.2.1", "key key_1"]);
  limits.refused.add("address");
  for (const headers of [{ "x-api-key": "guess" }, { ...bearer("x.y.z"), "x-api-key": "guess" }]) {
    const refused = await send(headers);
    deepEqual([refused.status, refused.json().code], [429, "RATE_LIMITED"]);
  }
  authenticator.cold.delete("key");
  equal((await send({ "x-api-key": "key" })).status, 200, "who is known is not harmed by others at its address");
});

Deno.test("limit: headers say what is left, on successes, refusals and errors", async () => {
  const { send, limits } = withCallers({ limit: undefined as never });
  const good = await send({ "x-api-key": "key" });
  deepEqual([good.headers.get("ratelimit"), good.headers.get("ratelimit-policy")], ['"key";r=5;t=1', '"key";q=10;w=1']);
  equal((await send()).headers.get("ratelimit"), '"address";r=5;t=1');
  limits.refused.add("key");
  const refused = await send({ "x-api-key": "key" });
  deepEqual(
    [refused.status, refused.headers.get("retry-after"), refused.headers.get("ratelimit")],
    [429, "2", '"key";r=0;t=9'],
  );
  match(refused.json().error, /try again in 2 s/);
  limits.off.add("key");
  const off = await send({ "x-api-key": "key" });
  deepEqual([off.status, off.headers.has("ratelimit"), off.headers.has("ratelimit-policy")], [200, false, false]);
});

Deno.test("limit: whoever asks for what is not there is counted too", async () => {
  const { call, limits } = appOf([]);
  await call("GET /none");
  deepEqual(limits.taken, ["address 192.0.2.1"]);
});

/** What one caller gets of a route with this access. */
async function outcome(
  access: Access,
  caller: Partial<Principal>,
  path = "/v1/thing",
  template = "/v1/thing",
): Promise<string> {
  const { call, authenticator } = appOf([route({ path: template, access })]);
  authenticator.known.set("key", principal(caller));
  const answer = await call(`GET ${path}`, { headers: { "x-api-key": "key" } });
  return answer.status === 200 ? "ok" : answer.json().code;
}

Deno.test("authorize: an operator's route is for operators, a namespace's is not", async () => {
  const operator = { operator: true, namespace: "", scopes: new Set<never>() };
  equal(await outcome({ kind: "operator" }, operator), "ok");
  equal(await outcome({ kind: "operator" }, { role: "owner" }), "FORBIDDEN");
  equal(await outcome({ kind: "authenticated" }, operator), "ok");
  equal(await outcome({ kind: "namespace", scope: "sql:read" }, operator), "FORBIDDEN");
  equal(await outcome({ kind: "namespace", scope: "sql:read" }, { ...operator, scopes: new Set(SCOPES) }), "FORBIDDEN");
});

Deno.test("authorize: each scope opens its own routes and no others", async () => {
  for (const needed of SCOPES) {
    equal(await outcome({ kind: "namespace", scope: needed }, { scopes: new Set([needed]) }), "ok");
    const others = SCOPES.filter((scope) => scope !== needed);
    equal(await outcome({ kind: "namespace", scope: needed }, { scopes: new Set(others) }), "INSUFFICIENT_SCOPE");
  }
});

Deno.test("authorize: a missing scope is named, in the body and for clients of OAuth", async () => {
  const { call, authenticator } = appOf([route({ access: { kind: "namespace", scope: "sql:write" } })]);
  authenticator.known.set("key", principal({ scopes: new Set(["sql:read"]) }));
  const answer = await call("GET /v1/thing", { headers: { "x-api-key": "key" } });
  deepEqual(answer.json().details, { required_scope: "sql:write" });
  equal(answer.headers.get("www-authenticate"), 'Bearer error="insufficient_scope", scope="sql:write"');
});

Deno.test("authorize: a role opens what needs it or a weaker one; a credential without a role opens none of it", async () => {
  const access = (role: typeof ROLES[number]) => ({ kind: "namespace", scope: "namespace:admin", role }) as const;
  for (const [needed, name] of ROLES.entries()) {
    for (const [had, role] of ROLES.entries()) {
      equal(
        await outcome(access(name), { wallet: ALICE, role }),
        had <= needed ? "ok" : "FORBIDDEN",
        `${role} for ${name}`,
      );
    }
    equal(await outcome(access(name), {}), "FORBIDDEN", `no role for ${name}`);
  }
});

Deno.test("authorize: a namespace in the path must be the credential's, to the letter", async () => {
  const access = { kind: "namespace", scope: "sql:read", param: "ns" } as const;
  const names: [path: string, expected: string][] = [
    ["shop", "ok"],
    ["%73hop", "ok"],
    ["Shop", "NAMESPACE_MISMATCH"],
    ["shop2", "NAMESPACE_MISMATCH"],
    ["shop%00", "NAMESPACE_MISMATCH"],
    ["sho%70%20", "NAMESPACE_MISMATCH"],
    ["%2573hop", "NAMESPACE_MISMATCH"],
    ["other", "NAMESPACE_MISMATCH"],
  ];
  for (const [name, expected] of names) {
    equal(await outcome(access, {}, `/v1/namespaces/${name}`, "/v1/namespaces/:ns"), expected, name);
  }
});

Deno.test("authorize: another namespace is told before a missing scope, so that nothing is learnt of it", async () => {
  const access = { kind: "namespace", scope: "sql:read", param: "ns", role: "owner" } as const;
  equal(
    await outcome(access, { scopes: new Set() }, "/v1/namespaces/other", "/v1/namespaces/:ns"),
    "NAMESPACE_MISMATCH",
  );
});

Deno.test("authorize: where operators may call too, they may for any namespace, and others as before", async () => {
  const access = { kind: "namespace", scope: "namespace:admin", param: "ns", role: "owner", operators: true } as const;
  const of = (parts: Partial<Principal>) => outcome(access, parts, "/v1/namespaces/shop", "/v1/namespaces/:ns");
  equal(await of({ operator: true, namespace: "", scopes: new Set() }), "ok");
  equal(await of({ role: "owner" }), "ok");
  equal(await of({ role: "admin" }), "FORBIDDEN");
  equal(await of({}), "FORBIDDEN");
  equal(await of({ role: "owner", namespace: "cafe" }), "NAMESPACE_MISMATCH");
});

const takesBody = (parts: Partial<Route> = {}) =>
  route({
    method: "POST",
    body: z.object({ n: z.number(), list: z.array(z.string()).optional() }),
    handle: ({ body }) => okReply(body),
    ...parts,
  });
const post = (app: ReturnType<typeof appOf>, body?: string) =>
  app.call("POST /v1/thing", body === undefined ? {} : { body });

Deno.test("validate: a wrong body is 400 that names each field", async () => {
  const app = appOf([takesBody()]);
  deepEqual((await post(app, '{"n":1,"more":2}')).json(), { n: 1 });
  const wrong = await post(app, '{"n":"1","list":["a",2]}');
  deepEqual([wrong.status, wrong.json().code], [400, "INVALID_REQUEST"]);
  deepEqual(wrong.json().details.map(({ field }: { field: string }) => field), ["n", "list.1"]);
  match(wrong.json().error, /^n: /);
  for (const body of ["[]", '"x"', "1", "true"]) {
    equal((await post(app, body)).json().details[0].field, "body", body);
  }
});

Deno.test("validate: members that a strict body does not know are each told by name, a prototype too", async () => {
  const inner = z.strictObject({ level: z.string() }).optional();
  const app = appOf([takesBody({ body: z.strictObject({ n: z.number().optional(), inner }) })]);
  const details = async (body: string) => {
    const answer = await post(app, body);
    equal(answer.status, 400);
    return answer.json().details;
  };
  deepEqual(await details('{"n":1,"iner":{},"__proto__":{"n":1}}'), [
    { field: "iner", problem: "unknown; did you mean inner?" },
    { field: "__proto__", problem: "unknown; expected one of n, inner" },
  ]);
  deepEqual(await details('{"inner":{"level":"a","constructor":1}}'), [
    { field: "inner.constructor", problem: "unknown; expected one of level" },
  ]);
  const many = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`x${i}`, i]));
  equal((await details(JSON.stringify(many))).length, 20);
});

Deno.test("validate: null and, where a body is optional, nothing at all mean that every field is absent", async () => {
  const strict = appOf([takesBody()]);
  equal((await post(strict, "null")).json().details[0].field, "n");
  equal((await post(strict)).json().code, "INVALID_JSON");
  const optional = appOf([takesBody({ bodyOptional: true, body: z.object({ n: z.number().default(7) }) })]);
  deepEqual((await post(optional)).json(), { n: 7 });
  deepEqual((await post(optional, "null")).json(), { n: 7 });
  equal((await post(optional, "{")).status, 400);
});

Deno.test("validate: the hint of a route begins its sentence, as older clients know it", async () => {
  const app = appOf([takesBody({ bodyHint: "{n, list?}" })]);
  match((await post(app, "{}")).json().error, /^invalid body: \{n, list\?\}; n: /);
});

Deno.test("validate: of many problems twenty are told", async () => {
  const app = appOf([takesBody()]);
  const body = JSON.stringify({ n: 1, list: Array.from({ length: 200 }, () => 1) });
  equal((await post(app, body)).json().details.length, 20);
});

Deno.test("validate: query and path are checked, and a prototype is nobody's field", async () => {
  const app = appOf([route({
    path: "/v1/things/:id",
    params: z.object({ id: z.string().max(3) }),
    query: z.object({ limit: z.coerce.number().int().min(1).default(10) }),
    handle: ({ params, query }) => okReply({ params, query }),
  })]);
  deepEqual((await app.call("GET /v1/things/abc?limit=5&x=1&__proto__=2")).json(), {
    params: { id: "abc" },
    query: { limit: 5 },
  });
  deepEqual((await app.call("GET /v1/things/abc")).json().query, { limit: 10 });
  for (
    const path of [
      "/v1/things/abcd",
      "/v1/things/abc?limit=0",
      "/v1/things/abc?limit=x",
      "/v1/things/abc?limit=1&limit=0",
    ]
  ) {
    equal((await app.call(`GET ${path}`)).status, 400, path);
  }
});

Deno.test("validate: whoever may not call has no body read", async () => {
  let pulled = false;
  const stream = new ReadableStream({
    pull() {
      pulled = true;
    },
  }, { highWaterMark: 0 });
  const app = appOf([takesBody({ access: { kind: "authenticated" } })]);
  equal((await app.call("POST /v1/thing", { body: stream })).status, 401);
  equal(pulled, false);
});

/** A body of which the second half waits. */
function slowBody(wait: Promise<unknown>): ReadableStream<Uint8Array> {
  const parts = ['{"n":', "1}"].map((text) => new TextEncoder().encode(text));
  return new ReadableStream({
    async pull(controller) {
      const next = parts.shift();
      if (next === undefined) return controller.close();
      if (parts.length === 0) await wait;
      controller.enqueue(next);
    },
  }, { highWaterMark: 0 });
}

Deno.test("a right that was taken while a body was slow in coming is gone when it has come", async () => {
  let handled = 0;
  const app = appOf([takesBody({
    access: { kind: "namespace", scope: "sql:write" },
    handle: () => okReply(++handled),
  })]);
  const send = async (change: () => void, wait: number) => {
    app.authenticator.known.set("key", principal());
    const body = slowBody(pause(wait).then(change));
    return await app.call("POST /v1/thing", { body, headers: { "x-api-key": "key" } });
  };
  equal((await send(() => {}, 550)).status, 200, "nothing was taken");
  equal((await send(() => app.authenticator.known.delete("key"), 550)).json().code, "INVALID_CREDENTIAL");
  const weaker = () => void app.authenticator.known.set("key", principal({ scopes: new Set(["sql:read"]) }));
  equal((await send(weaker, 550)).json().code, "INSUFFICIENT_SCOPE");
  equal(handled, 1);
  equal(app.authenticator.asked.length, 6);
  equal((await send(() => {}, 0)).status, 200);
  equal(app.authenticator.asked.length, 7, "a body that came at once costs no second look");
});

Deno.test("the whole path counts once and asks once for an ordinary call", async () => {
  const app = withCallers({ limit: undefined as never });
  ok((await app.send({ "x-api-key": "key" })).status === 200);
  deepEqual([app.authenticator.asked.length, app.limits.taken.length, app.seen.length], [1, 1, 1]);
});
