import { openIdentity } from "../../../services/network/identity.ts";
import { NetworkNode } from "../../../services/network/node.ts";
import { NetworkService } from "../../../services/network/service.ts";
import { Libp2pMesh } from "../../../services/pubsub/mesh/libp2p.ts";
import { misbehave, type Misdeed } from "./mesh_hostile.ts";
import type { Machine } from "./network.ts";
import { until } from "./wait.ts";

/** How a gateway's part of the network is started. */
export interface MeshNodeOptions {
  /** A folder for its own key: the same folder is the same gateway. */
  readonly folder: string;
  /** 64 hex digits. */
  readonly networkKey: string;
  readonly maxQueue?: number;
  /** Whether it looks for others on the local network. */
  readonly mdns?: boolean;
  /** Where it listens. Default: on this machine alone. */
  readonly listen?: string;
}

/** What it has seen. */
export interface Seen {
  readonly links: readonly string[];
  /** How often a link to each began. */
  readonly linked: Readonly<Record<string, number>>;
  readonly unlinked: Readonly<Record<string, number>>;
  /** Of each peer: how many frames came since the link began, their bytes, and whether each followed on the one before. */
  readonly frames: Readonly<Record<string, { count: number; bytes: number; inOrder: boolean }>>;
  /** Of each channel and origin: the numbers of the messages that came, each once. */
  readonly messages: Readonly<Record<string, readonly number[]>>;
  readonly peers: readonly string[];
  readonly refused: Readonly<Record<string, number>>;
  readonly cuts: number;
  readonly caught: number;
  readonly errors: readonly string[];
}

/** What it is asked to do. */
export type MeshTask =
  | { readonly do: "know"; readonly gateways: Readonly<Record<string, readonly string[]>> }
  | { readonly do: "join" | "leave"; readonly channel: string }
  | {
    readonly do: "publish";
    readonly channel: string;
    readonly from: number;
    readonly count: number;
    readonly bytes: number;
  }
  | {
    readonly do: "send";
    readonly to: string;
    readonly count: number;
    readonly bytes: number;
    readonly burst?: number;
  }
  | { readonly do: "ask"; readonly to: string; readonly bytes: number; readonly within: number }
  | { readonly do: "misbehave"; readonly to: string; readonly deed: Misdeed }
  | { readonly do: "connect"; readonly address: string }
  | { readonly do: "see" }
  | { readonly do: "close" };

type Task = MeshTask & { readonly id: number };
type Answer = { readonly id: number; readonly result?: unknown; readonly error?: string };

