import { deepEqual, equal, match, ok } from "node:assert/strict";
import { reference } from "../../../config/index.ts";
import manifest from "../../../deno.json" with { type: "json" };
import { hashKey, isWellFormedKey } from "../../../services/auth/crypto/api_key.ts";
import { migrate } from "../../../services/control_plane/migrate.ts";
import type { ApiKeyTable } from "../../../services/control_plane/schema.ts";
import { SqliteControlDatabase } from "../../../services/control_plane/sqlite.ts";
import { runCommandLine } from "../../../src/cli/index.ts";
import { SCOPES } from "../../../src/contracts/identity.ts";
import { type Outcome, withTakenOutput } from "./support/taken_output.ts";

const run = (...args: string[]) => withTakenOutput(() => runCommandLine(args));

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const lines = ({ stdout }: Outcome<number>) => stdout.trim().split("\n").map((line) => JSON.parse(line));

Deno.test("version tells which build this is, on standard output", async () => {
  const found = await run("version");
  deepEqual([found.code, found.stderr], [0, ""]);
  deepEqual(JSON.parse(found.stdout), {
    version: manifest.version,
    commit: "",
    build_time: "",
    deno: Deno.version.deno,
  });
  deepEqual(await run("--version"), { code: 0, stdout: `${manifest.version}\n`, stderr: "" });
});

Deno.test("help is an answer and no failure", async () => {
  for (const args of [["--help"], ["keys", "--help"], ["keys", "create", "--help"], ["serve", "-h"]]) {
    const { code, stdout, stderr } = await run(...args);
    deepEqual([code, stderr], [0, ""], args.join(" "));
    match(stdout, /^Usage: orama-gateway/);
  }
});

Deno.test("what is called wrongly is 2, with a sentence on standard error and nothing on standard output", async () => {
  const wrong = [
    [],
    ["nothing"],
    ["serve", "--nothing"],
    ["serve", "extra"],
    ["serve", "--config"],
    ["config"],
    ["config", "nothing"],
    ["config", "check", "--set", "log.level"],
    ["config", "check", "--set", "=debug"],
    ["config", "check", "--set", "log.level=loud"],
    ["config", "check", "--set", "log.levle=debug"],
    ["config", "check", "--listen", "nowhere"],
    ["config", "check", "--config", "/nowhere/at/all.yaml"],
    ["keys"],
    ["keys", "create"],
    ["keys", "list"],
    ["keys", "create", "--operator", "--namespace", "shop"],
    ["keys", "revoke", "--operator"],
    ["keys", "create", "--namespace", "shop", "--scopes", "sql:reed"],
    ["keys", "create", "--namespace", "shop", "--scopes", ""],
    ["keys", "create", "--namespace", "shop", "--expires", "tomorrow"],
    ["keys", "create", "--namespace", "shop", "--expires", "2001-01-01T00:00:00Z"],
    [
      "keys",
      "list",
      "--operator",
      "--set",
      "database.driver=rqlite",
      "--set",
      "database.rqlite.control=http://127.0.0.1:1",
    ],
  ];
  await inFolder(async (folder) => {
    for (const args of wrong) {
      const ofKeys = args[0] === "keys" && args.length > 1;
      const { code, stdout, stderr } = await run(...args, ...(ofKeys ? ["--data", `${folder}/data`] : []));
      deepEqual([code, stdout], [2, ""], `${args.join(" ")}: ${stderr}`);
      ok(stderr.length > 10, args.join(" "));
      equal(stderr.includes("    at "), false, `${args.join(" ")} shows a stack`);
    }
    deepEqual([...Deno.readDirSync(folder)], [], "and nothing was made");
  });
});

Deno.test("config check says that all is right, and 2 with file, line and key where it is not", async () => {
  await inFolder(async (folder) => {
    const file = `${folder}/orama.yaml`;
    await Deno.writeTextFile(file, "log:\n  level: debug\n");
    deepEqual(await run("config", "check", "--config", file), {
      code: 0,
      stdout: "the configuration is right\n",
      stderr: "",
    });
    await Deno.writeTextFile(file, "log:\n  level: debug\n  levle: loud\n");
    const { code, stdout, stderr } = await run("config", "check", "--config", file);
    deepEqual([code, stdout], [2, ""]);
    ok(stderr.includes(`${file}:3`) && stderr.includes("log.levle") && stderr.includes('did you mean "level"'), stderr);
  });
});

Deno.test("config print shows what is in force, where it came from, and no secret", async () => {
  await inFolder(async (folder) => {
    const file = `${folder}/orama.yaml`;
    await Deno.writeTextFile(file, 'database:\n  rqlite:\n    password: "hunter2"\nlog:\n  level: debug\n');
    const { code, stdout, stderr } = await run(
      "config",
      "print",
      "--config",
      file,
      "--set",
      "http.cors.origins=https://app.example",
    );
    deepEqual([code, stderr], [0, ""]);
    match(stdout, /level: debug.*orama\.yaml:5/);
    match(stdout, /https:\/\/app\.example/);
    match(stdout, /--set/);
    equal(stdout.includes("hunter2"), false);
  });
});

Deno.test("config reference prints the page and nothing else", async () => {
  deepEqual(await run("config", "reference"), { code: 0, stdout: `${reference().trimEnd()}\n`, stderr: "" });
});

