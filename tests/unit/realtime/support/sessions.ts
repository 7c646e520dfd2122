import type { Principal } from "../../../../src/contracts/identity.ts";
import type { LiveSettings } from "../../../../src/contracts/live_connections.ts";
import type { PubSubRules, Settings } from "../../../../src/contracts/settings.ts";
import { LiveContext } from "../../../../src/http/live/context.ts";
import { Session } from "../../../../routes/realtime/session.ts";
import type { SessionStart } from "../../../../routes/realtime/start.ts";
import { TableAuthenticator } from "../../http/support.ts";
import { FakePubSub } from "./fake_pubsub.ts";
import { FakeSocket, liveGateway, RULES, settled, somebody } from "./live.ts";

/** What a session begins with. */
export interface SessionOptions {
  readonly settings?: Partial<LiveSettings>;
  readonly rules?: Partial<PubSubRules>;
  /** Whose credential `key` came with the address; by default nobody's. */
  readonly known?: Principal;
  readonly origin?: string;
}

/** One socket of the multiplexed protocol, with nothing real behind it. */
export function sessionOf({ settings, rules: own = {}, known, origin }: SessionOptions = {}) {
  const gateway = liveGateway(settings);
  const { connections } = gateway;
  const rules = { ...RULES, ...own };
  const authenticator = new TableAuthenticator(new Map(known ? [["key", known]] : []));
  const pubsub = new FakePubSub();
  const socket = new FakeSocket();
  const failures: unknown[] = [];
  const services = {
    authenticator,
    pubsub: pubsub.service,
    settings: { rulesOf: () => ({ pubsub: rules }) } as unknown as Settings,
    connections,
  };
  const start: SessionStart = {
    services,
    context: new LiveContext({ requestId: "request-1", traceparent: undefined, clientAddress: "192.0.2.1" }),
    origin,
    beforeLookup: () => {},
    place: known ? connections.enter("realtime", known, rules) : connections.enterUnknown("realtime", "192.0.2.1"),
    known: known && { credential: "key", principal: known, rules },
  };
  const session = new Session(start, socket, (error) => void failures.push(error));
  /** Sends commands in one frame. @returns what was told since the last time */
  const say = async (...commands: readonly unknown[]) => {
    session.message(
      commands.map((command) => typeof command === "string" ? command : JSON.stringify(command)).join("\n"),
    );
    await gateway.turn();
    return socket.take();
  };
  return { ...gateway, authenticator, pubsub, socket, failures, session, say, settled };
}

/** The same for somebody who is known from the beginning. */
export const knownSession = (options: SessionOptions = {}) => sessionOf({ known: somebody(), ...options });
