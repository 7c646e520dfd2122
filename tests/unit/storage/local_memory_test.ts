import { ok } from "node:assert/strict";

/** By how many MB the process may be larger for ten times as much, and than it was idle. */
const FLAT = 50, OVER_IDLE = 120;

async function run(...args: readonly string[]): Promise<{ success: boolean; text: string; errors: string }> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "--v8-flags=--max-semi-space-size=4", ...args],
  }).output();
  return { success, text: new TextDecoder().decode(stdout), errors: new TextDecoder().decode(stderr) };
}

type Peaks = Readonly<Record<"idle" | "add" | "longer_add" | "adds" | "read" | "longer_read", number>>;

Deno.test("memory is the same for 100 MB and for 1 GB, one at a time or twenty, added and read", async () => {
  const { success, text, errors } = await run(new URL("support/memory_probe.ts", import.meta.url).pathname);
  ok(success, errors);
  const { idle, add, longer_add, adds, read, longer_read }: Peaks = JSON.parse(text);
  ok(longer_add - add <= FLAT, text);
  ok(longer_read - read <= FLAT, text);
  ok(Math.max(adds, longer_add, longer_read) - idle <= OVER_IDLE, text);
});

Deno.test("a gateway whose storage nobody uses loads no package for it", async () => {
  const driver = new URL("../../../services/storage/local/driver.ts", import.meta.url).href;
  const script = (use: string) =>
    `data:text/javascript,${
      encodeURIComponent(
        `import { LocalDriver } from ${JSON.stringify(driver)};
         const driver = new LocalDriver({ folder: "/nowhere", roots: async function* () {}, collectInterval: 1e6 });
         ${use}
         await driver.close();`,
      )
    }`;
  const idle = await run("--no-npm", script("await driver.health();"));
  ok(idle.success, idle.errors);
  const used = await run("--no-npm", script("await driver.held();"));
  ok(!used.success, "without them it cannot be used");
});
