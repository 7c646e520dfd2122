import { deepEqual } from "node:assert/strict";
import { runOnNode, usableNode } from "../../../support/client/node.ts";
import { type Script, ScriptedServer } from "./scripted_server.ts";

/** A server whose behaviour is chosen by the first part of the path; each is told how often it was asked for. */
export function behavingServer(behaviourOf: (name: string) => Script): ScriptedServer {
  const seen = new Map<string, number>();
  return new ScriptedServer((request, connection) => {
    const name = request.path.split("/")[1] ?? "";
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    return behaviourOf(name)(request, connection, count);
  });
}

/** What stands hostile servers, and how that is seen. */
export interface HostileServers {
  /** Who stands them, as the sentence of the tests begins. */
  readonly who: string;
  /** How the sentence goes on behind the platform. Default: not at all. */
  readonly and?: string;
  /** What `on_node.ts` calls the scenarios. */
  readonly set: string;
  readonly scenarios: Readonly<Record<string, (target: { readonly url: string }) => Promise<void>>>;
  readonly server: () => ScriptedServer;
  /** Looks at what the server was asked for. */
  readonly check: (server: ScriptedServer) => void;
  /** For the process on Node beside what it always has. */
  readonly nodeEnv?: (node: string | undefined) => Readonly<Record<string, string>>;
}

/** Two tests: the scenarios on Deno, and on Node where there is one. */
export function testHostileServers(
  { who, and = "", set, scenarios, server: serverOf, check, nodeEnv = () => ({}) }: HostileServers,
): void {
  Deno.test(`${who} hostile servers on Deno${and}`, async () => {
    const server = serverOf();
    for (const run of Object.values(scenarios)) await run(server);
    check(server);
    void server[Symbol.asyncDispose]();
  });

  const node = usableNode();
  Deno.test({
    name: `${who} hostile servers on Node${and}${node ? "" : " [needs node 20 or later on PATH]"}`,
    ignore: node === undefined,
    async fn() {
      const server = serverOf();
      const results = await runOnNode("./on_node.ts", { TARGET_URL: server.url, SCENARIOS: set, ...nodeEnv(node) });
      deepEqual(results, Object.keys(scenarios).map((name) => ({ name, problem: null })));
      check(server);
      void server[Symbol.asyncDispose]();
    },
  });
}
