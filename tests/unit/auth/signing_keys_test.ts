import { deepEqual, equal, notEqual, ok, rejects, throws } from "node:assert/strict";
import { RootKeyError } from "../../../services/auth/crypto/root_key.ts";
import { SealError } from "../../../services/auth/crypto/seal.ts";
import { type Seal, SigningKeys } from "../../../services/auth/signing_keys.ts";
import { removeExpired } from "../../../services/control_plane/expiry.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { DAY, MINUTE, SECOND, TestClock } from "../control_plane/support/clock.ts";
import { openControl } from "../control_plane/support/control.ts";
import { WatchedControl } from "../control_plane/support/doubles.ts";
import { everySchedule } from "../control_plane/support/schedules.ts";
import { code, Node, ROTATION, TOKEN_TTL } from "./support/node.ts";

const SUBJECT = { sub: "0xa", namespace: "shop", scopes: [], rev: 0 } as const;
const kids = (keys: SigningKeys) => keys.publicJwks().map(({ kid }) => kid);

/** A seal that only marks, for tests that are not about sealing. */
const plain: Seal = { seal: (text) => text, open: (text) => text };

async function cluster() {
  const database = await openControl();
  const clock = new TestClock();
  const control = new WatchedControl(database);
  const gateway = (more: { seal?: Seal; clock?: TestClock; control?: WatchedControl } = {}) =>
    new SigningKeys(more.control ?? control, {
      now: (more.clock ?? clock).now,
      monotonic: clock.now,
      seal: more.seal ?? plain,
      rotation: ROTATION,
      tokenTtl: TOKEN_TTL,
    });
  return { database, clock, control, gateway, [Symbol.asyncDispose]: () => database.close() };
}

Deno.test("before the first key was read there is none to sign with, and that is UNAVAILABLE", async () => {
  await using t = await cluster();
  throws(() => t.gateway().current(), code("UNAVAILABLE"));
  deepEqual(t.gateway().publicJwks(), []);
});

Deno.test("the first start makes one key, and every later one finds it", async () => {
  await using t = await cluster();
  const [a, b] = [t.gateway(), t.gateway()];
  await a.maintain();
  await a.maintain();
  await b.maintain();
  equal(kids(a).length, 1);
  deepEqual(kids(b), kids(a));
  equal(b.current().kid, a.current().kid);
});

Deno.test("a public key is published as RFC 7517 and RFC 8037 write it, and holds no private part", async () => {
  await using t = await cluster();
  const keys = t.gateway();
  await keys.maintain();
  const [jwk] = keys.publicJwks();
  deepEqual(Object.keys(jwk!).sort(), ["alg", "crv", "kid", "kty", "use", "x"]);
  deepEqual([jwk!.kty, jwk!.crv, jwk!.alg, jwk!.use], ["OKP", "Ed25519", "EdDSA", "sig"]);
});

Deno.test("two gateways that start at once on an empty database end with one key, in whatever order", async () => {
  const orders = await everySchedule(async (schedule) => {
    await using database = await openControl();
    const { now } = new TestClock();
    const options = { now, monotonic: now, seal: plain, rotation: ROTATION, tokenTtl: TOKEN_TTL };
    const gateways = [1, 2].map(() => new SigningKeys(schedule.client(database), options));
    for (const result of await schedule.run(gateways.map((keys) => () => keys.maintain()))) {
      equal(result.status, "fulfilled");
    }
    const [a, b] = gateways;
    equal(kids(a!).length, 1);
    deepEqual(kids(a!), kids(b!));
  });
  ok(orders >= 10, String(orders));
});

Deno.test("two gateways that rotate at once make one new key, in whatever order", async () => {
  await everySchedule(async (schedule) => {
    await using database = await openControl();
    const clock = new TestClock();
    const options = { now: clock.now, monotonic: clock.now, seal: plain, rotation: ROTATION, tokenTtl: TOKEN_TTL };
    await new SigningKeys(database, options).maintain();
    clock.advance(ROTATION);
    const gateways = [1, 2].map(() => new SigningKeys(schedule.client(database), options));
    await schedule.run(gateways.map((keys) => () => keys.maintain()));
    for (const keys of gateways) equal(kids(keys).length, 2);
    const { rows } = await database.run(
      database.db.selectFrom("signing_keys").select("kid").where("retired_at", "is", null),
    );
    equal(rows.length, 1, "none is left that nobody will ever retire");
  });
});

Deno.test("a key is published five minutes before it signs, and verifies until the last token of it has died", async () => {
  await using node = await Node.start();
  const { signingKeys: keys, tokens, clock } = node;
  const old = keys.current().kid;
  clock.advance(ROTATION - 1);
  await keys.maintain();
  deepEqual(kids(keys), [old]);
  clock.advance(1);
  await keys.maintain();
  const [next, ...others] = kids(keys);
  deepEqual(others, [old]);
  notEqual(next, old);

  clock.advance(5 * MINUTE - 1);
  equal(keys.current().kid, old);
  const last = (await tokens.issue(SUBJECT)).accessToken;
  clock.advance(1);
  equal(keys.current().kid, next);

  clock.advance(TOKEN_TTL - SECOND - 1);
  ok(await tokens.verify(last), "the last token of the old key, to its last second");
  deepEqual(kids(keys), [next, old]);
  clock.advance(MINUTE + SECOND + 1);
  deepEqual(kids(keys), [next], "then the key is gone at once, without a look");
  equal(await keys.publicKey(old!), undefined);
  await keys.maintain();
  deepEqual(kids(keys), [next]);
});

