import { deepEqual, equal, match } from "node:assert/strict";
import { greet, knock } from "../../../services/anyone/listener.ts";
import { statusOf } from "../../../services/anyone/status.ts";
import { anonOf, type MadeAnon, MadePort, said } from "./support/control_port.ts";
import { inFolder } from "./support/keys.ts";
import { FINGERPRINTS } from "./support/settings.ts";

const random = (length: number) => crypto.getRandomValues(new Uint8Array(length));
const [FINGERPRINT] = FINGERPRINTS;
const DONE = 'NOTICE BOOTSTRAP PROGRESS=100 TAG=done SUMMARY="Done"';

/** Something that answers bytes with bytes, without waiting for a line. */
function bytesPort(answer: (bytes: Uint8Array) => Uint8Array | null) {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = (async () => {
    for await (const connection of listener) {
      const bytes = new Uint8Array(64);
      const count = await connection.read(bytes).catch(() => null);
      const reply = count === null ? null : answer(bytes.subarray(0, count));
      if (reply !== null) await connection.write(reply).catch(() => {});
      // The other end goes first where there is something to wait for.
      if (reply !== null) await connection.read(bytes).catch(() => null);
      connection.close();
    }
  })();
  return {
    port: listener.addr.port,
    async [Symbol.asyncDispose]() {
      listener.close();
      await serving;
    },
  };
}

const socks = () => bytesPort(() => Uint8Array.of(5, 0));

/** What an `anon` says, by what it is asked. */
const infoOf = (values: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(values).map(([key, value]) => [key, said(`250-${key}=${value}`, "250 OK")]));

const RELAY = infoOf({
  fingerprint: FINGERPRINT,
  version: "0.4.9.11",
  "status/bootstrap-phase": DONE,
  "status/accepted-server-descriptor": "1",
  "traffic/read": "18446744073709551615",
  "traffic/written": "7",
});

/** The status of an `anon` that is made up, with a proxy and a port for others. */
async function statusWith(mode: "client" | "relay", info: MadeAnon["info"]) {
  let status: Awaited<ReturnType<typeof statusOf>> | undefined;
  await inFolder(async (folder) => {
    const cookie = random(32), cookieFile = `${folder}/cookie`;
    await Deno.writeFile(cookieFile, cookie);
    await using control = new MadePort(anonOf({ cookieFile, cookie, info }));
    await using proxy = socks();
    await using others = socks();
    status = await statusOf({
      settings: { mode, orPort: others.port, socksPort: proxy.port, controlPort: control.port },
      random,
    });
  });
  return status!;
}

const checksOf = ({ checks }: Awaited<ReturnType<typeof statusOf>>) =>
  Object.fromEntries(checks.map(({ name, ok }) => [name, ok]));

Deno.test("a proxy that answers the handshake is one, and everything else says what it is", async () => {
  await using good = socks();
  equal("latency" in await greet(good), true);
  const bad = [
    [() => Uint8Array.of(5, 2), /asks for a password/],
    [() => Uint8Array.of(5, 0xff), /asks for a password/],
    [() => Uint8Array.of(4, 0), /is no SOCKS5 proxy/],
    [() => new TextEncoder().encode("HTTP/1.1 400"), /is no SOCKS5 proxy/],
    [() => null, /closes|breaks/],
  ] as const;
  for (const [answer, words] of bad) {
    await using port = bytesPort(answer);
    const found = await greet(port);
    match("problem" in found ? found.problem : "", words);
  }
});

Deno.test("a proxy that says half of an answer is left when the time is over", async () => {
  await using port = bytesPort(() => Uint8Array.of(5));
  deepEqual(await greet({ port: port.port, patience: 200 }), { problem: "does not answer within 200 ms" });
});

Deno.test("where nobody listens, that is found out", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  equal("latency" in await knock({ port }), true);
  listener.close();
  deepEqual(await knock({ port }), { problem: "nobody listens" });
});

