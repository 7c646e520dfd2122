import { deepEqual, equal, match, ok } from "node:assert/strict";
import { routes } from "../../routes/index.ts";
import { ROLES, SCOPES } from "../../src/contracts/identity.ts";
import type { Route } from "../../src/http/route.ts";
import { until } from "../engines/support/wait.ts";
import { newMember, newOwner, type Owner, type SignedIn, uniqueName } from "../support/accounts.ts";
import type { Answer, CallOptions } from "../support/client.ts";
import { allScopesBut, isPublic, nameOf, namespaceAccess, openApiPath, pathOf } from "../support/route_calls.ts";
import { gatewaySuite } from "../support/suite.ts";
import { ethereumWallet } from "../support/wallet.ts";

const suite = gatewaySuite();
const { test } = suite;

/** What the tests call with; made by the first of them. */
interface Credentials {
  readonly owner: Owner;
  /** Keys that once were good: used while they lived. */
  readonly revoked: string;
  readonly expired: string;
  readonly operator: string;
  readonly revokedOperator: string;
  /** The token of a session that was ended. */
  readonly ended: string;
  /** A named key with all scopes, by the scope that it lacks; "" lacks none. */
  readonly lacking: ReadonlyMap<string, string>;
  readonly members: ReadonlyMap<string, SignedIn>;
}

let made: Promise<Credentials> | undefined;
const credentials = () => made ??= makeCredentials();

async function makeCredentials(): Promise<Credentials> {
  const { gateway } = suite;
  const owner = await newOwner(gateway);
  const key = async (body: Record<string, unknown>) => {
    const answer = await gateway.call("POST", "/v1/auth/keys", {
      token: owner.accessToken,
      body: { name: "matrix", ...body },
    });
    return { key: answer.expect(201).string("api_key"), id: answer.string("id") };
  };
  const whoami = (key: string) => gateway.call("GET", "/v1/auth/whoami", { key });
  const revoked = await key({ scopes: SCOPES });
  (await whoami(revoked.key)).expect(200);
  (await gateway.call("DELETE", `/v1/auth/keys/${revoked.id}`, { token: owner.accessToken })).expect(200);
  const end = Date.now() + 700;
  const expired = await key({ scopes: SCOPES, expires_at: new Date(end).toISOString() });
  const operator = await gateway.makeKey("--operator");
  const revokedOperator = await gateway.makeKey("--operator");
  (await whoami(revokedOperator.key)).expect(200);
  await gateway.cli("keys", "revoke", revokedOperator.id, "--operator");
  const session = await newMember(gateway, owner, "owner");
  (await gateway.call("POST", "/v1/auth/logout", { token: session.accessToken })).expect(200);
  const lacking = new Map<string, string>([["", (await key({ scopes: SCOPES })).key]]);
  const needed = new Set(routes.flatMap((route) => namespaceAccess(route)?.scope ?? []));
  for (const scope of needed) lacking.set(scope, (await key({ scopes: allScopesBut(scope) })).key);
  const members = new Map<string, SignedIn>();
  for (const role of ROLES) members.set(role, await newMember(gateway, owner, role));
  await until("the key has expired", () => Date.now() > end);
  await until("the operator's key is dead", async () => (await whoami(revokedOperator.key)).status === 401);
  const [dead, ended] = [revokedOperator.key, session.accessToken];
  return {
    owner,
    revoked: revoked.key,
    expired: expired.key,
    operator: operator.key,
    revokedOperator: dead,
    ended,
    lacking,
    members,
  };
}

const call = (route: Route, options: CallOptions, namespace: string) =>
  suite.gateway.call(route.method, pathOf(route, namespace), { ...options, ...bodyOf(route, options) });

/** The least that a route takes as a body: `{}`, or nothing of the first media type there is. */
function bodyOf({ method, body, rawBody }: Route, { headers }: CallOptions): CallOptions {
  if (method === "GET") return {};
  if (rawBody) return { raw: "", headers: { ...headers, "content-type": Object.keys(rawBody.types)[0]! } };
  return body ? { body: {} } : {};
}

