import { equal, match, ok } from "node:assert/strict";
import { reference } from "../../../config/index.ts";
import { CATALOGUE } from "../../../config/load.ts";
import { load } from "./support.ts";

const PAGE = new URL("../../../docs/configuration.md", import.meta.url);

Deno.test("docs/configuration.md is what the settings say; `main.ts config reference` writes it anew", async () => {
  equal(await Deno.readTextFile(PAGE), reference());
});

Deno.test("the reference has a row for each setting, and each row all its cells", () => {
  const rows = reference().split("\n").filter((line) => line.startsWith("| `") && line.includes("ORAMA_"));
  equal(rows.length, CATALOGUE.byPath.size);
  for (const row of rows) equal(row.replaceAll("\\|", "").split("|").length, 8, row);
  match(reference(), /\| `http\.body\.max_bytes` \| size \| bytes \| `1MiB` \| `ORAMA_HTTP__BODY__MAX_BYTES` \|/);
});

Deno.test("the examples of the reference are right and say the same", () => {
  const [, yaml] = /```yaml\n([^`]+)```/.exec(reference())!;
  const [, variables] = /```sh\n([^`]+)```/.exec(reference())!;
  const env = Object.fromEntries(variables!.trim().split("\n").map((line) => line.split("=") as [string, string]));
  const [fromFile, fromVariables] = [load({ yaml: yaml! }).config, load({ env }).config];
  equal(JSON.stringify(fromFile), JSON.stringify(fromVariables));
  ok(fromFile.auth.root_key_file);
});
