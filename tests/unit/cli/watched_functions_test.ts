import { deepEqual, equal } from "node:assert/strict";
import { WatchedFunctions } from "../../../src/cli/watched_functions.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import type { Deployment, FunctionVersion } from "../../../src/contracts/functions.ts";
import type { Principal } from "../../../src/contracts/identity.ts";
import { until } from "../../engines/support/wait.ts";

const PRINCIPAL = { namespace: "default" } as Principal;

/** A folder that is watched, what was deployed from it, and what was told. */
async function watching(
  run: (watched: {
    readonly folder: string;
    readonly deployed: string[];
    readonly told: string[];
    readonly refused: Set<string>;
  }) => Promise<void>,
  before: Readonly<Record<string, string>> = {},
  served: Readonly<Record<string, string>> = {},
): Promise<void> {
  const folder = await Deno.makeTempDir();
  const deployed: string[] = [], told: string[] = [], refused = new Set<string>();
  const serving = new Map(Object.entries(served));
  try {
    for (const [name, text] of Object.entries(before)) await Deno.writeTextFile(`${folder}/${name}`, text);
    const watched = await WatchedFunctions.start({
      folder,
      principal: PRINCIPAL,
      functions: {
        async deploy(_principal: Principal, { name, wasm }: Deployment) {
          const text = await new Response(ReadableStream.from(wasm)).text();
          if (refused.has(text)) throw new Error(`refused ${text}`);
          deployed.push(`${name}=${text}`);
          serving.set(name, text);
          return { version: deployed.length } as FunctionVersion;
        },
        module(_namespace: string, name: string) {
          const text = serving.get(name);
          if (text === undefined) return Promise.reject(new GatewayError("NOT_FOUND", "function not found"));
          return Promise.resolve({ version: {} as FunctionVersion, bytes: new TextEncoder().encode(text) });
        },
      },
      onDeploy: (name, result) => told.push("version" in result ? `${name} ${result.version}` : `${name} failed`),
    });
    try {
      await run({ folder, deployed, told, refused });
    } finally {
      await watched.close();
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("what lies in the folder is deployed, and nothing else of it", () =>
  watching(({ deployed, told }) => {
    deepEqual(deployed, ["a=1", "b=2"]);
    deepEqual(told, ["a 1", "b 2"]);
    return Promise.resolve();
  }, { "b.wasm": "2", "a.wasm": "1", "a.wat": "no", ".wasm": "no", "readme": "no" }));

Deno.test("a file that changes is deployed again, with its last bytes, and one that comes too", () =>
  watching(async ({ folder, deployed }) => {
    for (const text of ["2", "3", "4"]) await Deno.writeTextFile(`${folder}/a.wasm`, text);
    await until("the last bytes are deployed", () => deployed.at(-1) === "a=4");
    await Deno.writeTextFile(`${folder}/new.wasm`, "n");
    await until("the new one is deployed", () => deployed.at(-1) === "new=n");
  }, { "a.wasm": "1" }));

Deno.test("a compiler that writes beside it and renames is seen", () =>
  watching(async ({ folder, deployed }) => {
    await Deno.writeTextFile(`${folder}/a.tmp`, "2");
    await Deno.rename(`${folder}/a.tmp`, `${folder}/a.wasm`);
    await until("it is deployed", () => deployed.at(-1) === "a=2");
  }, { "a.wasm": "1" }));

Deno.test("the same bytes written again are not deployed again", () =>
  watching(async ({ folder, deployed }) => {
    await Deno.writeTextFile(`${folder}/a.wasm`, "1");
    await Deno.writeTextFile(`${folder}/last.wasm`, "x");
    await until("what was written later is deployed", () => deployed.includes("last=x"));
    equal(deployed.filter((one) => one === "a=1").length, 1);
  }, { "a.wasm": "1" }));

Deno.test("what cannot be deployed is told, and keeps nothing else from being deployed", () =>
  watching(async ({ folder, deployed, told, refused }) => {
    refused.add("bad");
    await Deno.writeTextFile(`${folder}/a.wasm`, "bad");
    await until("it is told", () => told.includes("a failed"));
    await Deno.writeTextFile(`${folder}/a.wasm`, "good");
    await until("the next one is deployed", () => deployed.at(-1) === "a=good");
  }, { "a.wasm": "1" }));

Deno.test("what serves already as it lies there is not deployed again at the next start", () =>
  watching(
    ({ deployed }) => {
      deepEqual(deployed, ["b=new"]);
      return Promise.resolve();
    },
    { "a.wasm": "1", "b.wasm": "new" },
    { a: "1", b: "old" },
  ));
