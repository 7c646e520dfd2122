import { deepEqual, equal } from "node:assert/strict";
import { HiddenBytes } from "../../../src/kernel/hidden_bytes.ts";
import type { KernelConnection } from "../../../src/kernel/tcp.ts";

class Connection implements KernelConnection {
  came: number | undefined = 0;
  received = () => this.came;
  acknowledged = () => 0;
  isEstablished = () => this.came !== undefined;
  limitUnsent(): void {}
  cut(): void {}
  release(): void {}
}

/** Watches with a limit of 1,000 bytes, and looks when it is told to. */
function watching(connections: number) {
  let look = () => {};
  const hidden = new HiddenBytes({
    limit: 1_000,
    every: (_, run) => {
      look = run;
      return () => void (look = () => {});
    },
  });
  const cut: number[] = [];
  const all = Array.from({ length: connections }, (_, i) => {
    const connection = new Connection();
    return { connection, watched: hidden.watch(connection, () => void cut.push(i)) };
  });
  return {
    all,
    cut,
    hidden,
    /** Each of them is looked at, at least once. */
    look() {
      for (let slices = 0; slices < 12; slices++) look();
    },
  };
}

Deno.test("who sends more than may be hidden and finishes no message is cut, once, and nobody else", () => {
  const { all: [endless, quiet, slow], cut, look } = watching(3);
  endless!.connection.came = 1_001;
  slow!.connection.came = 1_000;
  look();
  look();
  deepEqual(cut, [0]);
  slow!.connection.came += 1;
  look();
  deepEqual(cut, [0, 2]);
  equal(quiet!.connection.came, 0);
});

Deno.test("who finishes messages may send as much as they like", () => {
  const { all: [one], cut, look } = watching(1);
  for (let round = 0; round < 100; round++) {
    one!.connection.came! += 50_000;
    one!.watched.delivered();
    look();
  }
  one!.connection.came! += 1_000;
  look();
  deepEqual(cut, []);
  one!.connection.came! += 1;
  look();
  deepEqual(cut, [0], "what came behind the last message counts from there on");
});

Deno.test("of many each is looked at, while others come and go", () => {
  const { all, cut, look, hidden } = watching(500);
  for (const [i, { connection, watched }] of all.entries()) {
    connection.came = i % 2 === 0 ? 2_000 : 500;
    if (i % 10 === 0) watched.stop();
  }
  look();
  hidden.watch(new Connection(), () => {});
  look();
  deepEqual(cut.toSorted((a, b) => a - b), [...all.keys()].filter((i) => i % 2 === 0 && i % 10 !== 0));
});

Deno.test("one that is gone is left alone, and after the end nobody is looked at", () => {
  const { all: [gone, other], cut, look, hidden } = watching(2);
  gone!.connection.came = undefined;
  look();
  hidden.close();
  other!.connection.came = 5_000;
  look();
  deepEqual(cut, []);
});
