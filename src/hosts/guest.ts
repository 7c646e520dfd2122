import { setImmediate } from "node:timers";
import { FrameReader, FrameWriter, type Order, type Report } from "./protocol.ts";

/** One request, as it stands in the pipe. */
export interface Asked {
  readonly id: number;
  readonly body: unknown;
}

/** How a host answers. */
export interface Answers {
  /** Answers a request: in the order of the asking. The answer may wait for the next {@link flush}. */
  answer(id: number, body: unknown): void;
  /**
   * Asks the parent for something in the name of a request that runs, and waits for it: nothing else runs meanwhile. Ends the process
   * when the parent is gone. Not for a host that has streams.
   */
  call(id: number, body: unknown): unknown;
  /**
   * Tells the parent something in the name of a request that runs. The first few of a request go at once, further ones gather for a
   * moment; all go before its next call and its answer.
   */
  note(id: number, body: unknown): void;
  /** Sends what waits: before anything that may take long, because the parent's clock counts for the first without an answer. */
  flush(): void;
}

/** What a host does. One thing runs at a time. */
export interface Guest {
  /**
   * Works off requests, all that stood in the pipe at once, and answers each. What it throws ends the process.
   */
  work(asked: readonly Asked[], answers: Answers): void | Promise<void>;
  /** Begins a stream: each `next()` makes one item. What it throws ends the process. */
  stream?(body: unknown): Iterator<unknown>;
  /** Nothing more will come. */
  close?(): void;
}

interface OpenStream {
  readonly items: Iterator<unknown>;
  credit: number;
}

const BUFFER = 256 * 1024;
/** Bytes of answers that are sent on without waiting for the rest of a batch. */
const ENOUGH = 64 * 1024;
/** Notes of one request that go at once. */
const PROMPT_NOTES = 16;
/** Milliseconds that further ones gather. */
const GATHER = 20;

/**
 * Serves until standard input ends. Without streams it reads by blocking calls, which answer in half the time that the event loop
 * takes. With streams it makes one item of each in turn, and looks at the pipe in between.
 */
export async function serve(guest: Guest): Promise<void> {
  const reader = new FrameReader(), writer = new FrameWriter();
  const buffer = new Uint8Array(BUFFER);
  const streams = new Map<number, OpenStream>();
  let reading: Promise<number | null> | undefined;
  let arrived: number | null | undefined;
  const report = (message: Report) => {
    writer.add(message);
    if (writer.length > ENOUGH) flush();
  };
  const flush = () => {
    if (writer.length > 0) writeAll(writer.take());
  };
  /** What came while a call waited for its reply. */
  const later: Order[] = [];
  const notes = { of: 0, count: 0, last: 0 };
  const answers: Answers = { answer: (id, body) => report(["done", id, body]), call, note, flush };

  for (;;) {
    if (later.length > 0) {
      await work(later.splice(0));
      flush();
      continue;
    }
    const wanted = [...streams].filter(([, { credit }]) => credit > 0);
    let length: number | null | undefined;
    if (reading === undefined && wanted.length === 0) length = Deno.stdin.readSync(buffer);
    else {
      reading ??= Deno.stdin.read(buffer).then((n) => arrived = n);
      if (wanted.length === 0) await reading;
      else await new Promise<void>((resolve) => setImmediate(resolve));
      length = arrived;
      if (length !== undefined) reading = arrived = undefined;
    }
    if (length === null) break;
    if (length !== undefined) {
      const working = work(reader.push(buffer.subarray(0, length)) as Order[]);
      if (working) await working;
    }
    for (const [id, stream] of wanted) if (streams.has(id)) advance(id, stream);
    flush();
  }
  guest.close?.();

  function work(orders: readonly Order[]): void | Promise<void> {
    const asked = sorted(orders);
    if (asked.length > 0) return guest.work(asked, answers);
  }

  function call(id: number, body: unknown): unknown {
    if (reading) throw new Error("a host that reads through the event loop makes no calls");
    report(["call", id, body]);
    flush();
    for (;;) {
      const length = Deno.stdin.readSync(buffer);
      if (length === null) Deno.exit(0);
      let reply: Order | undefined;
      for (const order of reader.push(buffer.subarray(0, length)) as Order[]) {
        if (order[0] !== "reply") later.push(order);
        else if (order[1] === id) reply = order;
      }
      if (reply) return reply[2];
    }
  }

  function note(id: number, body: unknown): void {
    if (notes.of !== id) Object.assign(notes, { of: id, count: 0 });
    report(["note", id, body]);
    const now = performance.now();
    if (++notes.count > PROMPT_NOTES && now - notes.last < GATHER) return;
    notes.last = now;
    flush();
  }

  /** Requests are left over; what concerns streams is done at once. */
  function sorted(orders: readonly Order[]): Asked[] {
    const asked: Asked[] = [];
    for (const [kind, id, body, credit] of orders) {
      const stream = streams.get(id);
      if (kind === "ask") asked.push({ id, body });
      else if (kind === "open") open(id, body, credit);
      else if (kind === "more" && stream) stream.credit += body;
      else if (kind === "stop" && stream) {
        stream.items.return?.();
        streams.delete(id);
        report(["end", id]);
      }
    }
    return asked;
  }

  function open(id: number, body: unknown, credit: number): void {
    if (!guest.stream) throw new Error("this host has no streams");
    streams.set(id, { items: guest.stream(body), credit });
  }

  function advance(id: number, stream: OpenStream): void {
    report(["busy", id]);
    flush();
    const { done, value } = stream.items.next();
    if (done) streams.delete(id);
    report(done ? ["end", id] : ["item", id, value]);
    stream.credit--;
  }
}

function writeAll(bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
}

const KINDS = ["read", "write", "net", "env", "sys", "ffi", "import", "run"] as const;

/** Gives back every right of this process, kind by kind: of a part of a kind that is a silent no-op after `-A`. */
export function dropRights(): void {
  for (const name of KINDS) {
    if (Deno.permissions.revokeSync({ name } as Deno.PermissionDescriptor).state === "granted") {
      throw new Error(`the right ${name} cannot be given back`);
    }
  }
}

/**
 * Ends this process when its parent is gone, or was before this process got so far, whatever runs in it then: a thread of its own
 * looks every half second. The end of standard input, which says so too, is seen only between two requests. A process may kill
 * itself without any right.
 */
export function watchParent(): void {
  // As the parent named itself: whoever asks who it is may ask too late, and be told of whoever took over.
  const parent = Number(Deno.args.at(-1));
  if (Deno.ppid !== parent) Deno.exit(0);
  const watch = `setInterval(() => Deno.ppid === ${parent} || Deno.kill(Deno.pid, "SIGKILL"), 500);`;
  new Worker(`data:text/javascript,${encodeURIComponent(watch)}`, { type: "module" });
}
