import { deepEqual, equal, match, ok } from "node:assert/strict";
import { planAnyone } from "../../../src/cli/anyone_plan.ts";
import { runCommandLine } from "../../../src/cli/index.ts";
import { CommandError } from "../../../src/cli/output.ts";
import { withTakenOutput } from "../cli/support/taken_output.ts";
import { inFolder, makeKeys, putFiles, snapshot } from "./support/keys.ts";

/** Settings that keep a command within a folder, and its ports where nobody listens. */
const within = (folder: string, more: readonly string[] = []) => [
  `anyone.anonrc=${folder}/anonrc`,
  `anyone.data_dir=${folder}/data`,
  "anyone.or_port=1",
  "anyone.socks_port=2",
  "anyone.control_port=3",
  ...more,
];
const RELAY = ["anyone.mode=relay", "anyone.nickname=tester", "anyone.contact=me@example.org"];
const EXIT = [...RELAY, "anyone.exit=true", "anyone.exit_legal_acknowledged=true"];

const plan = (folder: string, sets: readonly string[], ...flags: readonly string[]) =>
  withTakenOutput(() =>
    runCommandLine(["anyone", "plan", ...within(folder, sets).flatMap((set) => ["--set", set]), ...flags])
  );

Deno.test("a plan shows the difference and what it means, and changes nothing", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/anonrc`, "Sandbox 1\nNickname old\n");
    const before = await snapshot(folder);
    const { code, stdout, stderr } = await plan(folder, RELAY);
    deepEqual([code, stderr], [0, "nothing was changed; --apply does it\n"]);
    for (const line of ["  Sandbox 1", "- Nickname old", "+ Nickname tester", "+ ORPort 1", "+ ExitRelay 0"]) {
      ok(stdout.includes(`\n${line}\n`), `${line} in\n${stdout}`);
    }
    match(stdout, /^keys {4}none$/m);
    match(stdout, /^note: No wallet is named/m);
    deepEqual(await snapshot(folder), before);
  }));

Deno.test("what is applied is there, with what was there beside it, and a second time nothing is to be done", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/anonrc`, "Sandbox 1\n");
    const first = await plan(folder, RELAY, "--apply");
    equal(first.code, 0, first.stderr);
    match(first.stderr, /what was there is in .*anonrc\.\d{8}T\d{6}\.\d{3}Z\.bak\n/);
    match(first.stderr, /systemctl restart anon/);
    match(await Deno.readTextFile(`${folder}/anonrc`), /^Sandbox 1\nNickname tester\n/);
    const second = await plan(folder, RELAY, "--apply");
    deepEqual([second.code, second.stderr], [0, "nothing was to be changed\n"]);
    match(second.stdout, /The file is as it is to be\./);
    equal([...Deno.readDirSync(folder)].length, 2);
  }));

Deno.test("keys come with their relay, and those of another stop everything", () =>
  inFolder(async (folder) => {
    const { fingerprint, files } = makeKeys();
    await putFiles(`${folder}/old/keys`, files);
    await Deno.mkdir(`${folder}/data`);
    const from = ["--keys-from", `${folder}/old`];
    const planned = await plan(folder, RELAY, ...from);
    equal(planned.code, 0, planned.stderr);
    ok(planned.stdout.includes(`The identity ${fingerprint}`));
    const applied = await plan(folder, RELAY, ...from, "--apply");
    equal(applied.code, 0, applied.stderr);
    match(applied.stderr, /two with one identity/);
    match((await plan(folder, RELAY)).stdout, new RegExp(`^keys {4}${fingerprint}$`, "m"));
    await putFiles(`${folder}/other/keys`, makeKeys().files);
    const before = await snapshot(folder);
    const refused = await plan(folder, [...RELAY, "anyone.nickname=new"], "--apply", "--keys-from", `${folder}/other`);
    deepEqual([refused.code, refused.stdout], [1, ""]);
    match(refused.stderr, /^error: .*nothing is overwritten/);
    deepEqual(await snapshot(folder), before, "the file is not written either");
  }));

Deno.test("an exit needs a yes: in the configuration, and to the warning", () =>
  inFolder(async (folder) => {
    const without = await plan(folder, [...RELAY, "anyone.exit=true"]);
    deepEqual([without.code, without.stdout], [2, ""]);
    match(without.stderr, /exit_legal_acknowledged/);

    const planned = await plan(folder, EXIT);
    equal(planned.code, 0, planned.stderr);
    match(planned.stdout, /Ask a lawyer/);

    const asked = (present: boolean, answer: string | null) =>
      withTakenOutput(() =>
        planAnyone({ set: within(folder, EXIT), apply: true }, { present, answer: () => answer }).then(
          () => 0,
          (error) => {
            ok(error instanceof CommandError, String(error));
            return 2;
          },
        )
      );
    for (const answer of ["", "y", "yes", "i accept the risks", null]) {
      equal((await asked(true, answer)).code, 2, `${answer}`);
    }
    equal((await asked(false, "I accept the risks")).code, 2, "nobody is there to have said it");
    deepEqual(await snapshot(folder), {});

    equal((await asked(true, " I accept the risks ")).code, 0);
    match(await Deno.readTextFile(`${folder}/anonrc`), /^ExitRelay 1$/m);
    equal((await asked(false, null)).code, 0, "an exit that is there already is not asked for again");
  }));