Deno.test("a gateway that was away during a rotation verifies and signs with the new key when it looks again", async () => {
  await using node = await Node.start();
  const away = await node.another();
  node.clock.advance(ROTATION);
  await node.signingKeys.maintain();
  node.clock.advance(5 * MINUTE);
  const token = (await node.tokens.issue(SUBJECT)).accessToken;
  ok(await away.tokens.verify(token), "an unknown key id is looked up");
  equal(away.signingKeys.current().kid, node.signingKeys.current().kid);
});

Deno.test("rotations follow one another, and expired keys leave the database", async () => {
  await using node = await Node.start();
  const { signingKeys: keys, clock, database } = node;
  const seen = new Set<string>();
  for (let i = 0; i < 5; i++) {
    seen.add(keys.current().kid);
    clock.advance(ROTATION);
    await keys.maintain();
    clock.advance(DAY);
    await keys.maintain();
    await removeExpired(database, clock.time);
  }
  equal(seen.size, 5);
  equal(kids(keys).length, 1);
  equal((await database.run(database.db.selectFrom("signing_keys").selectAll())).rows.length, 1);
});

Deno.test("private keys lie sealed, each for its own place", async () => {
  await using node = await Node.start();
  const { rows } = await node.database.run<{ sealed_private_jwk: string; kid: string }>(
    node.database.db.selectFrom("signing_keys").selectAll(),
  );
  equal(JSON.stringify(rows).includes('\\"d\\"'), false);
  await node.database.run(node.database.db.updateTable("signing_keys").set({ kid: "moved" }));
  await rejects(node.another(), RootKeyError);
});

Deno.test("a gateway with another root key is told so and does not start", async () => {
  await using node = await Node.start();
  await rejects(node.another({ rootKey: new Uint8Array(32).fill(9) }), (error) => {
    ok(error instanceof RootKeyError);
    ok(/root key/.test(error.message) && /of the others/.test(error.message), error.message);
    ok(error.cause instanceof SealError);
    return true;
  });
  equal(kids(node.signingKeys).length, 1, "and it left nothing in the database");
});

Deno.test("an unknown key id is looked up once a second, however often it is named", async () => {
  await using t = await cluster();
  const keys = t.gateway();
  await keys.maintain();
  t.clock.advance(SECOND);
  const before = t.control.calls.length;
  await Promise.all(Array.from({ length: 50 }, (_, i) => keys.publicKey(`guess ${i}`)));
  equal(t.control.calls.length, before + 1, "many at once share one");
  t.clock.advance(SECOND - 1);
  await keys.publicKey("guess");
  equal(t.control.calls.length, before + 1);
  t.clock.advance(1);
  await keys.publicKey("guess");
  equal(t.control.calls.length, before + 2);
});

Deno.test("while the control plane is down, unknown key ids wait for one look and cost one a second", async () => {
  await using t = await cluster();
  const keys = t.gateway();
  await keys.maintain();
  t.clock.advance(SECOND);
  let looks = 0;
  let hang = Promise.withResolvers<void>();
  t.control.before = async () => {
    looks++;
    await hang.promise;
    throw new GatewayError("UNAVAILABLE", "down");
  };
  for (let i = 1; i <= 3; i++) {
    const waiting = Array.from({ length: 20 }, (_, n) => rejects(keys.publicKey(`guess ${n}`), code("UNAVAILABLE")));
    t.clock.advance(5 * SECOND);
    waiting.push(rejects(keys.publicKey("later, while it hangs"), code("UNAVAILABLE")));
    hang.resolve();
    await Promise.all(waiting);
    t.clock.advance(SECOND - 1);
    await rejects(keys.publicKey("a moment after it failed"), code("UNAVAILABLE"));
    equal(looks, i);
    t.clock.advance(1);
    hang = Promise.withResolvers();
  }
  t.control.before = () => {};
  equal(await keys.publicKey("guess"), undefined);
});

Deno.test("a clock that is set back does not keep new keys from being looked up", async () => {
  await using t = await cluster();
  const wall = new TestClock(t.clock.time);
  const keys = t.gateway({ clock: wall });
  await keys.maintain();
  await keys.publicKey("guess");
  wall.advance(-DAY);
  t.clock.advance(SECOND);
  const before = t.control.calls.length;
  await keys.publicKey("guess");
  equal(t.control.calls.length, before + 1);
});

Deno.test("a gateway that read no key yet looks none up for a request", async () => {
  await using t = await cluster();
  await rejects(t.gateway().publicKey("any"), code("UNAVAILABLE"));
  equal(t.control.calls.length, 0);
});

Deno.test("a key that cannot be opened is no failure of the request that asks for another one", async () => {
  await using t = await cluster();
  let locked = false;
  const open = (text: string) => {
    if (locked) throw new SealError("sealed under another root key");
    return text;
  };
  const keys = t.gateway({ seal: { ...plain, open } });
  await keys.maintain();
  t.clock.advance(ROTATION);
  await t.gateway().maintain();
  locked = true;
  await rejects(keys.publicKey("guess"), (error: GatewayError) => {
    deepEqual([error.code, error.cause instanceof RootKeyError], ["UNAVAILABLE", true]);
    return true;
  });
  ok(await keys.publicKey(keys.current().kid), "what it has goes on");
});

Deno.test("a known key costs no look-up", async () => {
  await using t = await cluster();
  const keys = t.gateway();
  await keys.maintain();
  const calls = t.control.calls.length;
  t.clock.advance(DAY);
  ok(await keys.publicKey(keys.current().kid));
  equal(t.control.calls.length, calls);
});

Deno.test("a gateway whose clock is behind signs with the key it has rather than with none", async () => {
  await using t = await cluster();
  await t.gateway().maintain();
  const behind = t.gateway({ clock: new TestClock(t.clock.time - MINUTE) });
  await behind.maintain();
  equal(kids(behind).length, 1);
  equal(behind.current().kid, kids(behind)[0]);
});
