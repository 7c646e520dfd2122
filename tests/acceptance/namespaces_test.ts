import { deepEqual, equal, ok } from "node:assert/strict";
import { until } from "../engines/support/wait.ts";
import { newOwner, proof, signIn, tryToSignIn, uniqueName } from "../support/accounts.ts";
import type { Answer } from "../support/client.ts";
import { anyGatewaySuite } from "../support/suite.ts";
import { ethereumWallet } from "../support/wallet.ts";

const suite = anyGatewaySuite();
const { test } = suite;
const create = (token: string, name: unknown) =>
  suite.gateway.call("POST", "/v1/namespaces", { token, body: { name } });
/** Creates one, as soon as the last test's database is free. */
async function createWhenFree(token: string, name: string): Promise<Answer> {
  let answer = await create(token, name);
  await until("a database is free", async () => {
    if (answer.status !== 503) return true;
    answer = await create(token, name);
    return false;
  });
  return answer;
}
const show = (token: string, name: string) => suite.gateway.call("GET", `/v1/namespaces/${name}`, { token });
const remove = (token: string, name: string) => suite.gateway.call("DELETE", `/v1/namespaces/${name}`, { token });

test("a wallet creates a namespace, and signs in to it", async () => {
  const wallet = ethereumWallet(), name = uniqueName();
  await using owner = await newOwner(suite.gateway, uniqueName(), wallet);
  const made = (await createWhenFree(owner.accessToken, name)).expect(201);
  equal(made.get("name"), name);
  equal(made.get("state"), "active");
  equal(made.get("role"), "owner");
  ok(Math.abs(Date.parse(made.string("created_at")) - Date.now()) < 60_000);
  await using inside = await newOwner(suite.gateway, name, wallet);
  deepEqual((await show(inside.accessToken, name)).expect(200).body, made.body);
  const list = (await suite.gateway.call("GET", "/v1/namespaces", { token: owner.accessToken })).expect(200);
  deepEqual(list.list("namespaces").map((one) => one.name), [name, owner.namespace].sort());
  equal(list.get("count"), 2);
}, { namespaces: 2 });

test("creating a namespace leaves the credential in its own", async () => {
  await using owner = await newOwner(suite.gateway);
  const name = uniqueName();
  (await createWhenFree(owner.accessToken, name)).expect(201);
  equal((await show(owner.accessToken, name)).expect(403).get("code"), "NAMESPACE_MISMATCH");
  await using _inside = await newOwner(suite.gateway, name, owner.wallet);
}, { namespaces: 2 });

test("a name that is taken is taken in any letter case", async () => {
  const name = uniqueName("Mixed");
  await using owner = await newOwner(suite.gateway, name);
  for (const other of [name, name.toLowerCase(), name.toUpperCase()]) {
    equal((await create(owner.accessToken, other)).expect(409).get("code"), "CONFLICT");
    const stranger = await tryToSignIn(suite.gateway, ethereumWallet(), other);
    equal(stranger.status, other === name ? 403 : 409, stranger.text);
  }
  equal((await tryToSignIn(suite.gateway, owner.wallet, name.toLowerCase())).status, 409);
});

test("a name that is no name makes nothing, and is named", async () => {
  await using owner = await newOwner(suite.gateway);
  for (
    const name of [
      "",
      " ",
      "../x",
      "a/b",
      "a:b",
      "a.b",
      "-a",
      "_a",
      "é",
      "a".repeat(65),
      "a\u0000b",
      null,
      1,
      ["a"],
      {},
    ]
  ) {
    const answer = (await create(owner.accessToken, name)).expect(400);
    equal(answer.get("details.0.field"), "name", JSON.stringify(name));
  }
  equal((await suite.gateway.call("GET", "/v1/namespaces", { token: owner.accessToken })).get("count"), 1);
});

test("a key creates namespaces for its wallet alone", async () => {
  await using owner = await newOwner(suite.gateway);
  const made = await suite.gateway.call("POST", "/v1/auth/keys", { token: owner.accessToken, body: { name: "x" } });
  const answer = await suite.gateway.call("POST", "/v1/namespaces", {
    key: made.string("api_key"),
    body: { name: uniqueName() },
  });
  equal(answer.expect(403).get("code"), "FORBIDDEN");
  const list = await suite.gateway.call("GET", "/v1/namespaces", { key: made.string("api_key") });
  deepEqual(list.list("namespaces").map((one) => one.name), [owner.namespace]);
});

test("of many who create one name at once, one gets it", async () => {
  const name = uniqueName();
  await using owner = await newOwner(suite.gateway);
  let answers = await Promise.all(Array.from({ length: 5 }, () => create(owner.accessToken, name)));
  // The last test's database may become free in the middle of it: 503 is repeated.
  await until("everybody was told", async () => {
    if (answers.every(({ status }) => status !== 503)) return true;
    answers = await Promise.all(
      answers.map((answer) => answer.status === 503 ? create(owner.accessToken, name) : answer),
    );
    return false;
  });
  deepEqual(answers.map(({ status }) => status).sort(), [201, 409, 409, 409, 409]);
  await using _inside = await newOwner(suite.gateway, name, owner.wallet);
}, { namespaces: 2 });

