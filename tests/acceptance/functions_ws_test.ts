import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { until } from "../engines/support/wait.ts";
import { newOwner } from "../support/accounts.ts";
import { deploy } from "../support/functions.ts";
import { TestSocket } from "../support/sockets.ts";
import { anyGatewaySuite } from "../support/suite.ts";

const suite = anyGatewaySuite();
const { test } = suite;

const open = (name: string, key: string, query = "") =>
  TestSocket.open(suite.gateway.url, `/v1/functions/${name}/ws?api_key=${encodeURIComponent(key)}${query}`);

test("each frame is a call, text or bytes, and each is answered in its turn", async () => {
  await using owner = await newOwner(suite.gateway);
  const credential = { token: owner.accessToken };
  await deploy(suite.gateway, credential, "echo", "echo.wat");
  await using socket = await open("echo", owner.apiKey, `&namespace=${owner.namespace}`);
  for (let i = 0; i < 20; i++) socket.socket.send(`[${i}]`);
  socket.socket.send(new TextEncoder().encode("bytes"));
  for (const input of ["", "12", '"text"', '1,"code":"X"']) socket.socket.send(input);
  const answers = await socket.next(25);
  deepEqual(answers.map(({ output }) => output), [
    ...Array.from({ length: 20 }, (_, i) => [i]),
    "bytes",
    undefined,
    12,
    "text",
    '1,"code":"X"',
  ]);
  equal(answers.every(({ status, duration_ms }) => status === "success" && Number.isInteger(duration_ms)), true);
  equal(new Set(answers.map(({ request_id }) => request_id)).size, 25);
});

test("a call that fails is answered with a code, and the next one runs", async () => {
  await using owner = await newOwner(suite.gateway);
  const credential = { token: owner.accessToken };
  await deploy(suite.gateway, credential, "calls", "calls.wat", { timeout_seconds: "1" });
  await deploy(suite.gateway, credential, "spin", "spin.wat", { timeout_seconds: "1" });
  await using socket = await open("calls", owner.apiKey);
  socket.socket.send("proc_exit\t3");
  socket.socket.send("get_env\tX");
  const [failed, done] = await socket.next(2);
  deepEqual([failed!.status, failed!.code, done!.status], ["error", "FUNCTION_FAILED", "success"]);
  match(String(failed!.error), /exit code 3/);
  await using spinning = await open("spin", owner.apiKey);
  spinning.socket.send("x");
  const [late] = await spinning.next(1);
  deepEqual([late!.status, late!.code], ["timeout", "FUNCTION_TIMEOUT"]);
});

test("a frame beyond the limit is refused, not cut, and the socket goes on", async () => {
  await using owner = await newOwner(suite.gateway);
  await deploy(suite.gateway, { token: owner.accessToken }, "echo", "echo.wat");
  await using socket = await open("echo", owner.apiKey);
  socket.socket.send("x".repeat(2 ** 20 + 1));
  socket.socket.send("[1]");
  const [large, small] = await socket.next(2);
  deepEqual([large!.code, small!.output], ["BODY_TOO_LARGE", [1]]);
});

test(
  "nobody opens a socket without a credential, for a function that is not there, or of another namespace",
  async () => {
    await using owner = await newOwner(suite.gateway);
    await using other = await newOwner(suite.gateway);
    await deploy(suite.gateway, { token: owner.accessToken }, "echo", "echo.wat", { is_public: "true" });
    await rejects(TestSocket.open(suite.gateway.url, "/v1/functions/echo/ws"));
    await rejects(open("nowhere", owner.apiKey));
    await rejects(open("echo", other.apiKey));
    await rejects(open("echo", other.apiKey, `&namespace=${owner.namespace}`));
    const plain = await suite.gateway.call("GET", "/v1/functions/echo/ws", { key: owner.apiKey });
    equal(plain.expect(426).get("code"), "UPGRADE_REQUIRED");
  },
  { namespaces: 2 },
);

test("a socket ends when its credential is revoked", async () => {
  await using owner = await newOwner(suite.gateway);
  const credential = { token: owner.accessToken };
  await deploy(suite.gateway, credential, "echo", "echo.wat");
  const body = { name: "socket", scopes: ["functions:invoke"] };
  const made = (await suite.gateway.call("POST", "/v1/auth/keys", { ...credential, body })).expect(201);
  await using socket = await open("echo", made.string("api_key"));
  socket.socket.send("[1]");
  deepEqual((await socket.next(1))[0]!.output, [1]);
  (await suite.gateway.call("DELETE", `/v1/auth/keys/${made.string("id")}`, credential)).expect(200);
  equal(await socket.end(), 4403);
});

test("a flood of frames ends its own socket alone", async () => {
  await using owner = await newOwner(suite.gateway);
  const credential = { token: owner.accessToken };
  await deploy(suite.gateway, credential, "spin", "spin.wat", { timeout_seconds: "2" });
  await deploy(suite.gateway, credential, "echo", "echo.wat");
  await using calm = await open("echo", owner.apiKey);
  await using flood = await open("spin", owner.apiKey);
  for (let i = 0; i < 5_000 && flood.socket.readyState === WebSocket.OPEN; i++) flood.socket.send("x");
  await until("the flood was ended", () => flood.ended !== undefined);
  // Whoever still sends when the connection goes may not hear the code.
  ok([4429, 1006, 0].includes(flood.ended!.code), String(flood.ended!.code));
  calm.socket.send("[1]");
  deepEqual((await calm.next(1))[0]!.output, [1]);
});