Deno.test("a flag says yes as well, where nobody can be asked", () =>
  inFolder(async (folder) => {
    const { code, stderr } = await plan(folder, EXIT, "--apply", "--accept-exit-risks");
    equal(code, 0, stderr);
    match(await Deno.readTextFile(`${folder}/anonrc`), /^ExitPolicy accept \*:443\nExitPolicy reject \*:\*$/m);
  }));

Deno.test("what is called or configured wrongly is 2, names the setting, and changes nothing", () =>
  inFolder(async (folder) => {
    const wrong: readonly (readonly [sets: readonly string[], words: RegExp, ...flags: string[]])[] = [
      [[], /anyone\.mode is needed/],
      [["anyone.mode=relay"], /anyone\.nickname: expected/],
      [["anyone.mode=relay", "anyone.nickname=a"], /anyone\.contact: expected/],
      [["anyone.mode=bridge"], /anyone\.mode/],
      [[...RELAY, "anyone.nickname=a b"], /anyone\.nickname/],
      [[...RELAY, "anyone.contact=a\nExitRelay 1"], /anyone\.contact/],
      [[...RELAY, "anyone.contact=a\u202eb"], /anyone\.contact/],
      [[...RELAY, "anyone.family=ABC"], /anyone\.family/],
      [[...RELAY, "anyone.wallet=0x12"], /anyone\.wallet/],
      [[...RELAY, "anyone.wallet=0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"], /anyone\.wallet/],
      [[...RELAY, "anyone.or_port=6001", "http.listen=127.0.0.1:6001"], /or_port.*the gateway's own/],
      [[...RELAY, "anyone.or_port=4001", "network.listen=/ip4/10.0.0.1/tcp/4001"], /or_port.*network\.listen/],
      [[...RELAY, "anyone.or_port=70000"], /anyone\.or_port/],
      [["anyone.mode=client", "anyone.exit=true"], /anyone\.mode/],
      [["anyone.mode=client"], /a client has no identity/, "--keys-from", folder],
    ];
    for (const [sets, words, ...flags] of wrong) {
      const { code, stdout, stderr } = await plan(folder, sets, "--apply", ...flags);
      deepEqual([code, stdout], [2, ""], `${sets}: ${stderr}`);
      match(stderr, words);
      equal(stderr.includes("    at "), false, "it shows a stack");
    }
    deepEqual(await snapshot(folder), {});
  }));

Deno.test("a file that anon could not read is 1, with its line", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/anonrc`, 'Sandbox 1\nContactInfo "x\n');
    const { code, stdout, stderr } = await plan(folder, RELAY, "--apply");
    deepEqual([code, stdout], [1, ""]);
    match(stderr, /^error: .*anonrc, line 2: /);
  }));

Deno.test("a file cannot make a terminal show what is not there", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/anonrc`, "ORPort 2 # \u001b[2J\u202e\n");
    const { stdout } = await plan(folder, RELAY);
    match(stdout, /^- ORPort 2 # \u{fffd}\[2J\u{fffd}$/mu);
  }));

Deno.test("a status of nothing is 1, as a table and as JSON", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const status = (...flags: string[]) =>
    withTakenOutput(() =>
      runCommandLine([
        "anyone",
        "status",
        "--set",
        `anyone.socks_port=${port}`,
        "--set",
        "anyone.control_port=0",
        ...flags,
      ])
    );
  const table = await status();
  equal(table.code, 1);
  match(table.stdout, /^mode +client\nsocks +FAILS +127\.0\.0\.1:\d+ nobody listens\n$/);
  equal(table.stderr, "error: not well: socks\n");
  const json = await status("--json");
  equal(json.code, 1);
  const { checks, ...rest } = JSON.parse(json.stdout);
  deepEqual(checks, [{ name: "socks", ok: false, detail: `127.0.0.1:${port} nobody listens` }]);
  deepEqual(rest, {
    healthy: false,
    mode: "client",
    warnings: [],
    version: null,
    bootstrap_percent: null,
    fingerprint: null,
    flags: [],
    traffic: null,
  });
});
