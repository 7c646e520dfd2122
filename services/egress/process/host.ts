import { watchParent } from "../../../src/hosts/guest.ts";
import { HopFailure } from "../parts.ts";
import { BadFrame, FRAME, FrameReader, FrameWriter, messageIn } from "../wire/frames.ts";
import { failMessageOf, READY, type StartMessage } from "../wire/messages.ts";
import { Connector } from "./connecting.ts";
import { serveConnection } from "./serving.ts";

/** Hops at once; more are refused. */
export const MAX_HOPS = 1_024;
/** Milliseconds until the next try where a connection could not be accepted, as where no more files may be open. */
const ACCEPT_AGAIN = 20;
/** Every kind of right but the one for the network. */
const KINDS = ["read", "write", "env", "sys", "ffi", "import", "run"] as const;

/**
 * Sends requests until its standard input ends: listens where the first frame of it says, gives back every right but those of the
 * network, which are narrow from the beginning, and serves. Nothing that a server does ends it.
 */
export async function run(): Promise<void> {
  watchParent();
  const input = new FrameReader(Deno.stdin);
  const first = await input.next();
  if (!first) return;
  if (first.type !== FRAME.start) throw new BadFrame("a beginning that is none");
  const start = messageIn(first) as StartMessage;
  const listener = Deno.listen({ transport: "unix", path: start.path });
  const connector = new Connector(start);
  dropAllButNet();
  outliveErrors();
  void accept(listener, connector);
  await Deno.stdout.write(Uint8Array.of(READY));
  // Nothing more is to come but the end.
  while (await input.next());
}

async function accept(listener: Deno.UnixListener, connector: Connector): Promise<void> {
  let open = 0;
  for (;;) {
    let connection: Deno.UnixConn;
    try {
      connection = await listener.accept();
    } catch (error) {
      log(`no connection was accepted: ${String(error)}`);
      await new Promise((resolve) => setTimeout(resolve, ACCEPT_AGAIN));
      continue;
    }
    if (open >= MAX_HOPS) void refuse(connection);
    else {
      open++;
      void serveConnection(connection, connector, log).finally(() => open--);
    }
  }
}

async function refuse(connection: Deno.UnixConn): Promise<void> {
  const failure = new HopFailure("EGRESS_UNAVAILABLE", "As many requests are sent already as can be.");
  try {
    await new FrameWriter(connection).writeJson(FRAME.fail, failMessageOf(failure));
  } catch {
    // The gateway did not wait for it.
  } finally {
    connection.close();
  }
}

/** Gives back every right of this process but those of the network, kind by kind. @throws Error when one cannot be given back */
export function dropAllButNet(): void {
  for (const name of KINDS) {
    if (Deno.permissions.revokeSync({ name }).state === "granted") {
      throw new Error(`the right ${name} cannot be given back`);
    }
  }
}

/** An error that nobody waited for, such as one that a library throws out of an event, is told, and is the end of nothing else. */
function outliveErrors(): void {
  globalThis.addEventListener("error", (event) => {
    event.preventDefault();
    log(`an error that nobody caught: ${event.message}`);
  });
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    log(`a rejection that nobody caught: ${String(event.reason)}`);
  });
}

const encoder = new TextEncoder();

function log(line: string): void {
  try {
    Deno.stderr.writeSync(encoder.encode(`${line.replaceAll(/[^\x20-\x7e]/g, "?").slice(0, 500)}\n`));
  } catch {
    // Nobody reads it any more.
  }
}
