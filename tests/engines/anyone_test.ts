import { deepEqual, equal, match, ok } from "node:assert/strict";
import { ControlClient } from "../../services/anyone/control_client.ts";
import { identityIn } from "../../services/anyone/identity.ts";
import { installationOf, versionOf } from "../../services/anyone/installation.ts";
import { bringKeys, planKeys } from "../../services/anyone/keys.ts";
import { greet } from "../../services/anyone/listener.ts";
import { planAnonrc } from "../../services/anyone/plan.ts";
import type { AnyoneSettings } from "../../services/anyone/settings.ts";
import { statusOf } from "../../services/anyone/status.ts";
import { LONGEST_TEST, withinDeadline } from "../support/deadline.ts";
import { PortReservation } from "./support/ports.ts";
import { TiedProcess } from "./support/tied_process.ts";
import { Hopeless, until } from "./support/wait.ts";

// `anon` is a fork of tor with the same files, options and control protocol, so tor stands in for it. It reaches nobody: it has
// either no network, or directories that are nowhere but on this machine.

const FOLDERS = [Deno.env.get("TEST_ENGINES_DIR") ?? "", ...(Deno.env.get("PATH") ?? "").split(":"), "/usr/sbin"];
const TOR = FOLDERS.filter((folder) => folder !== "").map((folder) => `${folder}/tor`).find(isFile);

/** No directory of the real network, and none that answers. */
const ALONE = [
  "DirAuthority nobody orport=1 v3ident=0000000000000000000000000000000000000001 127.0.0.1:1 " +
  "0000000000000000000000000000000000000002",
  "UseDefaultFallbackDirs 0",
];
const WALLET = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
const random = (length: number) => crypto.getRandomValues(new Uint8Array(length));