Deno.test("openapi prints one document", async () => {
  const { code, stdout, stderr } = await run("openapi");
  deepEqual([code, stderr], [0, ""]);
  const document = JSON.parse(stdout);
  equal(document.openapi, "3.1.0");
  ok(Object.keys(document.paths).length > 20);
});

Deno.test("keys are made, listed and revoked in a data folder, each answer one line of JSON", () =>
  inFolder(async (folder) => {
    const keys = (...args: string[]) => run("keys", ...args, "--data", `${folder}/data`);
    const made = await keys(
      "create",
      "--namespace",
      "shop",
      "--create-namespace",
      "--name",
      "ci",
      "--scopes",
      "sql:read, cache:read",
    );
    deepEqual([made.code, made.stderr], [0, ""]);
    const [line, ...others] = lines(made);
    equal(others.length, 0);
    ok(isWellFormedKey(line.api_key));
    deepEqual([line.name, line.namespace, line.operator, line.scopes], ["ci", "shop", false, [
      "sql:read",
      "cache:read",
    ]]);
    deepEqual([line.expires_at, line.revoked_at, line.last_used_at], [null, null, null]);

    const second = await keys("create", "-n", "shop", "--expires", "2099-01-31T00:00:00Z");
    deepEqual([lines(second)[0].name, lines(second)[0].expires_at], ["command line", "2099-01-31T00:00:00.000Z"]);

    const listed = await keys("list", "--namespace", "shop");
    deepEqual(lines(listed).map(({ id }) => id), [line.id, lines(second)[0].id]);
    equal(listed.stdout.includes("ak_"), false, "keys are shown once");

    deepEqual(lines(await keys("revoke", line.id, "--namespace", "shop")), [{ id: line.id, revoked: true }]);
    ok(lines(await keys("list", "--namespace", "shop"))[0].revoked_at !== null);

    const control = new SqliteControlDatabase({ path: `${folder}/data/control.sqlite` });
    try {
      const { rows } = await control.run<{ hash: string; created_by: string }>(
        control.db.selectFrom("api_keys").selectAll(),
      );
      deepEqual(rows.map(({ hash }) => hash).sort(), [line.api_key, lines(second)[0].api_key].map(hashKey).sort());
      ok(rows.every(({ created_by }) => created_by === "command-line"));
    } finally {
      await control.close();
    }
  }));

Deno.test("an operator's key is apart from every namespace and takes no scopes", () =>
  inFolder(async (folder) => {
    const keys = (...args: string[]) => run("keys", ...args, "--data", folder);
    const made = lines(await keys("create", "--operator", "--name", "ops"))[0];
    deepEqual([made.namespace, made.operator], [null, true]);
    equal((await keys("create", "--operator", "--scopes", "sql:read")).code, 2);
    deepEqual(lines(await keys("list", "--operator")).map(({ id }) => id), [made.id]);
    equal((await keys("revoke", made.id, "--operator")).code, 0);
  }));

Deno.test("what does not exist is 1, and says so in a sentence", () =>
  inFolder(async (folder) => {
    const keys = (...args: string[]) => run("keys", ...args, "--data", folder);
    for (
      const args of [["create", "-n", "nobody"], ["revoke", "key_none", "-n", "nobody"], [
        "revoke",
        "key_none",
        "--operator",
      ]]
    ) {
      const { code, stdout, stderr } = await keys(...args);
      deepEqual([code, stdout], [1, ""], args.join(" "));
      match(stderr, /^error: no such /);
    }
  }));

Deno.test("a key can be given every scope there is, and lists of many pages are whole", () =>
  inFolder(async (folder) => {
    const keys = (...args: string[]) => run("keys", ...args, "--data", folder);
    const all = lines(await keys("create", "-n", "shop", "--create-namespace", "--scopes", SCOPES.join(",")))[0];
    deepEqual(all.scopes, [...SCOPES]);
    const control = new SqliteControlDatabase({ path: `${folder}/control.sqlite` });
    try {
      const { rows: [row] } = await control.run<ApiKeyTable>(control.db.selectFrom("api_keys").selectAll());
      await control.atomically(
        Array.from(
          { length: 450 },
          (_, i) => control.db.insertInto("api_keys").values({ ...row!, id: `key_${i}`, hash: hashKey(String(i)) }),
        ),
      );
    } finally {
      await control.close();
    }
    const ids = lines(await keys("list", "-n", "shop")).map(({ id }) => id);
    equal(new Set(ids).size, 451);
    equal(ids.length, 451);
  }));

Deno.test("a data folder of a newer gateway is left alone, with a sentence that says so", () =>
  inFolder(async (folder) => {
    const control = new SqliteControlDatabase({ path: `${folder}/control.sqlite` });
    await migrate(control, { now: () => 0 });
    await control.run(control.db.insertInto("schema_migrations").values({ version: 999, applied_at: 0 }));
    await control.close();
    const { code, stderr } = await run("keys", "list", "--operator", "--data", folder);
    equal(code, 1);
    match(stderr, /^error: .*999/);
  }));

Deno.test("a root key that is none is 2 and is not shown", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/root.key`, "not a key, but secret", { mode: 0o600 });
    const { code, stdout, stderr } = await run("keys", "list", "--operator", "--data", folder);
    deepEqual([code, stdout], [2, ""]);
    ok(stderr.includes("root.key"));
    equal(stderr.includes("but secret"), false);
  }));
