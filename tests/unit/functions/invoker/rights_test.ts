import { deepEqual, equal, rejects } from "node:assert/strict";
import { hasCode } from "../../../../src/contracts/errors.ts";
import type { Invocation } from "../../../../src/contracts/function_invocations.ts";
import { principalOf, World } from "./support/invoker.ts";

const answerOf = async (call: Promise<unknown>): Promise<string> => {
  try {
    await call;
    return "ok";
  } catch (error) {
    return error instanceof Error && "code" in error ? `${error.code}: ${error.message}` : String(error);
  }
};

Deno.test("a private function is called by its namespace's principals with the scope, and by the namespace, and by nobody else", async () => {
  const world = new World();
  world.deploy("shop", "private");
  const codeOf = async (caller: Invocation["caller"]) =>
    (await answerOf(world.invoke("shop", "private", { caller }))).split(":")[0];
  equal(await codeOf(principalOf("shop")), "ok");
  equal(await codeOf("namespace"), "ok");
  // C13: whoever signed in with a wallet may call its own functions.
  equal(await codeOf(principalOf("shop", { kind: "jwt", subject: "0xabc", wallet: "0xabc" })), "ok");
  equal(
    await codeOf(principalOf("shop", { scopes: new Set(["functions:deploy", "namespace:admin"]) })),
    "INSUFFICIENT_SCOPE",
  );
  equal(await codeOf(principalOf("cafe")), "NOT_FOUND");
  equal(await codeOf(principalOf("", { operator: true })), "NOT_FOUND");
  equal(await codeOf(principalOf("Shop")), "NOT_FOUND");
  equal(await codeOf(undefined), "UNAUTHENTICATED");
  equal(world.works.length, 3);
});

Deno.test("to others a private function, a version of it and none at all are the same", async () => {
  const world = new World();
  world.deploy("shop", "private");
  world.deploy("shop", "public", { isPublic: true });
  for (const caller of [undefined, principalOf("cafe"), principalOf("", { operator: true })]) {
    const answers = new Set<string>();
    for (
      const [namespace, name, reference] of [
        ["shop", "private", undefined],
        ["shop", "private", "1"],
        ["shop", "private", "9"],
        ["shop", "missing", undefined],
        ["shop", "missing", "1"],
        ["nobody", "missing", undefined],
      ] as const
    ) answers.add(await answerOf(world.invoke(namespace, name, { caller, reference })));
    deepEqual([...answers].length, 1, [...answers].join("\n"));
    equal(await answerOf(world.invoke("shop", "public", { caller, reference: "1" })), "ok");
    equal(
      await answerOf(world.invoke("shop", "public", { caller, reference: "9" })),
      "NOT_FOUND: function version not found",
    );
  }
  const own = { caller: principalOf("shop"), reference: "9" };
  equal(await answerOf(world.invoke("shop", "private", own)), "NOT_FOUND: function version not found");
  equal(await answerOf(world.invoke("shop", "missing")), "NOT_FOUND: function not found");
});

Deno.test("the same holds where the function has to be looked up first", async () => {
  const world = new World();
  world.deploy("shop", "private");
  world.deploy("shop", "public", { isPublic: true });
  world.onResolve = () => Promise.resolve();
  const codeOf = async (name: string, caller: Invocation["caller"]) =>
    (await answerOf(world.invoke("shop", name, { caller }))).split(":")[0];
  deepEqual([await codeOf("private", undefined), await codeOf("missing", undefined)], [
    "UNAUTHENTICATED",
    "UNAUTHENTICATED",
  ]);
  deepEqual([await codeOf("private", principalOf("shop")), await codeOf("public", undefined)], ["ok", "ok"]);
});

Deno.test("a credential of a deleted namespace is none of the one that took its name", async () => {
  const world = new World();
  world.deploy("shop", "private");
  world.revoke("shop", 5);
  await rejects(world.invoke("shop", "private", { caller: principalOf("shop", { asOf: 4 }) }), {
    code: "UNAUTHENTICATED",
  });
  await rejects(world.invoke("shop", "missing", { caller: principalOf("shop", { asOf: 4 }) }), {
    code: "UNAUTHENTICATED",
  });
  await world.invoke("shop", "private", { caller: principalOf("shop", { asOf: 5 }) });
  await world.invoke("shop", "private", { caller: "namespace" });
  equal(world.works.length, 2);
});