/** Counts as ignored where tor is missing, and its name says so; with `TEST_ENGINES_REQUIRED=1` it fails instead. */
function torTest(name: string, run: (place: Place, tor: string) => Promise<void>): void {
  Deno.test({
    name: TOR === undefined ? `${name} [missing: tor]` : name,
    ignore: TOR === undefined && Deno.env.get("TEST_ENGINES_REQUIRED") !== "1",
    async fn() {
      if (TOR === undefined) throw new Error("tor is missing: put it on PATH, or name its folder in TEST_ENGINES_DIR.");
      await using place = await Place.make();
      await withinDeadline(run(place, TOR), "the test was over", LONGEST_TEST);
    },
  });
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** A folder and ports, and the tor that runs there. */
class Place implements AsyncDisposable {
  readonly #reserved = PortReservation.take(3);
  readonly #running: TiedProcess[] = [];

  private constructor(readonly folder: string) {}

  static async make(): Promise<Place> {
    return new Place(await Deno.makeTempDir({ prefix: "orama-tor-" }));
  }

  get ports() {
    const [orPort = 0, socksPort = 0, controlPort = 0] = this.#reserved.ports;
    return { orPort, socksPort, controlPort };
  }

  settings(changes: Partial<AnyoneSettings> = {}): AnyoneSettings {
    return {
      mode: "relay",
      anonrc: `${this.folder}/anonrc`,
      dataDir: `${this.folder}/data`,
      nickname: "tester",
      contact: 'nobody # "here" \\ <nobody AT example DOT org>',
      wallet: WALLET,
      family: ["$" + "A".repeat(40), "b".repeat(40)],
      exit: false,
      exitPorts: [80, 443],
      agreeToTerms: true,
      ...this.ports,
      ...changes,
    };
  }

  /** Writes what a plan says, without what only `anon` knows. */
  async write(text: string, more: readonly string[] = []): Promise<string> {
    const path = `${this.folder}/torrc`;
    const logs = `Log notice file ${this.folder}/notices.log`;
    const lines = text.trimEnd().split("\n").filter((line) => line !== "AgreeToTerms 1");
    await Deno.writeTextFile(
      path,
      [...lines.map((line) => line.startsWith("Log ") ? logs : line), ...more, ""].join("\n"),
    );
    return path;
  }

  async start(tor: string, torrc: string): Promise<TiedProcess> {
    const log = `${this.folder}/output.log`;
    await Deno.writeTextFile(log, "", { append: true });
    const process = await TiedProcess.start([tor, "--defaults-torrc", "/dev/null", "-f", torrc], log);
    this.#running.push(process);
    return process;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const process of this.#running) await process.kill();
    this.#reserved[Symbol.dispose]();
    await Deno.remove(this.folder, { recursive: true });
  }
}

/** Waits until the control port lets somebody in. */
const ready = (process: TiedProcess, port: number, password?: string) =>
  until("tor answers", async () => {
    if (process.ended) throw new Hopeless(process.tail());
    const { client } = await ControlClient.open({ port, patience: 2_000, random, password });
    client[Symbol.dispose]();
    return true;
  });

/** What tor says of a file: success, and its words. */
async function verify(tor: string, torrc: string): Promise<{ success: boolean; words: string }> {
  const args = ["--verify-config", "--defaults-torrc", "/dev/null", "-f", torrc];
  const { success, stdout } = await new Deno.Command(tor, { args, stdin: "null", stderr: "null" }).output();
  return { success, words: new TextDecoder().decode(stdout) };
}

/** What tor makes of a file: its options that are not as they are by default. */
async function understood(tor: string, torrc: string): Promise<string[]> {
  const args = ["--dump-config", "short", "--defaults-torrc", "/dev/null", "-f", torrc];
  const { success, stdout } = await new Deno.Command(tor, { args, stdin: "null", stderr: "null" }).output();
  ok(success);
  return new TextDecoder().decode(stdout).trim().split("\n");
}

torTest("tor takes every file that is planned, and means by it what was meant", async (place, tor) => {
  const plans: readonly (readonly [changes: Partial<AnyoneSettings>, before: string])[] = [
    [{}, ""],
    [{ mode: "client" }, ""],
    [{ exit: true, exitPorts: [443, 8443] }, "Sandbox 0\n"],
    [{ socksPort: 0, controlPort: 0 }, "BandwidthRate 10 MBytes\n"],
    [{}, "ExitRel 1\nReducedExitPolicy 1\n+ExitPolicy accept *:25\nexitrelay 1\n"],
    [{ mode: "client" }, "ORPort 9001\nDirPort 9030\nExitRelay 1\nNickname x\n"],
  ];
  for (const [changes, before] of plans) {
    const { text } = planAnonrc(place.settings(changes), before);
    const { success, words } = await verify(tor, await place.write(text));
    ok(success, `${text}\n${words}`);
  }
  const hostile = planAnonrc(place.settings(), plans[4]![1]);
  const options = await understood(tor, await place.write(hostile.text));
  ok(options.includes("ExitRelay 0"), options.join("\n"));
  ok(options.includes(`ORPort ${place.ports.orPort}`));
  const contact = options.find((line) => line.startsWith("ContactInfo "));
  equal(contact, `ContactInfo "nobody # \\"here\\" \\\\ <nobody AT example DOT org> @anon:${WALLET}"`);
});

torTest("tor refuses what only anon knows: the check above would notice a file that is none", async (place, tor) => {
  const path = `${place.folder}/torrc`;
  await Deno.writeTextFile(path, planAnonrc(place.settings(), "").text);
  const { success, words } = await verify(tor, path);
  equal(success, false);
  match(words, /Unknown option 'AgreeToTerms'/);
});

torTest("a relay without a network lets us in by its cookie and tells what it is", async (place, tor) => {
  const settings = place.settings();
  const process = await place.start(tor, await place.write(planAnonrc(settings, "").text, ["DisableNetwork 1"]));
  await ready(process, settings.controlPort);
  const status = await statusOf({ settings, random });
  const identity = await identityIn(`${place.folder}/data/keys`);
  const [, told] = (await Deno.readTextFile(`${place.folder}/data/fingerprint`)).trim().split(" ");
  const [, told25519] = (await Deno.readTextFile(`${place.folder}/data/fingerprint-ed25519`)).trim().split(" ");
  deepEqual(identity, { fingerprint: told, ed25519: told25519 });
  deepEqual([status.fingerprint, status.version, status.bootstrap], [told, await versionOf(tor), 0]);
  deepEqual(status.traffic, { read: 0n, written: 0n });
  deepEqual(Object.fromEntries(status.checks.map(({ name, ok }) => [name, ok])), {
    // Without a network tor opens no port but that of its control.
    socks: false,
    or_port: false,
    control: true,
    bootstrap: false,
    published: false,
  });
  deepEqual([status.healthy, status.warnings], [false, []]);
  match(status.checks.find(({ name }) => name === "published")!.detail, /no directory has/);

  const { program, listening, identity: found } = await installationOf(settings, `${place.folder}/data`, place.folder);
  deepEqual([found, listening], [identity, { or_port: false, socks_port: false, control_port: true }]);
  ok(program === undefined || program === "/usr/bin/anon");
});

torTest("a client answers the handshake of SOCKS, and is not well before it reaches anybody", async (place, tor) => {
  const settings = place.settings({ mode: "client" });
  const process = await place.start(tor, await place.write(planAnonrc(settings, "").text, ALONE));
  await ready(process, settings.controlPort);
  ok("latency" in await greet({ port: settings.socksPort }));
  const status = await statusOf({ settings, random });
  deepEqual(Object.fromEntries(status.checks.map(({ name, ok }) => [name, ok])), {
    socks: true,
    control: true,
    bootstrap: false,
  });
  equal(status.fingerprint, undefined);
  const wrong = await greet({ port: settings.controlPort, patience: 1_000 });
  ok("problem" in wrong, "the control port is no proxy");
});

torTest("a control port with a password, and one without anything, are told apart", async (place, tor) => {
  const password = 'a "b" \\ c';
  const { stdout } = await new Deno.Command(tor, { args: ["--quiet", "--hash-password", password] }).output();
  const hash = new TextDecoder().decode(stdout).trim().split("\n").at(-1);
  const settings = place.settings({ mode: "client", socksPort: 0 });
  const lines = (more: readonly string[]) =>
    [
      `ControlPort ${settings.controlPort}`,
      "SocksPort 0",
      `DataDirectory ${place.folder}/data`,
      "DisableNetwork 1",
      ...more,
    ].join("\n");
  const locked = await place.start(tor, await place.write(lines([`HashedControlPassword ${hash}`])));
  await ready(locked, settings.controlPort, password);
  const detail = async (given?: string) => {
    const { checks } = await statusOf({ settings, random, password: given });
    return checks.find(({ name }) => name === "control")!.detail;
  };
  match(await detail(password), /by password$/);
  match(await detail("wrong"), /refuses the password$/);
  match(await detail(), /set anyone\.control_password$/);
  await locked.kill();
  const open = await place.start(tor, await place.write(lines([])));
  await ready(open, settings.controlPort);
  const { warnings } = await statusOf({ settings, random });
  equal(warnings.length, 1);
});

torTest("keys that are brought are those of the same relay to tor, which goes on with them", async (place, tor) => {
  const settings = place.settings();
  const text = (data: string) => planAnonrc({ ...settings, dataDir: data }, "").text;
  const old = `${place.folder}/old`, young = `${place.folder}/new`;
  const first = await place.start(tor, await place.write(text(old), ["DisableNetwork 1"]));
  await ready(first, settings.controlPort);
  await first.kill();
  await Deno.mkdir(young, { mode: 0o700 });
  const plan = await planKeys(old, young);
  await bringKeys(plan);
  const second = await place.start(tor, await place.write(text(young), ["DisableNetwork 1"]));
  await ready(second, settings.controlPort);
  const status = await statusOf({ settings, random });
  equal(status.fingerprint, plan.identity.fingerprint);
  for (const name of ["fingerprint", "fingerprint-ed25519"]) {
    equal(await Deno.readTextFile(`${young}/${name}`), await Deno.readTextFile(`${old}/${name}`), name);
  }
});
