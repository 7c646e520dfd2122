// Live messages through the gateway, against a bare loop over `Deno.upgradeWebSocket` that sends frames of the same size to as many
// sockets; and from one gateway to another, where there is an rqlited.
// deno task bench:realtime
import { out } from "../../src/cli/output.ts";
import { findProgram } from "../engines/support/programs.ts";
import { GENEROUS_LIMITS, ROUNDS } from "./compare.ts";
import { cpuTime, machine, residentMegabytes } from "./load.ts";
import { type Running, start, startGateway } from "./processes.ts";
import { acrossGateways } from "./sockets/across.ts";
import { type Delivered, SocketCrowd, type SocketLoad } from "./sockets/load.ts";

const SOCKETS = 10_000, SECONDS = 5;
const PAYLOAD = "x".repeat(126);
const SUBSCRIBE = '{"type":"subscribe","id":1,"topic":"bench/%t"}';
const SETTINGS = [
  "limits.pubsub.sockets=1000000",
  "limits.pubsub.topics=1000000",
  "limits.pubsub.publish_rate=0",
  "pubsub.sockets.per_credential=1000000",
  "pubsub.sockets.commands_per_second=0",
].flatMap((setting) => ["--set", setting]);

/** What is compared: how many topics there are, who never reads, and how many messages are on their way at once. */
interface Scale {
  readonly topics: number;
  readonly silent: number;
  readonly windows: readonly number[];
}

type Measured = Delivered & { readonly cpuPerMessage: number };

/** A server with its sockets. */
class Crowd implements AsyncDisposable {
  private constructor(private readonly crowd: SocketCrowd, private readonly server: Running) {}

  static async open(server: Running, load: SocketLoad): Promise<Crowd> {
    return new Crowd(await SocketCrowd.open(load), server);
  }

  measure(window: number, seconds = SECONDS): Promise<Measured> {
    return this.#counted(() => this.crowd.closed(seconds, window));
  }

  /** @param rate messages per second */
  paced(rate: number): Promise<Measured> {
    return this.#counted(() => this.crowd.paced(2 * SECONDS, rate));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.crowd[Symbol.asyncDispose]();
  }

  async #counted(run: () => Promise<Delivered>): Promise<Measured> {
    const before = cpuTime(this.server.pid), delivered = await run();
    const { published, missing, gaps, closed } = delivered;
    if (missing + gaps + closed > 0) out(`**${missing} of ${published} missing, ${gaps} gaps, ${closed} closed**`);
    const messages = delivered.per_second * delivered.seconds;
    return { ...delivered, cpuPerMessage: (cpuTime(this.server.pid) - before) / messages };
  }
}

out(`# ${machine()}; ${SOCKETS} sockets, messages of ${PAYLOAD.length + 2} bytes, best of ${ROUNDS} rounds\n`);
await fanOut("One topic, 1 % of the sockets never read", { topics: 1, silent: SOCKETS / 100, windows: [1, 8] });
await fanOut("1,000 topics of 10 sockets", { topics: 1_000, silent: 0, windows: [1_000, 8_000] });
if (findProgram("rqlited") === undefined) out("No rqlited on PATH or in TEST_ENGINES_DIR: that was all.");
else await acrossGateways();

async function fanOut(title: string, scale: Scale): Promise<void> {
  out(`## ${title}\n`);
  out("| | on their way | deliveries/s | of bare | p50 ms | p99 ms | frames a message | server CPU µs |");
  out("|---|---|---|---|---|---|---|---|");
  const path = "/v1/pubsub/ws?topic=bench/%t";
  await compare("`/v1/realtime`", scale, { path: "/v1/realtime", subscribe: SUBSCRIBE });
  await compare("`/v1/pubsub/ws`", scale, { path });
  out("");
}

async function compare(
  name: string,
  { topics, silent, windows }: Scale,
  listener: Pick<SocketLoad, "path" | "subscribe">,
): Promise<void> {
  await using owned = new AsyncDisposableStack();
  const scale = { sockets: SOCKETS, topics, silent };
  const folder = await Deno.makeTempDir({ prefix: "orama-bench-" });
  owned.defer(() => Deno.remove(folder, { recursive: true }));
  const places = ["--listen", "127.0.0.1:0", "--data", folder];
  const gateway = await startGateway(["dev", ...places, ...GENEROUS_LIMITS, ...SETTINGS]);
  owned.defer(() => gateway.stop());
  const { url, api_key } = JSON.parse(gateway.firstLine) as { url: string; api_key: string };
  const ours = owned.use(
    await Crowd.open(gateway, {
      ...scale,
      ...listener,
      url,
      publisherPath: "/v1/realtime",
      publish: (topic) => JSON.stringify({ type: "publish", topic: `bench/${topic}`, data: PAYLOAD }),
      header: `X-API-Key: ${api_key}`,
    }),
  );
  const bytes = Math.round((await ours.measure(windows[0]!, 1)).bytes_per_message);
  const bareServer = await start(["tests/bench/sockets/bare.ts"]);
  owned.defer(() => bareServer.stop());
  const bare = owned.use(
    await Crowd.open(bareServer, {
      ...scale,
      url: `http://127.0.0.1:${bareServer.firstLine}`,
      path: "/topic/%t",
      publisherPath: "/publish",
      publish: (topic) => `${topic} ${"x".repeat(bytes)}`,
    }),
  );
  let most = 0;
  for (const window of windows) {
    let best: [Measured, Measured] | undefined;
    for (let round = 0; round < ROUNDS; round++) {
      const measured: [Measured, Measured] = [await ours.measure(window), await bare.measure(window)];
      best = best?.map((before, i) =>
        measured[i]!.per_second > before.per_second ? measured[i]! : before
      ) as typeof best ??
        measured;
    }
    const [gateways, itself] = best!;
    most = Math.max(most, gateways.per_second);
    row(name, `${window}`, gateways, itself);
    row(`bare, frames of ${bytes} bytes`, `${window}`, itself);
  }
  const rate = most / 2 * topics / (SOCKETS - silent);
  row(`${name}, at half of its most`, `${rate.toFixed(0)}/s`, await ours.paced(rate));
  out(`| ${name}: RSS ${residentMegabytes(gateway.pid).toFixed(0)} MB | | | | | | | |`);
}

function row(name: string, load: string, measured: Measured, bare?: Measured): void {
  const { per_second, p50, p99, frames_per_message, cpuPerMessage } = measured;
  const part = bare === undefined ? "" : `${(100 * per_second / bare.per_second).toFixed(0)} %`;
  const figures = [per_second.toFixed(0), part, p50.toFixed(1), p99.toFixed(1)];
  out(`| ${[name, load, ...figures, frames_per_message.toFixed(2), cpuPerMessage.toFixed(1)].join(" | ")} |`);
}