Deno.test("a control plane that is away is told as that, to everybody", async () => {
  const world = new World();
  for (
    const fail of [() => {
      throw Object.assign(new Error("x"));
    }, () => Promise.reject(new Error("x"))]
  ) {
    world.onResolve = fail;
    await rejects(
      world.invoke("shop", "private", { caller: undefined }),
      (error) => !hasCode(error, "UNAUTHENTICATED"),
    );
  }
});

Deno.test("a function learns who called it: the wallet, else a token's subject, else the namespace", async () => {
  const world = new World();
  world.deploy("shop", "public", { isPublic: true });
  const callerOf = async (caller: Invocation["caller"]) => {
    await world.invoke("shop", "public", { caller });
    return [world.works.at(-1)!.task.caller, world.invocations.at(-1)!.caller];
  };
  deepEqual(await callerOf(undefined), ["", undefined]);
  deepEqual(await callerOf("namespace"), ["shop", "shop"]);
  deepEqual(await callerOf(principalOf("cafe")), ["cafe", "cafe"]);
  deepEqual(await callerOf(principalOf("shop", { wallet: "0xabc" })), ["0xabc", "0xabc"]);
  deepEqual(await callerOf(principalOf("shop", { kind: "jwt", subject: "0xdef" })), ["0xdef", "0xdef"]);
  deepEqual(await callerOf(principalOf("shop", { kind: "jwt", subject: "key:key_1" })), ["shop", "shop"]);
});

Deno.test("by a route for everybody a private function is called as whoever asks, and as nobody else", async () => {
  for (const isAsync of [false, true]) {
    const world = new World();
    world.deploy("shop", "private");
    if (isAsync) world.onResolve = () => Promise.resolve();
    const route = { trigger: "route", triggerId: "trg_1", admittedByRoute: true } as const;
    const callerOf = async (caller: Invocation["caller"]) => {
      await world.invoke("shop", "private", { ...route, caller });
      return [world.works.at(-1)!.task.caller, world.invocations.at(-1)!.caller];
    };
    deepEqual(await callerOf(undefined), ["", undefined]);
    deepEqual(await callerOf(principalOf("cafe")), ["cafe", "cafe"]);
    deepEqual(await callerOf(principalOf("cafe", { wallet: "0xabc" })), ["0xabc", "0xabc"]);
    deepEqual(await callerOf(principalOf("shop", { scopes: new Set() })), ["shop", "shop"]);
    await rejects(world.invoke("shop", "missing", { ...route, caller: undefined }), { code: "NOT_FOUND" });
    equal(
      await answerOf(world.invoke("shop", "private", { ...route, admittedByRoute: false, caller: undefined })).then((
        text,
      ) => text.split(":")[0]),
      "UNAUTHENTICATED",
    );
  }
});

Deno.test("a credential of a deleted namespace is told to no function as the one that took its name", async () => {
  const world = new World();
  world.deploy("shop", "public", { isPublic: true });
  world.revoke("shop", 5);
  for (const admittedByRoute of [false, true]) {
    for (const name of ["public", "missing"]) {
      const call = world.invoke("shop", name, { caller: principalOf("shop", { asOf: 4 }), admittedByRoute });
      await rejects(call, { code: "UNAUTHENTICATED" });
    }
  }
  equal(world.works.length, 0);
});

Deno.test("a call that is meant for one function runs none that has its name by now", async () => {
  for (const isAsync of [false, true]) {
    const world = new World();
    const { id } = world.deploy("shop", "f", { isPublic: true, retryCount: 1, retryDelay: 10 });
    if (isAsync) world.onResolve = () => Promise.resolve();
    const call = { caller: "namespace", functionId: id } as const;
    equal(await answerOf(world.invoke("shop", "f", call)), "ok");
    world.deploy("shop", "f", { isPublic: true });
    equal(await answerOf(world.invoke("shop", "f", call)), "NOT_FOUND: function not found");
    equal(world.works.length, 1);
    equal(await answerOf(world.invoke("shop", "f", { caller: "namespace" })), "ok");
  }
});
