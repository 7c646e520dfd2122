import type { Loaded } from "../../config/index.ts";
import { type Gateway, startGateway } from "../gateway.ts";
import { LineWriter } from "../observability/line_writer.ts";
import { configureLog, logger } from "../observability/log.ts";
import { rootKeyFor } from "./load.ts";
import { err } from "./output.ts";

/**
 * Runs a gateway until the process is told to stop (SIGINT, SIGTERM), then stops it in phases. A second signal ends it at
 * once.
 * @param started called when it serves
 */
export async function runGateway(loaded: Loaded, started: (gateway: Gateway) => Promise<void> | void): Promise<void> {
  const { config, notes } = loaded;
  const writer = new LineWriter(Deno.stderr);
  await configureLog({ level: config.log.level, format: config.log.format, writer });
  const log = logger("gateway");
  try {
    for (const note of notes) log.warn(note);
    const gateway = await startGateway({ config, rootKey: await rootKeyFor(loaded), writer });
    const { database, cache, storage, pubsub } = config;
    const drivers = {
      database: database.driver,
      cache: cache.driver,
      storage: storage.driver,
      pubsub: pubsub.driver,
    };
    log.info("listening", { url: gateway.url, ...drivers });
    const signal = nextSignal();
    await started(gateway);
    log.info("signal received", { signal: await signal });
    nextSignal().then(() => {
      err("stopped at once by a second signal");
      Deno.exit(130);
    });
    await gateway.stop();
  } finally {
    await writer.flush();
  }
  // Timers of libraries must not keep a stopped gateway alive.
  Deno.exit(0);
}

function nextSignal(): Promise<Deno.Signal> {
  const { promise, resolve } = Promise.withResolvers<Deno.Signal>();
  const signals: Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM"];
  const handlers = signals.map((signal) => {
    const handler = () => {
      for (const [known, own] of handlers) Deno.removeSignalListener(known, own);
      resolve(signal);
    };
    Deno.addSignalListener(signal, handler);
    return [signal, handler] as const;
  });
  return promise;
}