/** A gateway's part of the network in a process of its own, told what to do through pipes. */
export class MeshNode implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #tasks: WritableStreamDefaultWriter<Uint8Array>;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  readonly #reading: Promise<void>;
  #last = 0;
  #exited = false;
  #ready!: (told: { id: string; addresses: readonly string[] }) => void;
  id = "";
  addresses: readonly string[] = [];

  private constructor(options: MeshNodeOptions, machine: Machine | undefined) {
    const { pathname: config } = new URL("../../../deno.json", import.meta.url),
      { pathname: self } = new URL(import.meta.url);
    const run = [Deno.execPath(), "run", "-A", "--no-check", "--config", config, self, JSON.stringify(options)];
    const [program, ...args] = machine?.run(run) ?? run;
    this.#process = new Deno.Command(program!, { args, stdin: "piped", stdout: "piped" }).spawn();
    this.#tasks = this.#process.stdin.getWriter();
    this.#reading = this.#read();
    this.#process.status.then(() => this.#exited = true);
  }

  /** Starts one; it listens on a free port. @param machine where. Default: here */
  static async start(options: MeshNodeOptions, machine?: Machine): Promise<MeshNode> {
    const node = new MeshNode(options, machine);
    const ready = new Promise<{ id: string; addresses: readonly string[] }>((resolve) => node.#ready = resolve);
    const told = await Promise.race([
      ready,
      node.#process.status.then(({ code }) => Promise.reject(new Error(`exit code ${code}`))),
    ]);
    Object.assign(node, told);
    return node;
  }

  /** Whether its process has ended. */
  get exited(): boolean {
    return this.#exited;
  }

  async run(task: MeshTask): Promise<unknown> {
    const id = ++this.#last;
    const waiting = Promise.withResolvers<unknown>();
    this.#waiting.set(id, waiting);
    await this.#tasks.write(new TextEncoder().encode(`${JSON.stringify({ id, ...task })}\n`));
    return await waiting.promise;
  }

  async see(): Promise<Seen> {
    return await this.run({ do: "see" }) as Seen;
  }

  /** Tells it where others are. */
  async know(...others: readonly MeshNode[]): Promise<void> {
    await this.run({ do: "know", gateways: Object.fromEntries(others.map(({ id, addresses }) => [id, addresses])) });
  }

  /** Waits until it has a link to each of these. */
  async isLinkedTo(...others: readonly MeshNode[]): Promise<void> {
    await until(`${this.id} has its links`, async () => {
      const { links } = await this.see();
      return others.every(({ id }) => links.includes(id));
    });
  }

  signal(signal: Deno.Signal): void {
    this.#process.kill(signal);
  }

  /** Ends it without notice, and waits until it is gone. */
  async kill(): Promise<void> {
    if (!this.#exited) this.signal("SIGKILL");
    await this.#process.status;
    await this.#reading;
    await this.#tasks.close().catch(() => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  async #read(): Promise<void> {
    for await (const line of linesOf(this.#process.stdout)) {
      const told = JSON.parse(line) as Answer & { readonly ready?: { id: string; addresses: readonly string[] } };
      if (told.ready) this.#ready(told.ready);
      else {
        const waiting = this.#waiting.get(told.id);
        this.#waiting.delete(told.id);
        if (told.error === undefined) waiting?.resolve(told.result);
        else waiting?.reject(new Error(told.error));
      }
    }
    for (const { promise, reject } of this.#waiting.values()) {
      promise.catch(() => {});
      reject(new Error("its process has ended"));
    }
  }
}

async function* linesOf(bytes: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of bytes.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
}

/** A frame or message with a number, so that order and loss can be seen. */
function numbered(n: number, bytes: number): Uint8Array<ArrayBuffer> {
  const made = new Uint8Array(Math.max(4, bytes));
  new DataView(made.buffer).setUint32(0, n);
  return made;
}
const numberOf = (bytes: Uint8Array): number => new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);

async function serve(
  { folder, networkKey, maxQueue, mdns = false, listen = "/ip4/127.0.0.1/tcp/0" }: MeshNodeOptions,
): Promise<void> {
  const errors: string[] = [];
  const onError = (what: string, error: unknown) => void errors.push(`${what}: ${error}`);
  const { key } = await openIdentity(`${folder}/node.key`);
  const node = await NetworkNode.open({
    key,
    networkKey: Uint8Array.fromHex(networkKey),
    listen: [listen],
    announce: [],
    mdns,
    onError,
  });
  const service = new NetworkService({ node, bootstrap: [], now: Date.now, monotonic: () => performance.now() });
  const mesh = new Libp2pMesh({ node, onError, ...(maxQueue !== undefined && { maxQueue }) });
  const counts = { linked: {} as Record<string, number>, unlinked: {} as Record<string, number> };
  const frames: Record<string, { count: number; bytes: number; inOrder: boolean }> = {};
  const messages: Record<string, number[]> = {};
  await mesh.start({
    received: (channel, origin, bytes) => (messages[`${channel} ${origin}`] ??= []).push(numberOf(bytes)),
    linked(peer) {
      counts.linked[peer] = (counts.linked[peer] ?? 0) + 1;
      frames[peer] = { count: 0, bytes: 0, inOrder: true };
    },
    unlinked: (peer) => void (counts.unlinked[peer] = (counts.unlinked[peer] ?? 0) + 1),
    frame(peer, bytes) {
      const seen = frames[peer]!;
      seen.inOrder &&= numberOf(bytes) === seen.count;
      seen.count++;
      seen.bytes += bytes.length;
    },
    asked: (_peer, question) => Promise.resolve(question),
  });

  const run = async (task: MeshTask): Promise<unknown> => {
    switch (task.do) {
      case "know":
        return service.know(new Map(Object.entries(task.gateways)));
      case "join":
        return mesh.join(task.channel);
      case "leave":
        return mesh.leave(task.channel);
      case "publish":
        for (let i = 0; i < task.count; i++) {
          mesh.publish(task.channel, numbered(task.from + i, task.bytes));
          if (i % 100 === 99) await new Promise((resolve) => setTimeout(resolve));
        }
        return;
      case "send":
        for (let i = 0; i < task.count; i++) {
          mesh.send(task.to, numbered(i, task.bytes));
          // A turn of the loop, so that the link may write.
          if (i % (task.burst ?? 100) === 0) await new Promise((resolve) => setTimeout(resolve));
        }
        return;
      case "ask": {
        const answer = await mesh.ask(task.to, numbered(7, task.bytes), AbortSignal.timeout(task.within));
        return { bytes: answer.length, number: numberOf(answer) };
      }
      case "misbehave":
        return await misbehave(node, task.to, task.deed);
      case "connect":
        return await service.connect(task.address, {
          requestId: "r",
          signal: new AbortController().signal,
          clientAddress: "127.0.0.1",
        });
      case "see": {
        const { refused, caught } = node.figures(), { cuts } = mesh.figures();
        const seen: Seen = {
          ...counts,
          links: [...mesh.links],
          frames,
          messages,
          peers: node.peers,
          refused,
          cuts,
          caught,
          errors,
        };
        return seen;
      }
      case "close":
        service.close();
        await mesh.close();
        return await node.close();
    }
  };

  const encoder = new TextEncoder();
  const tell = (told: unknown) => Deno.stdout.write(encoder.encode(`${JSON.stringify(told)}\n`));
  await tell({ ready: { id: node.id, addresses: node.addresses } });
  for await (const line of linesOf(Deno.stdin.readable)) {
    const { id, ...task } = JSON.parse(line) as Task;
    run(task as MeshTask)
      .then((result) => tell({ id, result }), (error) => tell({ id, error: String(error) }));
  }
  Deno.exit(0);
}

if (import.meta.main) await serve(JSON.parse(Deno.args[0]!) as MeshNodeOptions);
