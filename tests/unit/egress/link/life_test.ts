import { equal, match, ok, rejects } from "node:assert/strict";
import { EgressProcess } from "../../../../services/egress/link/process.ts";
import { type RunningOptions, RunningProcess } from "../../../../services/egress/link/running.ts";
import { MAX_HOPS } from "../../../../services/egress/process/host.ts";
import { until } from "../../../engines/support/wait.ts";
import { answering, HostileHttp } from "../../../support/hostile_http.ts";
import { CAN_SEE_PROCESSES, hostsOf, isThere } from "../../../support/host_processes.ts";
import { DENY, hopTo, IPV4, Sender } from "../process/support/sender.ts";

const ANSWER = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
const OPTIONS: RunningOptions = {
  kind: "direct",
  net: { allow: IPV4, deny: DENY },
  ipv6: false,
  ca: [],
  onLine: () => {},
};

Deno.test("a process is started by the first hop, once for all of them", async () => {
  await using server = new HostileHttp(answering(ANSWER));
  const marked = "198.51.100.77/32";
  await using sender = new Sender({ patience: 20_000, net: { allow: IPV4, deny: [...DENY, marked] } });
  equal(sender.process.pid, undefined);
  equal(sender.process.confined, true);
  const texts = await Promise.all(Array.from({ length: 50 }, () => sender.text(hopTo(server.port))));
  ok(texts.every(({ text }) => text === "hi"));
  ok(sender.process.pid !== undefined);
  equal(server.connections, 50);
  if (CAN_SEE_PROCESSES) equal(hostsOf(Deno.pid, "egress", marked).length, 1);
});

Deno.test("where no process comes about, a hop waits so long and no longer, and its body is not made", async () => {
  const lines: string[] = [];
  // A list that the program refuses: it ends before it listens, again and again.
  await using sender = new Sender({
    net: { allow: ["no such thing!"], deny: [] },
    patience: 300,
    onLine: (line) => lines.push(line),
  });
  let cancelled = false;
  const body = new ReadableStream<Uint8Array>({ cancel: () => void (cancelled = true) });
  await rejects(sender.send(hopTo(80, { method: "POST", body })), { code: "EGRESS_UNAVAILABLE" });
  equal(cancelled, true);
  await until("it was tried again", () => lines.filter((line) => /did not start/.test(line)).length >= 2);
  const before = performance.now();
  await rejects(sender.process.send(hopTo(80), AbortSignal.abort("left")), (reason) => reason === "left");
  ok(performance.now() - before < 300, "whoever does not wait is not kept waiting");
});

Deno.test("a process that ends is replaced without anybody asking", async () => {
  await using server = new HostileHttp(answering(ANSWER));
  await using sender = await Sender.start();
  for (let round = 0; round < 2; round++) {
    const pid = sender.process.pid!;
    Deno.kill(pid, "SIGKILL");
    await until("there is another one", () => sender.process.pid !== undefined && sender.process.pid !== pid);
  }
  await sender.process.start();
  equal((await sender.text(hopTo(server.port))).text, "hi");
  match(sender.lines.join("\n"), /has ended by itself/);
});

Deno.test("nothing is left of a process that is closed, however it ended", async () => {
  const running = await RunningProcess.start({ ...OPTIONS, ca: [] });
  await running.ready;
  const connection = await running.connect();
  const path = (connection.remoteAddr as Deno.UnixAddr).path;
  const folder = path.slice(0, path.lastIndexOf("/"));
  equal((await Deno.stat(folder)).mode! & 0o777, 0o700);
  running.kill();
  await running.ended;
  connection.close();
  await rejects(Deno.stat(folder), Deno.errors.NotFound);
  if (CAN_SEE_PROCESSES) ok(!isThere(running.pid));
  await rejects(running.connect());
});

Deno.test("a process goes when nothing more can come from the gateway", async () => {
  const sender = await Sender.start();
  const pid = sender.process.pid!;
  await sender.process.close();
  await sender.process.close();
  if (CAN_SEE_PROCESSES) ok(!isThere(pid));
  const never = new EgressProcess(OPTIONS);
  await never.close();
  await rejects(never.start(), { code: "EGRESS_UNAVAILABLE" });
});

Deno.test({
  name: "a process does not outlive a gateway that is killed",
  ignore: !CAN_SEE_PROCESSES,
  async fn() {
    // Nobody is left to remove the process's folder.
    const folder = await Deno.makeTempDir();
    const script = new URL("support/parent.ts", import.meta.url).pathname;
    const gateway = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", "--no-check", script],
      env: { TMPDIR: folder },
      stdout: "piped",
      stderr: "null",
    }).spawn();
    try {
      const reader = gateway.stdout.getReader();
      const pid = Number(new TextDecoder().decode((await reader.read()).value));
      ok(isThere(pid), String(pid));
      gateway.kill("SIGKILL");
      await reader.cancel();
      await until("it has gone too", () => !isThere(pid));
    } finally {
      await gateway.status;
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test({
  name: "what a killed gateway left is removed by the next one",
  ignore: !CAN_SEE_PROCESSES,
  async fn() {
    const temp = await Deno.makeTempDir(), left = `${temp}/orama_egress_left`;
    await Deno.mkdir(left);
    Deno.listen({ transport: "unix", path: `${left}/socket` }).close();
    await Deno.utime(left, 0, 0);
    const script = new URL("support/parent.ts", import.meta.url).pathname;
    const gateway = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", "--no-check", script],
      env: { TMPDIR: temp },
      stdout: "piped",
      stderr: "null",
    }).spawn();
    try {
      await until("it is gone", () => ![...Deno.readDirSync(temp)].some(({ name }) => name === "orama_egress_left"));
    } finally {
      const reader = gateway.stdout.getReader();
      const pid = Number(new TextDecoder().decode((await reader.read()).value));
      gateway.kill("SIGKILL");
      await reader.cancel();
      await gateway.status;
      await until("its process has gone too", () => !isThere(pid));
      await Deno.remove(temp, { recursive: true });
    }
  },
});

Deno.test("a process serves so many connections and refuses the next, not those that there are", async () => {
  const running = await RunningProcess.start(OPTIONS);
  const open: Deno.UnixConn[] = [];
  try {
    await running.ready;
    while (open.length < MAX_HOPS) open.push(await running.connect());
    const refused = await running.connect();
    open.push(refused);
    const buffer = new Uint8Array(1_000);
    const count = await refused.read(buffer);
    match(new TextDecoder().decode(buffer.subarray(5, count!)), /EGRESS_UNAVAILABLE.*As many/);
    open.pop()!.close();
    open.pop()!.close();
    const again = async () => {
      const connection = await running.connect();
      open.push(connection);
      const answer = connection.read(new Uint8Array(1)).then(() => "refused", () => "closed");
      const taken = new Promise<string>((resolve) => setTimeout(() => resolve("taken"), 200));
      return await Promise.race([answer, taken]) === "taken";
    };
    await until("there is room again", again);
  } finally {
    for (const connection of open) connection.close();
    running.kill();
    await running.ended;
  }
});
