import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { code, principal } from "../auth/support/node.ts";
import { DAY, HOUR } from "../control_plane/support/clock.ts";
import { CONTEXT } from "../control_plane/support/context.ts";
import { Storages } from "./support/storage.ts";

async function shop() {
  const t = await Storages.start("shop", "cafe");
  const gateway = t.gateway();
  const { cid } = await gateway.upload("shop", "hello");
  const link = (life = HOUR) => gateway.service.link(principal(), cid, life, CONTEXT);
  const reads = (token: string, of = cid, reader = {}) => gateway.read({ ...reader, link: token }, of);
  const isDead = (token: string, of = cid) => rejects(() => reads(token, of), code("NOT_FOUND"), token);
  return { t, gateway, cid, link, reads, isDead, [Symbol.asyncDispose]: () => t[Symbol.asyncDispose]() };
}

Deno.test("whoever has a link reads until it is over, on any gateway", async () => {
  await using s = await shop();
  const { token, expiresAt, cid } = await s.link();
  deepEqual([expiresAt, cid], [s.t.clock.now() + HOUR, s.cid]);
  equal(await s.reads(token), "hello");
  equal(await s.reads(token, s.cid, { namespace: "cafe" }), "hello");
  equal(await s.t.gateway().read({ link: token }, s.cid), "hello");
  s.t.clock.advance(HOUR - 1);
  equal(await s.reads(token), "hello");
  s.t.clock.advance(1);
  await s.isDead(token);
});

Deno.test("a link of which any character is another opens nothing", async () => {
  await using s = await shop();
  const { token } = await s.link();
  for (let i = 0; i < token.length; i++) {
    for (const other of ["A", "z", "0", ".", ""]) {
      const forged = token.slice(0, i) + other + token.slice(i + 1);
      if (forged !== token) await s.isDead(forged);
    }
  }
  for (
    const forged of ["", ".", "..", "x.y.z", `${token}A`, ` ${token}`, `${token}=`, token.repeat(3), "\0", "é.1.x"]
  ) {
    await s.isDead(forged);
  }
});

Deno.test("a link is for one object of one namespace", async () => {
  await using s = await shop();
  const { token } = await s.link();
  const { cid: other } = await s.gateway.upload("shop", "other");
  await s.isDead(token, other);
  await s.gateway.upload("cafe", "hello");
  const { token: ofCafe } = await s.gateway.service.link(principal({ namespace: "cafe" }), s.cid, HOUR, CONTEXT);
  await s.gateway.unpin("cafe", s.cid);
  await s.isDead(ofCafe);
  equal(await s.reads(token), "hello");
  const [namespace, expiry, mac] = token.split(".");
  equal(namespace, "shop");
  await s.isDead(`cafe.${expiry}.${mac}`);
  await s.isDead(`shop.${(parseInt(expiry!, 36) + 1).toString(36)}.${mac}`);
});

Deno.test("a link dies with the object, and does not come to life again with it", async () => {
  await using s = await shop();
  const { token } = await s.link(DAY);
  await s.gateway.upload("shop", "hello", { name: "renewed" });
  equal(await s.reads(token), "hello", "renewing the object leaves its links");
  await s.gateway.unpin("shop", s.cid);
  await s.isDead(token);
  s.t.clock.advance(1);
  await s.gateway.upload("shop", "hello");
  await s.isDead(token);
});

Deno.test("an object that is made private, again or anew, ends the links that there are", async () => {
  await using s = await shop();
  const { token } = await s.link();
  const set = (visibility: "public" | "private") => s.gateway.service.change("shop", s.cid, { visibility }, CONTEXT);
  await set("public");
  equal(await s.reads("nonsense"), "hello");
  equal(await s.reads(token), "hello");
  await set("private");
  await s.isDead(token);
  const { token: second } = await s.link();
  equal(await s.reads(second), "hello");
  await s.gateway.service.change("shop", s.cid, { name: "x" }, CONTEXT);
  equal(await s.reads(second), "hello");
  await set("private");
  await s.isDead(second);
});

Deno.test("a link is no longer than it may be, and only for what is one's own", async () => {
  await using s = await shop();
  for (const life of [0, -1, 999, NaN, Infinity, 7 * DAY + 1]) {
    await rejects(() => s.link(life), code("INVALID_REQUEST", /^expires_in/), String(life));
  }
  ok((await s.link(7 * DAY)).token.length < 100);
  const foreign = s.gateway.service.link(principal({ namespace: "cafe" }), s.cid, HOUR, CONTEXT);
  await rejects(foreign, code("NOT_FOUND"));
});

Deno.test("a link by another root key opens nothing", async () => {
  await using s = await shop();
  const { token } = await s.t.gateway({ key: new Uint8Array(32).fill(9) }).service.link(
    principal(),
    s.cid,
    HOUR,
    CONTEXT,
  );
  await s.isDead(token);
});
