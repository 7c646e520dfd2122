import { type Answers, dropRights, serve, watchParent } from "../../../../../src/hosts/guest.ts";
import { FrameWriter } from "../../../../../src/hosts/protocol.ts";
import type { GuestOrder, GuestTask } from "../../../../../services/functions/parts.ts";

/** What a call of the tests does: the input, as JSON. */
export type TestTask =
  /** Answers with what the host knows of itself. */
  | { readonly do: "tell" }
  /** @property say logs a line first */
  | { readonly do: "spin"; readonly ms: number; readonly say?: true }
  /** Makes so many host calls with this body. */
  | { readonly do: "call"; readonly times: number; readonly body?: unknown }
  | { readonly do: "note"; readonly notes: readonly unknown[]; readonly times?: number }
  | { readonly do: "output"; readonly bytes: number }
  | { readonly do: "exit" }
  /** Answers with this in the place of the outcome. */
  | { readonly do: "outcome"; readonly outcome: unknown }
  /** Says this, then holds the thread. */
  | { readonly do: "report"; readonly report: unknown }
  | { readonly do: "bytes"; readonly hex: string }
  | { readonly do: "complain"; readonly line: string };

/** What `tell` answers. */
export interface Told {
  readonly pid: number;
  /** The modules that the host knows. */
  readonly modules: readonly string[];
  /** How often each was loaded in this host. */
  readonly loads: number;
}

const modules = new Set<string>();
let loads = 0;

function spin(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end;);
}

function done(output: Uint8Array, calls = 0) {
  return { end: "done", output, message: "", pages: 1, calls };
}

/** The bytes of a module say what becomes of it. */
function load(bytes: Uint8Array): { problem?: string } {
  const text = new TextDecoder().decode(bytes);
  if (text === "exit") Deno.exit(1);
  if (text === "spin") spin(60_000);
  return text === "wrong" ? { problem: "it is wrong" } : {};
}

function run(task: GuestTask, id: number, answers: Answers): unknown {
  const order = JSON.parse(new TextDecoder().decode(task.input)) as TestTask;
  switch (order.do) {
    case "tell":
      return done(new TextEncoder().encode(JSON.stringify({ pid: Deno.pid, modules: [...modules], loads })));
    case "spin":
      if (order.say) answers.note(id, { level: "info", message: "it runs" });
      spin(order.ms);
      return done(new Uint8Array());
    case "call":
      for (let i = 0; i < order.times; i++) answers.call(id, order.body ?? ["get_secret", "a"]);
      return done(new Uint8Array(), order.times);
    case "note":
      for (let i = 0; i < (order.times ?? 1); i++) order.notes.forEach((note) => answers.note(id, note));
      return done(new Uint8Array());
    case "output":
      return done(new Uint8Array(order.bytes));
    case "exit":
      return Deno.exit(3);
    case "outcome":
      return order.outcome;
    case "report": {
      const writer = new FrameWriter();
      writer.add(order.report);
      Deno.stdout.writeSync(writer.take());
      spin(60_000);
      return null;
    }
    case "bytes":
      Deno.stdout.writeSync(Uint8Array.fromHex(order.hex));
      spin(60_000);
      return null;
    case "complain":
      Deno.stderr.writeSync(new TextEncoder().encode(`${order.line}\n`));
      return Deno.exit(133);
  }
}

function work(order: GuestOrder, id: number, answers: Answers): unknown {
  if (order.kind === "forget") return void modules.delete(order.module);
  if (order.kind === "check") return load(order.load.bytes);
  if (order.kind === "run") {
    if (!modules.has(order.task.module)) Deno.exit(4);
    return run(order.task, id, answers);
  }
  loads++;
  const loaded = load(order.load.bytes);
  if (loaded.problem === undefined) modules.add(order.load.module);
  return loaded;
}

if (import.meta.main) {
  watchParent();
  dropRights();
  await serve({
    work(asked, answers) {
      for (const { id, body } of asked) {
        answers.answer(id, work(body as GuestOrder, id, answers) ?? null);
        answers.flush();
      }
    },
  });
  Deno.exit(0);
}