/** Everyone who has no credential, or had one. */
async function strangers(): Promise<readonly (readonly [string, CallOptions, code: string])[]> {
  const { owner, revoked, expired, ended, revokedOperator } = await credentials();
  const [header = "", claims = ""] = owner.accessToken.split(".");
  return [
    ["nobody", {}, "UNAUTHENTICATED"],
    ["an empty key", { headers: { "x-api-key": "  " } }, "UNAUTHENTICATED"],
    ["a garbage key", { key: "ak_AAAAAAAAAAAAAAAAAAAAAAAA:" + owner.namespace }, "INVALID_CREDENTIAL"],
    ["a garbage token", { token: `${header}.${claims}.AAAA` }, "INVALID_CREDENTIAL"],
    ["a revoked key", { key: revoked }, "INVALID_CREDENTIAL"],
    ["an expired key", { key: expired }, "INVALID_CREDENTIAL"],
    ["the token of an ended session", { token: ended }, "INVALID_CREDENTIAL"],
    ["a revoked operator's key", { key: revokedOperator }, "INVALID_CREDENTIAL"],
  ];
}

function isChallenged(answer: Answer, code: string, who: string): void {
  equal(answer.status, 401, `${who}: ${answer.text}`);
  equal(answer.get("code"), code, who);
  equal(
    answer.headers.get("www-authenticate"),
    code === "UNAUTHENTICATED" ? 'Bearer realm="gateway", charset="UTF-8"' : 'Bearer error="invalid_token"',
  );
}

/** Past the door: what happens then is the operation's, but it is never a matter of credentials, and never our fault. */
function isLetIn(answer: Answer, who: string): void {
  ok(answer.status < 500, `${who}: ${answer.status} ${answer.text}`);
  ok(
    !["UNAUTHENTICATED", "INSUFFICIENT_SCOPE", "NAMESPACE_MISMATCH"].includes(codeOf(answer)),
    `${who}: ${answer.text}`,
  );
}

const codeOf = ({ headers, text }: Answer): string =>
  headers.get("content-type")?.includes("json") && text.startsWith("{") ? String(JSON.parse(text).code) : "";

function isForbidden(answer: Answer, code: string, who: string): void {
  equal(answer.status, 403, `${who}: ${answer.text}`);
  equal(answer.get("code"), code, who);
}

