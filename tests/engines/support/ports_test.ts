import { equal, ok, throws } from "node:assert/strict";
import { PortReservation } from "./ports.ts";

Deno.test("reserved ports are free, and nobody else's until they are given back", () => {
  using all = new DisposableStack();
  const taken = Array.from({ length: 300 }, () => all.use(PortReservation.take(6)).ports).flat();
  equal(new Set(taken).size, taken.length);
  ok(taken.every((port) => port >= 20_000 && port < 32_000));
  Deno.listen({ hostname: "127.0.0.1", port: taken[0]! }).close();
});

Deno.test("ports that another process reserved are not given, though nobody listens on them yet", async () => {
  const module = new URL("ports.ts", import.meta.url).href;
  const program = `import { PortReservation } from ${JSON.stringify(module)};
    const ports = Array.from({ length: 200 }, () => PortReservation.take(9)).flatMap(({ ports }) => ports);
    await Deno.stdout.write(new TextEncoder().encode(JSON.stringify(ports) + "\\n"));
    for await (const _ of Deno.stdin.readable);`;
  const args = ["eval", program];
  const other = new Deno.Command(Deno.execPath(), { args, stdin: "piped", stdout: "piped" }).spawn();
  const reader = other.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let line = "";
  while (!line.endsWith("\n")) line += (await reader.read()).value;
  const theirs = new Set<number>(JSON.parse(line));
  equal(theirs.size, 1_800);
  using mine = new DisposableStack();
  for (let i = 0; i < 300; i++) {
    equal(mine.use(PortReservation.take(9)).ports.some((port) => theirs.has(port)), false);
  }
  await other.stdin.close();
  await reader.cancel();
  await other.status;
});

Deno.test("more ports than a block has are refused", () => {
  throws(() => PortReservation.take(10), RangeError);
});
