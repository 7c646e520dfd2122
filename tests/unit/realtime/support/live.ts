import type { Principal } from "../../../../src/contracts/identity.ts";
import type { LiveBounds, LiveSettings } from "../../../../src/contracts/live_connections.ts";
import type { PubSubRules } from "../../../../src/contracts/settings.ts";
import { Connections } from "../../../../src/http/live/connections.ts";
import type { LiveSocket } from "../../../../src/http/live/socket.ts";
import { principal } from "../../auth/support/node.ts";

/** What holds where a test says nothing else. */
export const RULES: PubSubRules = {
  maxMessageBytes: 1_000,
  historySize: 100,
  historyTtl: 60_000,
  maxHistoryBytes: 1_000_000,
  publishRate: 0,
  maxSockets: 100,
  maxTopics: 100,
  maxTopicsPerSocket: 3,
  credentialShare: 100,
  guestShare: 100,
  maxQueueBytes: 4_000,
  slowPolicy: "drop",
  maxMetaBytes: 100,
  origins: undefined,
};

/** So many sockets for a namespace, and each of its credentials. */
export const most = (maxSockets: number): LiveBounds => ({ maxSockets, credentialShare: 100, guestShare: 100 });

/** A gateway's connections whose time and turns are the test's. */
export function liveGateway(
  settings: Partial<LiveSettings> = {},
  onError: ((error: unknown) => void) | undefined = undefined,
) {
  const scheduled: (() => void)[] = [];
  const clock = { unix: 1_700_000_000_000, monotonic: 0 };
  const connections = new Connections({
    settings: {
      idleTimeout: 25_000,
      unauthenticated: 10,
      perCredential: 10,
      commandsPerSecond: 0,
      commandsPerFrame: 10,
      ...settings,
    },
    now: () => clock.unix,
    monotonic: () => clock.monotonic,
    schedule: (run) => void scheduled.push(run),
    every: () => () => {},
    ...(onError && { onError }),
  });
  /** One turn of the event loop, and what promises do in it. */
  const turn = async () => {
    await settled();
    for (const run of scheduled.splice(0)) run();
    await settled();
  };
  /** Lets time pass, and everything be looked at. */
  const pass = async (milliseconds: number) => {
    clock.unix += milliseconds;
    clock.monotonic += milliseconds;
    for (let i = 0; i < 10; i++) connections.lookAround();
    await turn();
  };
  return { connections, clock, turn, pass };
}

/** Lets promises run that wait for nothing but each other. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 50; i++) await Promise.resolve();
}

/** A WebSocket whose other side reads when the test says so. */
export class FakeSocket implements LiveSocket {
  readonly sent: string[] = [];
  closedWith: { readonly code: number; readonly reason: string } | undefined;
  /** Whether the other side takes what is sent. */
  reads = true;
  /** What the system says that it has taken. */
  acknowledged: number | undefined = undefined;
  #waiting = 0;

  get bufferedAmount(): number {
    return this.reads ? 0 : this.#waiting;
  }

  send(text: string): void {
    if (this.closedWith) return;
    this.sent.push(text);
    this.#waiting += new TextEncoder().encode(text).length;
  }

  close(code: number, reason: string): void {
    this.closedWith ??= { code, reason };
  }

  /** With which code it was closed, if it was. */
  code(): number | undefined {
    return this.closedWith?.code;
  }

  /** The other side takes everything. */
  drain(): void {
    this.#waiting = 0;
  }

  /** The objects that were sent since they were last asked for. */
  take(): Record<string, unknown>[] {
    return this.sent.splice(0).flatMap((frame) => frame.split("\n")).map((line) => JSON.parse(line));
  }
}

/** Somebody with these rights. */
export const somebody = (parts: Partial<Principal> = {}): Principal =>
  principal({
    scopes: new Set(["pubsub:publish", "pubsub:subscribe", "pubsub:presence"] as const),
    ...parts,
  });
