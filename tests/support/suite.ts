import { Client } from "./client.ts";
import { LONGEST_TEST, withinDeadline } from "./deadline.ts";
import { type GatewayStart, TestGateway } from "./gateway.ts";
import { SecretBook } from "./secrets.ts";
import { capacity, chosenDriver } from "./test_database.ts";

/** What one test needs beyond a gateway. */
export interface TestNeeds {
  /** How many namespaces exist at once while it runs. Default 1. */
  readonly namespaces?: number;
}

type Body = () => void | Promise<void>;

/** A file of tests that share one gateway. */
export interface Suite<Target> {
  /** Where the calls go; there once the first test runs. */
  readonly gateway: Target;
  readonly test: (name: string, run: Body, needs?: TestNeeds) => void;
}

/** A gateway that runs somewhere: `TEST_BASE_URL`, with a key of its namespace `default` in `TEST_API_KEY`. */
const base = Deno.env.get("TEST_BASE_URL")?.replace(/\/$/, "");

/** What tests can do with any gateway, whoever started it. */
export interface AnyGateway extends Client {
  /** A key of the namespace `default`. */
  defaultKey(): Promise<string>;
}

class RemoteGateway extends Client implements AnyGateway {
  constructor(url: string) {
    super(url, new SecretBook(), true);
  }

  defaultKey(): Promise<string> {
    const key = Deno.env.get("TEST_API_KEY");
    return key ? Promise.resolve(key) : Promise.reject(new Error("TEST_API_KEY is missing"));
  }
}

/** Tests that need nothing but an address: they run against `TEST_BASE_URL`, or a gateway that is started for the file. */
export function anyGatewaySuite(): Suite<AnyGateway> {
  return base === undefined ? gatewaySuite() : suiteOf(base, () => Promise.resolve(new RemoteGateway(base)), () => {});
}

/**
 * Tests that need the gateway's process or a configuration of their own. When the file is done, what the gateway logged is
 * searched for every secret that the tests saw, and for failures of its own.
 */
export function gatewaySuite(options: GatewayStart = {}): Suite<TestGateway> {
  if (base !== undefined) {
    return {
      gateway: undefined as never,
      test: (name, run) => Deno.test({ name, ignore: true, fn: run }),
    };
  }
  return suiteOf("", () => TestGateway.start(options), async (gateway) => {
    let log = "", code;
    try {
      code = await gateway.stop();
      log = gateway.log();
    } finally {
      await gateway[Symbol.asyncDispose]();
    }
    if (code !== 0) throw new Error(`the gateway ended with ${code}:\n${log.slice(-2_000)}`);
    assertNoSecrets(gateway.secrets, log);
    assertNoFailures(log);
  });
}

/** @throws Error with the lines that tell of a failure of the gateway's own: nothing that a client sends may cause one */
function assertNoFailures(log: string): void {
  const lines = log.split("\n").filter((line) => /"level":"(error|fatal)"/.test(line));
  if (lines.length > 0) throw new Error(`failures in the log:\n${lines.slice(0, 5).join("\n")}`);
}

/** @throws Error with the lines of a log that hold a secret */
export function assertNoSecrets(secrets: SecretBook, log: string): void {
  if (secrets.foundIn(log).length === 0) return;
  const lines = log.split("\n").filter((line) => secrets.foundIn(line).length > 0);
  throw new Error(`secrets in the log:\n${lines.slice(0, 20).join("\n")}`);
}

function suiteOf<Target>(
  base: string,
  start: () => Promise<Target>,
  end: (gateway: Target) => void | Promise<void>,
): Suite<Target> {
  let gateway: Target | undefined;
  Deno.test.beforeAll(async () => {
    gateway = await start();
  });
  Deno.test.afterAll(async () => {
    if (gateway !== undefined) await end(gateway);
  });
  return {
    get gateway() {
      if (gateway === undefined) throw new Error("the gateway is there while tests run");
      return gateway;
    },
    test(name, run, { namespaces = 1 } = {}) {
      const room = base === "" ? capacity() : Infinity;
      const lacking = namespaces > room;
      Deno.test({
        name: lacking ? `${name} [needs ${namespaces} namespaces, ${chosenDriver()} has ${room}]` : name,
        ignore: lacking,
        fn: async () => await withinDeadline(Promise.resolve(run()), "the test was over", LONGEST_TEST),
      });
    },
  };
}
