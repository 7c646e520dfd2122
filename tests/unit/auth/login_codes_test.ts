import { deepEqual, equal, match, ok, rejects, throws } from "node:assert/strict";
import { createHash } from "node:crypto";
import { LoginCodes } from "../../../services/auth/login_codes.ts";
import { Chance } from "../control_plane/support/chance.ts";
import { MINUTE } from "../control_plane/support/clock.ts";
import { CONTEXT } from "../control_plane/support/context.ts";
import { everySchedule } from "../control_plane/support/schedules.ts";
import { ALICE, code, Node } from "./support/node.ts";

const CALLBACKS = ["https://app.example", "https://exact.example/done?from=gateway", "https://folder.example/"];
const CALLBACK = "https://app.example/signed-in";
const VERIFIER = "v".repeat(43);
const challengeOf = (verifier: string) => createHash("sha256").update(verifier).digest("base64url");
const refused = code("INVALID_CREDENTIAL", /invalid or expired code/);
const start = () => Node.start({ callbacks: CALLBACKS });
const issue = (node: Node, more = {}) =>
  node.loginCodes.issue(
    { namespace: "shop", wallet: ALICE, callback: CALLBACK, codeChallenge: challengeOf(VERIFIER), ...more },
    CONTEXT,
  );

Deno.test("a program on the user's own machine gets the key itself", async () => {
  await using node = await start();
  for (
    const callback of ["http://localhost:8080/cb", "http://127.0.0.1:1/", "http://[::1]:9/x?y=1", "http://LOCALHOST/"]
  ) {
    equal(node.loginCodes.mode(callback), "key", callback);
  }
});

Deno.test("an application that is listed gets a code, by its origin or by its exact address", async () => {
  await using node = await start();
  for (
    const callback of [
      "https://app.example",
      "https://app.example/any/path?x=1",
      "https://APP.example:443/",
      "https://exact.example/done?from=gateway",
      "https://folder.example/",
      "https://folder.example",
    ]
  ) equal(node.loginCodes.mode(callback), "code", callback);
});

Deno.test("hostile callbacks are refused", async () => {
  await using node = await start();
  for (
    const callback of [
      "",
      "app.example",
      "//app.example/",
      "/relative",
      "javascript:alert(1)//https://app.example",
      "data:text/html,x",
      "file:///etc/passwd",
      "http://app.example/",
      "https://app.example.evil.example/",
      "https://app.example@evil.example/",
      "https://user:password@app.example/",
      "https://evil.example/?https://app.example",
      "https://app.example#@evil.example/",
      "https://sub.app.example/",
      "https://app.example:444/",
      "https://exact.example/done",
      "https://exact.example/done?from=gateway&more=1",
      "https://exact.example/",
      "https://folder.example/more",
      "https://localhost:8080/",
      "http://localhost.evil.example/",
      "http://localhost:8080@evil.example/",
      "http://user@localhost/",
      "http://localhost./",
      "http://127.0.0.2/",
      "http://0.0.0.0/",
      "http://[::ffff:127.0.0.1]/",
      "http://10.0.0.1/",
      "https://evil.example\\@app.example/",
      "https://app.example\n.evil.example/",
      " ",
      "https://",
    ]
  ) throws(() => node.loginCodes.mode(callback), code("INVALID_REQUEST", /callback/), JSON.stringify(callback));
});

Deno.test("a code gives what it was issued for, to who has the verifier", async () => {
  await using node = await start();
  const given = await issue(node);
  match(given, /^[A-Za-z0-9_-]{43}$/);
  deepEqual(await node.loginCodes.redeem(given, VERIFIER, CALLBACK, CONTEXT), {
    namespace: "shop",
    wallet: ALICE,
    callback: CALLBACK,
  });
});

Deno.test("only a hash of a code is stored", async () => {
  await using node = await start();
  const given = await issue(node);
  const { rows } = await node.database.run(node.database.db.selectFrom("login_codes").selectAll());
  equal(JSON.stringify(rows).includes(given), false);
  equal(rows.length, 1);
});

Deno.test("a code is good once", async () => {
  await using node = await start();
  const given = await issue(node);
  await node.loginCodes.redeem(given, VERIFIER, CALLBACK, CONTEXT);
  await rejects(node.loginCodes.redeem(given, VERIFIER, CALLBACK, CONTEXT), refused);
});

Deno.test("of two who redeem a code at once one gets the key, in whatever order", async () => {
  await using node = await start();
  const { now } = node.clock;
  await everySchedule(async (schedule) => {
    const given = await issue(node);
    const gateways = [1, 2].map((seed) => {
      const control = schedule.client(node.database);
      return new LoginCodes({ control, now, random: new Chance(seed).bytes, callbacks: CALLBACKS });
    });
    const results = await schedule.run(gateways.map((codes) => () => codes.redeem(given, VERIFIER, CALLBACK, CONTEXT)));
    equal(results.filter(({ status }) => status === "fulfilled").length, 1);
  });
});

Deno.test("a wrong verifier or callback burns the code: who stole it has one guess and spoils it", async () => {
  for (
    const [verifier, callback] of [
      ["w".repeat(43), CALLBACK],
      ["", CALLBACK],
      [challengeOf(VERIFIER), CALLBACK],
      [VERIFIER, "https://app.example/elsewhere"],
      [VERIFIER, ""],
    ] as const
  ) {
    await using node = await start();
    const given = await issue(node);
    await rejects(node.loginCodes.redeem(given, verifier, callback, CONTEXT), refused);
    await rejects(node.loginCodes.redeem(given, VERIFIER, CALLBACK, CONTEXT), refused);
  }
});

Deno.test("a code that nobody was given is refused like any other", async () => {
  await using node = await start();
  for (const guess of ["", "x".repeat(43), "ü"]) {
    await rejects(node.loginCodes.redeem(guess, VERIFIER, CALLBACK, CONTEXT), refused);
  }
});

Deno.test("a code lives for a minute", async () => {
  await using node = await start();
  const [a, b] = [await issue(node), await issue(node)];
  node.clock.advance(MINUTE - 1);
  ok(await node.loginCodes.redeem(a, VERIFIER, CALLBACK, CONTEXT));
  node.clock.advance(1);
  await rejects(node.loginCodes.redeem(b, VERIFIER, CALLBACK, CONTEXT), refused);
});

Deno.test("no code is issued without a whole challenge, or to a program that needs none", async () => {
  await using node = await start();
  for (const codeChallenge of ["", "short", VERIFIER + "x", "=".repeat(43), "ü".repeat(43), `${"a".repeat(42)}\n`]) {
    await rejects(
      issue(node, { codeChallenge }),
      code("INVALID_REQUEST", /code_challenge/),
      JSON.stringify(codeChallenge),
    );
  }
  await rejects(issue(node, { callback: "http://localhost:1/" }), code("INVALID_REQUEST", /needs no code/));
  await rejects(issue(node, { callback: "https://evil.example/" }), code("INVALID_REQUEST", /not allowed/));
});