for (const route of routes) {
  const access = namespaceAccess(route);

  test(`${nameOf(route)}: strangers ${isPublic(route) ? "may call" : "are told to sign in"}`, async () => {
    const { owner } = await credentials();
    for (const [who, options, code] of await strangers()) {
      const answer = await call(route, options, owner.namespace);
      // Whether what it is about is public the operation itself finds out.
      const mayRefuse = route.errors?.includes("UNAUTHENTICATED") && answer.status === 401;
      if (isPublic(route) && !mayRefuse) isLetIn(answer, who);
      else isChallenged(answer, code, who);
    }
  });

  if (route.access.kind === "operator") {
    test(`${nameOf(route)}: operators alone`, async () => {
      const { owner, operator, lacking } = await credentials();
      const answer = await call(route, { key: operator }, owner.namespace);
      // An empty body names no other gateway.
      if (route.path.startsWith("/v1/network/")) isLetIn(answer, "an operator");
      else answer.expect(200);
      for (const options of [{ token: owner.accessToken }, { key: owner.apiKey }, { key: lacking.get("")! }]) {
        isForbidden(await call(route, options, owner.namespace), "FORBIDDEN", "a namespace's credential");
      }
    });
  }

  if (route.access.kind === "authenticated") {
    test(`${nameOf(route)}: anyone who is known`, async () => {
      const { owner, operator, lacking } = await credentials();
      for (
        const options of [{ token: owner.accessToken }, { key: owner.apiKey }, { key: lacking.get("")! }, {
          key: operator,
        }]
      ) {
        const answer = await call(route, options, owner.namespace);
        // Without a key in the request, this one route has nothing to exchange.
        if (route.path === "/v1/auth/token" && "token" in options) {
          isChallenged(answer, "UNAUTHENTICATED", "a token alone");
        } else isLetIn(answer, "a known caller");
      }
    });
  }

  if (access === undefined) continue;
  const { scope, param, role } = access;

  test(`${nameOf(route)}: nobody without ${scope}`, async () => {
    const { owner, lacking } = await credentials();
    const answer = await call(route, { key: lacking.get(scope)! }, owner.namespace);
    isForbidden(answer, "INSUFFICIENT_SCOPE", "a key without the scope");
    deepEqual(answer.get("details"), { required_scope: scope });
    equal(answer.headers.get("www-authenticate"), `Bearer error="insufficient_scope", scope="${scope}"`);
  });

  test(`${nameOf(route)}: ${access.operators ? "operators too" : "no operator"}`, async () => {
    const { owner, operator } = await credentials();
    const answer = await call(route, { key: operator }, owner.namespace);
    if (access.operators) isLetIn(answer, "an operator");
    else isForbidden(answer, "FORBIDDEN", "an operator");
  });

  test(`${nameOf(route)}: the right credential`, async () => {
    const { owner, lacking } = await credentials();
    if (route.method === "DELETE" && route.path === "/v1/namespaces/:ns") return;
    isLetIn(await call(route, { token: owner.accessToken }, owner.namespace), "the owner's token");
    if (role === undefined) {
      isLetIn(await call(route, { key: lacking.get("")! }, owner.namespace), "a key with every scope");
    }
  });

  if (param !== undefined) {
    test(`${nameOf(route)}: no other namespace`, async () => {
      const { owner, lacking } = await credentials();
      for (
        const namespace of [
          uniqueName(),
          "default",
          owner.namespace.toUpperCase(),
          `${owner.namespace}%00`,
          "../" + owner.namespace,
        ]
      ) {
        for (const options of [{ token: owner.accessToken }, { key: lacking.get("")! }]) {
          isForbidden(await call(route, options, namespace), "NAMESPACE_MISMATCH", namespace);
        }
      }
    });
  }

  if (role !== undefined) {
    test(`${nameOf(route)}: no role below ${role}, and no key without one`, async () => {
      const { owner, lacking, members } = await credentials();
      isForbidden(await call(route, { key: lacking.get("")! }, owner.namespace), "FORBIDDEN", "a named key");
      for (const weaker of ROLES.slice(ROLES.indexOf(role) + 1)) {
        const { accessToken: token, apiKey: key } = members.get(weaker)!;
        for (const options of [{ token }, { key }]) {
          equal((await call(route, options, owner.namespace)).status, 403, weaker);
        }
      }
    });
  }
}

test("every route says in one line what it does, under a heading, and is in the OpenAPI document", async () => {
  const { paths } = (await suite.gateway.call("GET", "/openapi.json")).expect(200).body as {
    paths: Record<string, Record<string, Record<string, unknown>>>;
  };
  const seen = new Set<string>();
  for (const route of routes) {
    const name = nameOf(route);
    ok(!seen.has(name), `${name} stands twice`);
    seen.add(name);
    match(route.summary, /^[A-Z][^\n]{5,100}[^.]$/, name);
    match(route.tag, /^[A-Z]/, name);
    const entry = paths[openApiPath(route)]?.[route.method.toLowerCase()];
    ok(entry, `${name} is not in the OpenAPI document`);
    equal(entry.summary, route.summary, name);
  }
  const listed = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`)
  );
  deepEqual(listed.filter((name) => !routes.some((route) => `${route.method} ${openApiPath(route)}` === name)), []);
});

test("what a credential of one namespace is told of another is the same whether it exists or not", async () => {
  const { owner } = await credentials();
  const get = (namespace: string) =>
    suite.gateway.call("GET", `/v1/namespaces/${namespace}`, { token: owner.accessToken });
  const [existing, invented] = [await get("default"), await get(uniqueName())];
  deepEqual({ ...existing.body, request_id: "" }, { ...invented.body, request_id: "" });
});

test("a wallet that is no member reads nothing by any route of a namespace", async () => {
  const { owner } = await credentials();
  await using stranger = await newOwner(suite.gateway, uniqueName(), ethereumWallet());
  for (const route of routes.filter((one) => namespaceAccess(one)?.param !== undefined)) {
    equal((await call(route, { token: stranger.accessToken }, owner.namespace)).status, 403, nameOf(route));
  }
}, { namespaces: 2 });