test("a deleted namespace's credentials are dead at once", async () => {
  await using owner = await newOwner(suite.gateway);
  const made = await suite.gateway.call("POST", "/v1/auth/keys", { token: owner.accessToken, body: { name: "x" } });
  const key = made.string("api_key");
  (await suite.gateway.call("GET", "/v1/auth/whoami", { key })).expect(200);
  const answer = (await remove(owner.accessToken, owner.namespace)).expect(200);
  deepEqual(answer.body, { status: "deleting" });
  for (const credential of [{ key }, { key: owner.apiKey }, { token: owner.accessToken }]) {
    equal((await suite.gateway.call("GET", "/v1/auth/whoami", credential)).status, 401);
  }
  const body = { refresh_token: owner.refreshToken };
  equal((await suite.gateway.call("POST", "/v1/auth/refresh", { body })).status, 401);
});

test("a deleted name is free again, and nothing of the one before is in it", async () => {
  const name = uniqueName(), wallet = ethereumWallet();
  const before = await newOwner(suite.gateway, name, ethereumWallet());
  (await remove(before.accessToken, name)).expect(200);
  let again = await tryToSignIn(suite.gateway, wallet, name);
  await until("the name is free", async () => {
    if (again.status === 200) return true;
    ok([409, 503].includes(again.status), again.text);
    again = await tryToSignIn(suite.gateway, wallet, name);
    return false;
  });
  await using owner = await newOwner(suite.gateway, name, wallet);
  equal(owner.role, "owner");
  const token = again.string("access_token");
  (await suite.gateway.call("GET", "/v1/auth/whoami", { token })).expect(200);
  for (const credential of [{ key: before.apiKey }, { token: before.accessToken }]) {
    equal((await suite.gateway.call("GET", "/v1/auth/whoami", credential)).status, 401);
  }
  const members = await suite.gateway.call("GET", `/v1/namespaces/${name}/members`, { token });
  deepEqual(members.list("members").map((member) => member.wallet), [wallet.address]);
  const events = await suite.gateway.call("GET", `/v1/namespaces/${name}/audit`, { token });
  equal(events.text.includes(before.wallet.address), false);
});

test("a wallet that comes back to a name that it deleted gets another key", async () => {
  const wallet = ethereumWallet(), name = uniqueName();
  const before = await newOwner(suite.gateway, name, wallet);
  (await remove(before.accessToken, name)).expect(200);
  await until("the name is free", async () => (await tryToSignIn(suite.gateway, wallet, name)).status === 200);
  await using owner = await newOwner(suite.gateway, name, wallet);
  ok(owner.apiKey !== before.apiKey);
  equal((await suite.gateway.call("GET", "/v1/auth/whoami", { key: before.apiKey })).status, 401);
});

test("only an owner deletes a namespace", async () => {
  await using owner = await newOwner(suite.gateway);
  const path = `/v1/namespaces/${owner.namespace}/members`;
  for (const role of ["admin", "member", "viewer"]) {
    const wallet = ethereumWallet();
    (await suite.gateway.call("PUT", `${path}/${wallet.address}`, { token: owner.accessToken, body: { role } })).expect(
      200,
    );
    const member = await signIn(suite.gateway, wallet, owner.namespace);
    equal((await remove(member.accessToken, owner.namespace)).status, 403);
    equal(
      (await suite.gateway.call("DELETE", `/v1/namespaces/${owner.namespace}`, { key: member.apiKey })).status,
      403,
    );
  }
  (await show(owner.accessToken, owner.namespace)).expect(200);
});

test("a proof that was made before the deletion does not bring a wallet back as a stranger", async () => {
  await using owner = await newOwner(suite.gateway);
  const stranger = ethereumWallet();
  const body = await proof(suite.gateway, stranger, owner.namespace);
  equal((await suite.gateway.call("POST", "/v1/auth/verify", { body })).status, 403);
  equal((await suite.gateway.call("POST", "/v1/auth/verify", { body })).status, 401, "it was used up");
});

test("a wallet's namespaces come in pages", async () => {
  await using owner = await newOwner(suite.gateway);
  const name = uniqueName();
  (await createWhenFree(owner.accessToken, name)).expect(201);
  await using _inside = await newOwner(suite.gateway, name, owner.wallet);
  const page = (query: string) => suite.gateway.call("GET", `/v1/namespaces?${query}`, { token: owner.accessToken });
  const first = (await page("limit=1")).expect(200);
  const second = (await page(`limit=1&cursor=${first.string("next_cursor")}`)).expect(200);
  const names = [...first.list("namespaces"), ...second.list("namespaces")].map((one) => one.name);
  deepEqual(names, [owner.namespace, name].sort());
  deepEqual([first.get("count"), second.get("next_cursor")], [1, null]);
  for (const wrong of ["limit=0", "limit=1001", "limit=x", "cursor=x", "cursor=", `cursor=${"A".repeat(600)}`]) {
    equal((await page(wrong)).expect(400).get("details.0.field"), wrong.split("=")[0], wrong);
  }
}, { namespaces: 2 });

test("nobody but an operator names the owner of a namespace", async () => {
  await using owner = await newOwner(suite.gateway);
  const body = { name: uniqueName(), owner: owner.wallet.address };
  for (const credential of [{ token: owner.accessToken }, { key: owner.apiKey }]) {
    const answer = await suite.gateway.call("POST", "/v1/namespaces", { ...credential, body });
    equal(answer.expect(403).get("code"), "FORBIDDEN");
  }
});
