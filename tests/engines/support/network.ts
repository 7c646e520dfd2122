import type { Engines } from "./engine_test.ts";
import { type Own, ownTest } from "./own.ts";
import type { Program } from "./programs.ts";

/** Names of networks are files below `/run`. */
const NETWORK: Own = {
  what: "network",
  variable: "TEST_HAS_OWN_NETWORK",
  options: ["--net"],
  prepare: "mount -t tmpfs none /run",
  probe: "ip link add wire type bridge && ip netns add m0 && ip link add to-m0 type veth peer name eth0 netns m0",
};

/** A network card that no machine has: what is sent to it is lost. */
const NOBODY = "02:00:00:00:00:01";

/** A machine of a test: its own network, on a wire that can be cut. */
export interface Machine {
  readonly name: string;
  readonly address: string;
  /** The command line that runs a program there. */
  run(command: readonly string[]): string[];
}

/** Machines on one wire, with this process beside them. */
export class TestNetwork {
  private constructor(readonly machines: readonly Machine[]) {}

  /** Makes them. Only where the network is this process's own: in a {@link networkTest}. */
  static async of(machines: number): Promise<TestNetwork> {
    await ip("link set lo up");
    await ip("link add wire type bridge forward_delay 0");
    await ip("addr add 10.0.0.1/24 dev wire");
    await ip("link set wire up");
    const all: Machine[] = [];
    for (let i = 0; i < machines; i++) {
      const name = `m${i}`, address = `10.0.0.${10 + i}`;
      await ip(`netns add ${name}`);
      await ip(`link add to-${name} type veth peer name eth0 netns ${name}`);
      await ip(`-n ${name} addr add ${address}/24 dev eth0`);
      await ip(`-n ${name} link set lo up`);
      await ip(`-n ${name} link set eth0 up`);
      await ip(`link set to-${name} master wire up`);
      all.push({ name, address, run: (command) => ["ip", "netns", "exec", name, ...command] });
    }
    return new TestNetwork(all);
  }

  /** From now on nothing reaches a machine or comes from it, and nobody is told: what is sent is lost, connections stay open. */
  cut({ name }: Machine): Promise<void> {
    return ip(`link set to-${name} nomaster`);
  }

  /** Undoes {@link cut}. */
  mend({ name }: Machine): Promise<void> {
    return ip(`link set to-${name} master wire`);
  }

  /** As {@link cut}, between a machine and the other ones alone: this process reaches all of them. */
  async part(machine: Machine): Promise<void> {
    await this.#eachWay(machine, (to) => `neigh replace ${to} lladdr ${NOBODY} dev eth0 nud permanent`);
  }

  /** Undoes {@link part}. */
  async join(machine: Machine): Promise<void> {
    await this.#eachWay(machine, (to) => `neigh del ${to} dev eth0`);
  }

  async #eachWay(machine: Machine, command: (to: string) => string): Promise<void> {
    for (const other of this.machines.filter((one) => one !== machine)) {
      await ip(`-n ${machine.name} ${command(other.address)}`);
      await ip(`-n ${other.name} ${command(machine.address)}`);
    }
  }
}

/**
 * A test with machines of its own, in a process with a network of its own that goes with it. That takes Linux, `ip`, and the
 * right to make namespaces; {@link ownTest} says what becomes of it without these.
 * @param file of the test, `import.meta.url`: the process runs it anew
 */
export function networkTest(
  file: string,
  name: string,
  needs: readonly Program[],
  machines: number,
  run: (network: TestNetwork, engines: Engines) => Promise<void>,
): void {
  ownTest(NETWORK, file, name, needs, async (engines) => run(await TestNetwork.of(machines), engines));
}

async function ip(words: string): Promise<void> {
  const { success, stderr } = await new Deno.Command("ip", { args: words.split(" "), stdout: "null" }).output();
  if (!success) throw new Error(`ip ${words}: ${new TextDecoder().decode(stderr)}`);
}
