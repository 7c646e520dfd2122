import { equal } from "node:assert/strict";
import { TiedProcess } from "./tied_process.ts";
import { until } from "./wait.ts";

Deno.test("a tied process says its own id, can be stopped and continued, and is gone after kill()", async () => {
  const log = await Deno.makeTempFile();
  const child = await TiedProcess.start(["sh", "-c", "echo hello; exec sleep 60"], log);
  await until("it has written", () => child.tail() === "hello");
  equal(await isAlive(child.pid), true);
  child.signal("SIGSTOP");
  await child.kill();
  equal(await isAlive(child.pid), false);
  equal(child.ended, true);
  await Deno.remove(log);
});

Deno.test("a tied process that ends by itself is noticed", async () => {
  const log = await Deno.makeTempFile();
  const child = await TiedProcess.start(["sh", "-c", "echo bye; exit 3"], log);
  equal((await child.exit).code, 3);
  equal(child.tail(), "bye");
  await child.kill();
  await Deno.remove(log);
});

Deno.test("a tied process ends when the process that started it is killed without notice", async () => {
  const folder = await Deno.makeTempDir();
  const module = new URL("tied_process.ts", import.meta.url).href;
  await Deno.writeTextFile(
    `${folder}/parent.ts`,
    `import { TiedProcess } from ${JSON.stringify(module)};
     const child = await TiedProcess.start(["sleep", "60"], ${JSON.stringify(`${folder}/log`)});
     await Deno.stdout.write(new TextEncoder().encode(child.pid + "\\n"));
     await new Promise((resolve) => setTimeout(resolve, 60_000));`,
  );
  const command = new Deno.Command(Deno.execPath(), { args: ["run", "-A", `${folder}/parent.ts`], stdout: "piped" });
  const parent = command.spawn();
  const reader = parent.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const pid = Number((await reader.read()).value);
  equal(await isAlive(pid), true);
  parent.kill("SIGKILL");
  await parent.status;
  await until("the child is gone", async () => !await isAlive(pid), 5_000);
  await reader.cancel();
  await Deno.remove(folder, { recursive: true });
});

async function isAlive(pid: number): Promise<boolean> {
  const { success } = await new Deno.Command("sh", { args: ["-c", `kill -0 ${pid}`], stderr: "null" }).output();
  return success;
}
