import { deepEqual, equal, ok } from "node:assert/strict";
import manifest from "../../../deno.json" with { type: "json" };
import { type Import, importsOf } from "./support/imports.ts";
import { codeFiles, filesOf, textOf } from "./support/tree.ts";

const code = await importsOf(codeFiles());
const tests = await importsOf(filesOf(["tests"], /\.ts$/));
const packageOf = (specifier: string) => /^npm:\/?((?:@[^/]+\/)?[^/@]+)/.exec(specifier)?.[1];
const told = (imports: readonly Import[]) => imports.map(({ from, specifier }) => `${from} imports ${specifier}`);

/** Which part of the house may know which. The first rule that fits a file is its rule. */
const RULES: readonly {
  readonly of: RegExp;
  readonly may: (from: string) => readonly RegExp[];
  readonly packages: RegExp;
}[] = [
  { of: /^src\/contracts\//, may: () => [/^src\/contracts\//], packages: /^$/ },
  {
    of: /^src\/http\//,
    may: () => [/^src\/(contracts|http|kernel)\//],
    packages: /^(hono|zod|ipaddr\.js|fastest-levenshtein|content-disposition|modern-tar)$/,
  },
  { of: /^src\/kernel\//, may: () => [/^src\/kernel\//], packages: /^ipaddr\.js$/ },
  { of: /^src\/hosts\//, may: () => [/^src\/hosts\//], packages: /^$/ },
  // It runs on other platforms, in other programs.
  { of: /^src\/client\//, may: () => [/^src\/client\//], packages: /^kysely$/ },
  {
    of: /^src\/observability\//,
    may: () => [/^src\/(contracts|http|observability)\//],
    packages: /^(prom-client|@logtape\/logtape)$/,
  },
  {
    of: /^routes\/\w+\//,
    may: (from) => [/^src\/(contracts|http)\//, new RegExp(`^${from.split("/", 2).join("/")}/`)],
    packages: /^zod$/,
  },
  { of: /^routes\/index\.ts$/, may: () => [/^src\/http\//, /^routes\/\w+\/\w+\.ts$/], packages: /^$/ },
  { of: /^middleware\//, may: () => [/^src\/(contracts|http)\//], packages: /^zod$/ },
  {
    of: /^services\/\w+\//,
    may: (
      from,
    ) => [
      /^src\/(contracts|hosts)\//,
      /^services\/(clock|control_plane|disk|network|rqlite|sqlite)\//,
      new RegExp(`^${from.split("/", 2).join("/")}/`),
    ],
    packages: /^(?!hono)/,
  },
  { of: /^config\//, may: () => [/^config\//], packages: /^(zod|yaml|fastest-levenshtein|ipaddr\.js)$/ },
  { of: /^main\.ts$/, may: () => [/^src\/cli\/(index|host)\.ts$/, /^src\/hosts\/kinds\.ts$/], packages: /^$/ },
  // The rest of src puts the others together.
  { of: /^src\//, may: () => [/^(src|services|config|middleware|routes|deno\.json)/], packages: /./ },
];

/** Imports that the rules would refuse, each with its reason. */
const EXCEPTIONS: Readonly<Record<string, string>> = {
  "src/http/server.ts imports ../app.ts": "the type of what it serves",
  "routes/database/bulk_csv.ts imports csv-parse": "reads a format of the wire, as zod checks one",
  "routes/system/docs.ts imports swagger-ui-dist/LICENSE": "goes with the files of the page",
  "routes/system/docs.ts imports swagger-ui-dist/NOTICE": "goes with the files of the page",
  "routes/system/docs.ts imports swagger-ui-dist/swagger-ui-bundle.js.LICENSE.txt": "goes with the files of the page",
  "routes/system/docs.ts imports swagger-ui-dist/swagger-ui-bundle.js": "a file of the page, served as it is",
  "routes/system/docs.ts imports swagger-ui-dist/swagger-ui.css": "a file of the page, served as it is",
};

/** Whoever says so puts drivers together; nobody else knows that there are several. */
const KNOW_DRIVERS = /^src\/(container\.ts|drivers\.ts|(cache|pubsub|storage)_drivers\.ts|cli\/)/;
const KNOW_SERVICES =
  /^src\/(container|(auth|control|egress|function|webhook)_services|rule_defaults|drivers|(cache|pubsub|storage)_drivers|gateway|upkeep)\.ts$|^src\/cli\//;
const KNOW_CONFIGURATION =
  /^src\/(container|(auth|control|egress|function|webhook)_services|rule_defaults|drivers|(cache|pubsub|storage)_drivers|gateway)\.ts$|^src\/cli\//;
const KNOW_ROUTES = /^src\/(gateway\.ts|cli\/)/;
/** A driver is a file or a folder named after its engine, or is what that engine's drivers share. */
const DRIVER = /^services\/(\w+\/)*(sqlite|rqlite|memory|olric|local|ipfs|libp2p)(\.ts$|\/)/;

Deno.test("imports point one way", () => {
  const refused = code.filter(({ from, to }) => {
    const rule = RULES.find(({ of }) => of.test(from));
    ok(rule, `no rule for ${from}`);
    if (to.startsWith("node:")) return from.startsWith("src/contracts/");
    const name = packageOf(to);
    return name === undefined ? !rule.may(from).some((allowed) => allowed.test(to)) : !rule.packages.test(name);
  });
  deepEqual(told(refused).filter((line) => !(line in EXCEPTIONS)), []);
});

Deno.test("every exception to the rules is in use", () => {
  const lines = new Set(told(code));
  deepEqual(Object.keys(EXCEPTIONS).filter((line) => !lines.has(line)), []);
});

Deno.test("nothing imports main.ts", () => {
  deepEqual(told(code.filter(({ to }) => to === "main.ts")), []);
});

Deno.test("who knows drivers, services, the configuration and the routes is on a short list", () => {
  const outside = (folder: string) => code.filter(({ from, to }) => to.startsWith(folder) && !from.startsWith(folder));
  deepEqual(told(outside("services/").filter(({ from, to }) => DRIVER.test(to) && !KNOW_DRIVERS.test(from))), []);
  deepEqual(told(outside("services/").filter(({ from }) => !KNOW_SERVICES.test(from))), []);
  deepEqual(told(outside("config/").filter(({ from }) => !KNOW_CONFIGURATION.test(from))), []);
  deepEqual(told(outside("routes/").filter(({ from }) => !KNOW_ROUTES.test(from))), []);
});

Deno.test("the configuration's own doors are its index", () => {
  const inside = code.filter(({ from, to }) =>
    to.startsWith("config/") && !from.startsWith("config/") && to !== "config/index.ts"
  );
  deepEqual(told(inside), []);
});

Deno.test("modules do not go round in circles, but for types", () => {
  const runs = code.filter(({ from, specifier }) => !isTypeOnly(from, specifier));
  const next = Map.groupBy(runs.filter(({ to }) => to.endsWith(".ts") && !to.includes(":")), ({ from }) => from);
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (file: string, path: readonly string[]) => {
    if (path.includes(file)) return void circles.push([...path.slice(path.indexOf(file)), file].join(" → "));
    if (done.has(file)) return;
    for (const { to } of next.get(file) ?? []) visit(to, [...path, file]);
    done.add(file);
  };
  for (const file of next.keys()) visit(file, []);
  deepEqual(circles, []);
});

/** Whether an import is for types alone, so that it is none when the program runs. */
function isTypeOnly(file: string, specifier: string): boolean {
  const quoted = specifier.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const all = [...textOf(file).matchAll(new RegExp(`^(?:import|export) ([^;]*?)from "${quoted}"`, "gm"))];
  return all.length > 0 && all.every(([, what]) => what!.startsWith("type "));
}

const declared = manifest.imports as Readonly<Record<string, string>>;

Deno.test("every package is pinned to one version, and comes from npm under its own name", () => {
  for (const [name, target] of Object.entries(declared)) {
    const [, found, version] = /^npm:((?:@[a-z\d.-]+\/)?[a-z\d.-]+)@(\d+\.\d+\.\d+)$/.exec(target) ?? [];
    equal(found, name, target);
    ok(version);
  }
  deepEqual(Object.keys(declared), Object.keys(declared).toSorted(), "sorted, so that a change is one line");
});

Deno.test("whatever is imported is declared, and imported by its declared name", () => {
  const foreign = [...code, ...tests].filter(({ specifier }) =>
    !/^\.{1,2}\//.test(specifier) && !specifier.startsWith("node:")
  );
  const names = Object.keys(declared);
  const undeclared = foreign.filter(({ specifier }) =>
    !names.some((name) => specifier === name || specifier.startsWith(`${name}/`))
  );
  deepEqual(told(undeclared), []);
  deepEqual(told(foreign.filter(({ to }) => !to.startsWith("npm:"))), [], "everything foreign comes from npm");
});

Deno.test("whatever is declared is imported", () => {
  const used = new Set([...code, ...tests].map(({ to }) => packageOf(to)));
  deepEqual(Object.keys(declared).filter((name) => !used.has(name)), []);
});

Deno.test("the rules see what they are about", () => {
  ok(code.length > 300, String(code.length));
  ok(code.some(({ from, to }) => from === "src/cli/openapi.ts" && to === "routes/index.ts"), "imports when asked for");
  ok(
    code.some(({ from, to }) => from === "src/contracts/audit.ts" && to === "src/contracts/request.ts"),
    "imports of types",
  );
  for (
    const driver of [
      "control_plane/sqlite.ts",
      "database/sqlite/driver.ts",
      "database/rqlite/driver.ts",
      "cache/memory/driver.ts",
    ]
  ) {
    ok(code.some(({ to }) => to === `services/${driver}` && DRIVER.test(to)), driver);
  }
});