Deno.test("a relay is well when all that it needs is", async () => {
  const entry = said(
    `250+ns/id/${FINGERPRINT}=`,
    "r tester x",
    "s Fast Guard Running Valid",
    "w Bandwidth=1",
    ".",
    "250 OK",
  );
  const status = await statusWith("relay", { ...RELAY, [`ns/id/${FINGERPRINT}`]: entry });
  deepEqual(checksOf(status), { socks: true, or_port: true, control: true, bootstrap: true, published: true });
  deepEqual(
    [
      status.healthy,
      status.version,
      status.bootstrap,
      status.fingerprint,
      status.flags,
      status.traffic,
      status.warnings,
    ],
    [true, "0.4.9.11", 100, FINGERPRINT, ["Fast", "Guard", "Running", "Valid"], {
      read: 18_446_744_073_709_551_615n,
      written: 7n,
    }, []],
  );
});

Deno.test("a relay is on its way while a directory has it, and not well when none has", async () => {
  const before = await statusWith("relay", { ...RELAY, ...infoOf({ [`ns/id/${FINGERPRINT}`]: "" }) });
  deepEqual([before.healthy, before.flags], [true, []]);
  match(before.checks.find(({ name }) => name === "published")!.detail, /within hours/);
  const never = await statusWith("relay", { ...RELAY, ...infoOf({ "status/accepted-server-descriptor": "0" }) });
  deepEqual([never.healthy, checksOf(never)["published"]], [false, false]);
  const none = await statusWith("relay", {
    ...RELAY,
    fingerprint: said("551 Not running in server mode"),
    "status/accepted-server-descriptor": said("250-status/accepted-server-descriptor=0", "250 OK"),
  });
  match(none.checks.find(({ name }) => name === "published")!.detail, /runs as no relay/);
});

Deno.test("a port for others that is at another address of the machine is believed to be there", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  await inFolder(async (folder) => {
    const cookie = random(32), cookieFile = `${folder}/cookie`;
    await Deno.writeFile(cookieFile, cookie);
    const orCheck = async (listeners: string) => {
      const info = { ...RELAY, ...infoOf({ "net/listeners/or": listeners }) };
      await using control = new MadePort(anonOf({ cookieFile, cookie, info }));
      const settings = { mode: "relay" as const, orPort: port, socksPort: 0, controlPort: control.port };
      return (await statusOf({ settings, random })).checks.find(({ name }) => name === "or_port")!;
    };
    deepEqual(await orCheck(`"192.0.2.1:9" "192.0.2.1:${port}"`), {
      name: "or_port",
      ok: true,
      detail: `anon listens at 192.0.2.1:${port}`,
    });
    for (const listeners of ["", `"192.0.2.1:1${port}"`, `"unix:/${port}"`]) {
      equal((await orCheck(listeners)).ok, false, listeners);
    }
  });
});

Deno.test("a client is well without what only relays have", async () => {
  const status = await statusWith("client", infoOf({ "status/bootstrap-phase": DONE }));
  deepEqual(checksOf(status), { socks: true, control: true, bootstrap: true });
  deepEqual([status.healthy, status.fingerprint, status.version, status.traffic], [
    true,
    undefined,
    undefined,
    undefined,
  ]);
});

Deno.test("who has not come to the network yet is not well, and says how far it is", async () => {
  const phase = 'WARN BOOTSTRAP PROGRESS=5 TAG=conn SUMMARY="Connecting" WARNING="No route" REASON=NOROUTE';
  const status = await statusWith("client", infoOf({ "status/bootstrap-phase": phase }));
  deepEqual([status.healthy, status.bootstrap], [false, 5]);
  equal(status.checks.find(({ name }) => name === "bootstrap")!.detail, "5 %, Connecting, No route");
});

Deno.test("nonsense in place of values is left out", async () => {
  const nonsense = Object.fromEntries(Object.keys(RELAY).map((key) => [key, "-1 <script>"]));
  const status = await statusWith("relay", infoOf(nonsense));
  deepEqual([status.healthy, status.fingerprint, status.bootstrap, status.traffic], [
    false,
    undefined,
    undefined,
    undefined,
  ]);
});

Deno.test("where there is nothing, every check says so", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const status = await statusOf({
    settings: { mode: "relay", orPort: port, socksPort: port, controlPort: port },
    random,
  });
  deepEqual(checksOf(status), { socks: false, or_port: false, control: false });
  equal(status.healthy, false);
});
