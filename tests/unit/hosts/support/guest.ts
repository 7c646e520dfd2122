import { type Answers, dropRights, serve, watchParent } from "../../../../src/hosts/guest.ts";
import { FrameWriter } from "../../../../src/hosts/protocol.ts";

/** What a host of the tests can be asked. */
export type TestOrder =
  | { readonly do: "echo"; readonly value?: unknown }
  /** Holds the thread for so many milliseconds. */
  | { readonly do: "spin"; readonly ms: number }
  | { readonly do: "exit" }
  | { readonly do: "throw" }
  /** Bytes to standard output that are no frame. */
  | { readonly do: "babble" }
  | { readonly do: "complain"; readonly lines: number }
  | { readonly do: "rights" }
  | { readonly do: "environment" }
  /** How many items all streams have made so far. */
  | { readonly do: "made" }
  /** Whether a memory of so many pages can be had. */
  | { readonly do: "memory"; readonly pages: number }
  /** Calls one after the other, and answers with all replies. */
  | { readonly do: "call"; readonly values: readonly unknown[] }
  | { readonly do: "note"; readonly values: readonly unknown[]; readonly spin?: number }
  /** Frames of any kind at all; `true` in the place of an id is that of the request. */
  | { readonly do: "report"; readonly reports: readonly unknown[] };

/** A stream of numbers; before the one `spinAt` it holds the thread for so many milliseconds. */
export interface TestStream {
  readonly items: number;
  readonly spinAt?: number;
  readonly ms?: number;
}

let made = 0;

function work(order: TestOrder, id: number, answers: Answers): unknown {
  switch (order.do) {
    case "echo":
      return order.value;
    case "spin":
      return spin(order.ms);
    case "exit":
      return Deno.exit(3);
    case "throw":
      throw new Error("thrown on purpose");
    case "babble":
      return Deno.stdout.writeSync(new TextEncoder().encode("\0\0\0\x07no json"));
    case "complain":
      for (let i = 0; i < order.lines; i++) {
        Deno.stderr.writeSync(new TextEncoder().encode(`line ${i} ${"x".repeat(90)}\n`));
      }
      return null;
    case "rights":
      return (["read", "write", "net", "env", "sys", "ffi", "import", "run"] as const).filter((name) =>
        Deno.permissions.querySync({ name } as Deno.PermissionDescriptor).state === "granted"
      );
    case "environment":
      return trying(() => Deno.env.toObject()) ?? trying(() => Deno.readTextFileSync("/etc/hosts")) ?? null;
    case "made":
      return made;
    case "memory":
      return trying(() => new WebAssembly.Memory({ initial: 1, maximum: 100 }).grow(order.pages - 1)) !== undefined;
    case "call":
      return order.values.map((value) => answers.call(id, value));
    case "note":
      order.values.forEach((value) => answers.note(id, value));
      return spin(order.spin ?? 0);
    case "report":
      return send(
        order.reports.map((report) => Array.isArray(report) ? report.map((p) => p === true ? id : p) : report),
      );
  }
}

function send(reports: readonly unknown[]): null {
  const writer = new FrameWriter();
  reports.forEach((report) => writer.add(report));
  Deno.stdout.writeSync(writer.take());
  return null;
}

function trying<T>(get: () => T): T | undefined {
  try {
    return get();
  } catch {
    return undefined;
  }
}

function spin(ms: number): null {
  for (const end = performance.now() + ms; performance.now() < end;);
  return null;
}

function* numbers({ items, spinAt = -1, ms = 0 }: TestStream): Generator<number> {
  for (let i = 0; i < items; i++) {
    if (i === spinAt) spin(ms);
    made++;
    yield i;
  }
}

if (import.meta.main) {
  watchParent();
  dropRights();
  await serve({
    work(asked, answers) {
      for (const { id, body } of asked) {
        answers.answer(id, work(body as TestOrder, id, answers));
        answers.flush();
      }
    },
    stream: (body) => numbers(body as TestStream),
  });
  Deno.exit(0);
}
