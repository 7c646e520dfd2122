import { equal, ok, rejects } from "node:assert/strict";
import {
  type Ends,
  type KernelConnection,
  type KernelConnections,
  kernelConnections,
} from "../../../src/kernel/tcp.ts";
import { until } from "../../engines/support/wait.ts";

const endsOf = ({ hostname, port }: Deno.NetAddr, localPort: number) => ({ hostname, port, localPort });

/** A connection between two ends of this process, of which the accepted one is looked at. */
async function pair(hostname = "127.0.0.1") {
  const listener = Deno.listen({ hostname, port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const client = await Deno.connect({ hostname: hostname === "::" ? "127.0.0.1" : hostname, port });
  const server = await listener.accept();
  return {
    client,
    server,
    ends: endsOf(server.remoteAddr as Deno.NetAddr, port),
    [Symbol.dispose]() {
      for (const one of [client, server, listener]) {
        try {
          one.close();
        } catch (error) {
          if (!(error instanceof Deno.errors.BadResource)) throw error;
        }
      }
    },
  };
}

function known(connections: KernelConnections, ends: Ends): KernelConnection {
  const found = connections.find(ends);
  ok(typeof found === "object", `it is ${found}`);
  return found;
}

function linuxTest(name: string, run: (connections: KernelConnections) => Promise<void>): void {
  Deno.test({ name, ignore: Deno.build.os !== "linux", fn: async () => await run((await kernelConnections())!) });
}

for (const hostname of ["127.0.0.1", "::1", "::"]) {
  linuxTest(
    `a connection to ${hostname} is found by its other end, and tells how much has come`,
    async (connections) => {
      using one = await pair(hostname);
      using other = await pair(hostname);
      const found = known(connections, one.ends), second = known(connections, other.ends);
      ok(found.isEstablished());
      equal(found.received(), 0);
      await one.client.write(new Uint8Array(1_000));
      await until("it came", () => found.received() === 1_000);
      equal(second.received(), 0);
      await one.server.read(new Uint8Array(2_000));
      equal(found.received(), 1_000, "what was read has come all the same");
    },
  );
}

linuxTest(
  "a connection that is cut ends for both sides, however much waits for who does not read",
  async (connections) => {
    using one = await pair();
    const found = known(connections, one.ends);
    let written = 0;
    const writing = (async () => {
      for (;;) written += await one.server.write(new Uint8Array(1_000_000));
    })().catch((error) => error);
    let before = -1;
    await until("no more fits in", () => before === (before = written) && written > 0);
    found.cut();
    ok(await writing instanceof Error);
    equal(found.isEstablished(), false);
    one.server.close();
    let read = 0;
    const reading = async () => {
      for (let n: number | null = 0; n !== null; read += n ?? 0) n = await one.client.read(new Uint8Array(65_536));
    };
    await rejects(reading(), Deno.errors.ConnectionReset);
    ok(read < written, `${read} of ${written} bytes were read`);
  },
);

linuxTest("a descriptor that went to another connection is not taken for the first one", async (connections) => {
  const one = await pair();
  const found = known(connections, one.ends);
  one[Symbol.dispose]();
  const others = await Promise.all(Array.from({ length: 8 }, () => pair()));
  equal(found.isEstablished(), false);
  found.cut();
  for (const other of others) {
    await other.client.write(Uint8Array.of(1));
    equal(await other.server.read(new Uint8Array(1)), 1, "it still works");
    other[Symbol.dispose]();
  }
});

linuxTest("one that has ended is told from one that cannot be found", async (connections) => {
  const never = { hostname: "192.0.2.1", port: 1, localPort: 2 };
  equal(
    connections.find(never),
    "unknown",
    "nothing was found at this port before: that may be a mistake of the search",
  );
  const one = await pair();
  const { ends } = one;
  known(connections, ends).release();
  one[Symbol.dispose]();
  await until("it is gone", () => connections.find(ends) === "gone");
});

linuxTest(
  "one whose other side broke it off is gone, though nothing tells any more whose it was",
  async (connections) => {
    using one = await pair();
    // Who closes with something unread breaks off.
    await one.server.write(new Uint8Array(10));
    await until("it came", () => known(connections, one.ends).acknowledged() === 10);
    one.client.close();
    await until("it is gone", () => connections.find(one.ends) === "gone");
  },
);

linuxTest("of hundreds each is found, also after some were released", async (connections) => {
  const pairs = await Promise.all(Array.from({ length: 300 }, () => pair()));
  const found = pairs.map(({ ends }) => known(connections, ends));
  ok(found.every((one) => one.isEstablished()));
  await until("it is looked for where others are", () => typeof connections.find(pairs[0]!.ends) === "object");
  equal(found[0]!.received(), undefined, "whoever has it, has it alone");
  ok(found.slice(1).every((one) => one.isEstablished()));
  found[1]!.release();
  found[1]!.release();
  equal(found[1]!.received(), undefined);
  ok(known(connections, pairs[1]!.ends).isEstablished());
  for (const one of pairs) one[Symbol.dispose]();
});

linuxTest("how much the other side has taken is told while it reads a little", async (connections) => {
  using one = await pair();
  const found = known(connections, one.ends);
  let written = 0;
  const writing = (async () => {
    for (;;) written += await one.server.write(new Uint8Array(1_000_000));
  })().catch(() => {});
  let before = -1;
  await until("no more fits in", () => before === (before = written) && written > 0);
  const taken = found.acknowledged()!;
  ok(taken > 0 && taken < written);
  await until("it has taken more", async () => {
    await one.client.read(new Uint8Array(65_536));
    return found.acknowledged()! > taken;
  });
  found.cut();
  await writing;
});

linuxTest("the system can be let hold little of what is not taken", async (connections) => {
  using one = await pair();
  const found = known(connections, one.ends);
  found.limitUnsent(65_536);
  let written = 0;
  const writing = (async () => {
    for (;;) written += await one.server.write(new Uint8Array(1_000_000));
  })().catch(() => {});
  let before = -1;
  await until("no more fits in", () => before === (before = written) && written > 0);
  const held = written - found.acknowledged()!;
  ok(held <= 262_144, `${held} bytes are held`);
  found.cut();
  await writing;
});

linuxTest("of two connections with one other end, each is found by its own port", async (connections) => {
  using first = await pair();
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  equal(connections.find({ ...first.ends, localPort: port }), "unknown");
  ok(known(connections, first.ends).isEstablished());
  listener.close();
});

linuxTest("one behind thousands of descriptors that are none is found", async (connections) => {
  const files = Array.from({ length: 1_500 }, () => Deno.openSync("/dev/null"));
  using one = await pair();
  await until("it is looked for thoroughly", () => typeof connections.find(one.ends) === "object");
  for (const file of files) file.close();
});
