import { deepEqual, equal } from "node:assert/strict";
import { Keeper } from "../../../services/network/keeper.ts";

const A = ["/ip4/10.0.0.1/tcp/4001/p2p/a"];

/** A keeper whose time passes when the test says so. */
class Kept {
  readonly dialled: [peer: string, at: number][] = [];
  readonly connected = new Set<string>();
  /** Who answers. */
  readonly answering = new Set<string>();
  readonly keeper: Keeper;
  #now = 0;
  #plans = new Map<number, { at: number; work: () => void }>();
  #last = 0;

  constructor(self = "m") {
    this.keeper = new Keeper({
      self,
      isConnected: (peer) => this.connected.has(peer),
      chance: () => 1,
      dial: (peer) => {
        this.dialled.push([peer, this.#now]);
        if (!this.answering.has(peer)) return Promise.reject(new Error("refused"));
        this.connected.add(peer);
        this.keeper.connected(peer);
        return Promise.resolve();
      },
      clock: {
        after: (ms, work) => {
          const id = ++this.#last;
          this.#plans.set(id, { at: this.#now + ms, work });
          return () => this.#plans.delete(id);
        },
      },
    });
  }

  get planned(): number {
    return this.#plans.size;
  }

  async pass(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      const next = [...this.#plans].filter(([, { at }]) => at <= end).sort(([, a], [, b]) => a.at - b.at)[0];
      if (next === undefined) break;
      this.#plans.delete(next[0]);
      this.#now = next[1].at;
      next[1].work();
      // What a failed attempt leads to is decided behind its promise.
      for (let i = 0; i < 10; i++) await Promise.resolve();
    }
    this.#now = end;
  }

  lose(peer: string): void {
    this.connected.delete(peer);
    this.keeper.disconnected(peer);
  }
}

Deno.test("who does not answer is dialled again, with pauses that grow to half a minute", async () => {
  const kept = new Kept();
  kept.keeper.know(new Map([["z", A]]));
  await kept.pass(120_000);
  const at = kept.dialled.map(([, at]) => at);
  deepEqual(at.slice(0, 8).map((time, i) => time - (at[i - 1] ?? 0)), [
    0,
    500,
    1_000,
    2_000,
    4_000,
    8_000,
    16_000,
    30_000,
  ]);
  equal(at.at(-1)! - at.at(-2)!, 30_000);
});

Deno.test("of two that know each other one begins, and the other only if that comes to nothing", async () => {
  const kept = new Kept();
  kept.keeper.know(new Map([["a", A]]));
  await kept.pass(999);
  deepEqual(kept.dialled, []);
  kept.connected.add("a");
  kept.keeper.connected("a");
  await kept.pass(100_000);
  deepEqual(kept.dialled, []);
});

Deno.test("who is lost is dialled again soon, from the first pause on", async () => {
  const kept = new Kept();
  kept.answering.add("z");
  kept.keeper.know(new Map([["z", A]]));
  await kept.pass(1_000);
  kept.answering.delete("z");
  kept.lose("z");
  await kept.pass(2_000);
  deepEqual(kept.dialled, [["z", 0], ["z", 1_500], ["z", 2_000], ["z", 3_000]]);
  kept.answering.add("z");
  await kept.pass(100_000);
  equal(kept.dialled.length, 5);
  equal(kept.planned, 0);
});

Deno.test("who is no longer named is no longer dialled, unless an operator named it", async () => {
  const kept = new Kept();
  kept.keeper.keep("y", A);
  kept.keeper.know(new Map([["z", A], ["y", A]]));
  await kept.pass(1_000);
  kept.keeper.know(new Map());
  kept.dialled.length = 0;
  await kept.pass(100_000);
  deepEqual(new Set(kept.dialled.map(([peer]) => peer)), new Set(["y"]));
});

Deno.test("other addresses are tried at once; the same ones change nothing", async () => {
  const kept = new Kept();
  kept.keeper.know(new Map([["z", A]]));
  await kept.pass(60_000);
  const before = kept.dialled.length;
  kept.keeper.know(new Map([["z", [...A]]]));
  await kept.pass(0);
  equal(kept.dialled.length, before);
  kept.keeper.know(new Map([["z", ["/ip4/10.0.0.2/tcp/4001/p2p/z"]]]));
  await kept.pass(0);
  equal(kept.dialled.length, before + 1);
});

Deno.test("a gateway does not dial itself, nor one without addresses, nor anybody once it is closed", async () => {
  const kept = new Kept();
  kept.keeper.know(new Map([["m", A], ["z", []]]));
  kept.keeper.keep("m", A);
  await kept.pass(60_000);
  deepEqual(kept.dialled, []);
  kept.keeper.keep("y", A);
  await kept.pass(600);
  const before = kept.dialled.length;
  kept.keeper.close();
  kept.keeper.keep("x", A);
  await kept.pass(100_000);
  deepEqual([kept.dialled.length, kept.planned], [before, 0]);
});
