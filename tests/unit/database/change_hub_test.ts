import { deepEqual, equal, ok } from "node:assert/strict";
import { ChangeHub } from "../../../services/database/changes/hub.ts";
import { HubListener, TableFilter } from "../../../services/database/changes/listener.ts";
import type { LoggedChange, LogPage, PageSize } from "../../../services/database/changes/log.ts";

const EPOCH = "0123456789abcdef";
const PIECE = 256 * 2 ** 10;

/** A log of changes that are as large as they say. */
class FakeLog {
  readonly changes: LoggedChange[] = [];
  /** How much was asked for, each time. */
  readonly asked: PageSize[] = [];

  add(count: number, size: number): void {
    for (let i = 0; i < count; i++) {
      const id = this.changes.length + 1;
      const change = { kind: "insert", position: `${EPOCH}-${id}`, table: "t", tooLarge: false } as const;
      this.changes.push({ id, feed: 1, size, change });
    }
  }

  read(_namespace: string, after: number, size: PageSize): Promise<LogPage> {
    this.asked.push(size);
    const top = this.changes.length;
    const changes: LoggedChange[] = [];
    let bytes = 0;
    for (const one of this.changes.slice(after, after + size.changes)) {
      if (bytes >= (size.bytes ?? 2 * 2 ** 20)) break;
      changes.push(one);
      bytes += one.size;
    }
    return Promise.resolve({ epoch: EPOCH, lost: 0, top, schemaVersion: 1, changes, end: changes.at(-1)?.id ?? top });
  }
}

function hubOn(log: FakeLog, held: { bytes: number }) {
  const hub = new ChangeHub({ namespace: "n", log, held, poll: undefined, schemaMoved() {}, onError() {} });
  const listenFrom = (id: number) =>
    new HubListener({
      namespace: "n",
      hub,
      log,
      filter: new TableFilter(undefined, []),
      delivered() {},
      closed() {},
    }, { epoch: EPOCH, id });
  return { hub, listenFrom, [Symbol.dispose]: () => hub.close() };
}

/** What a listener takes, each time, until it has so many. */
async function takes(listener: HubListener, count: number): Promise<number[][]> {
  const pieces: number[][] = [];
  while (pieces.flat().length < count) {
    const events = await listener.next(AbortSignal.timeout(5_000));
    pieces.push(events!.map(({ position }) => Number(position.split("-")[1])));
  }
  return pieces;
}

Deno.test("a listener takes little at once, whether it is at hand or in the log, and all of it once and in order", async () => {
  const size = 20_000, count = 300;
  // Where all hubs hold too much, this one keeps hardly anything: then the log is read.
  for (const full of [0, 2 ** 40]) {
    const log = new FakeLog();
    using made = hubOn(log, { bytes: full });
    await made.hub.look();
    log.add(count, size);
    await made.hub.look();
    const before = log.asked.length;
    const pieces = await takes(made.listenFrom(0), count);
    deepEqual(pieces.flat(), Array.from({ length: count }, (_, i) => i + 1));
    for (const piece of pieces) ok((piece.length - 1) * size < PIECE, `${piece.length} changes of ${size} bytes`);
    const asked = log.asked.slice(before);
    equal(asked.length > 0, full > 0, "the log is read where it must be, and not where it need not");
    for (const { bytes } of asked) equal(bytes, PIECE);
  }
});

Deno.test("a change that is larger than what is taken at once is taken alone", async () => {
  const log = new FakeLog();
  using made = hubOn(log, { bytes: 0 });
  await made.hub.look();
  log.add(3, 2 * PIECE);
  await made.hub.look();
  deepEqual(await takes(made.listenFrom(0), 3), [[1], [2], [3]]);
});

Deno.test("what all hubs hold at hand is bounded, and given back when they close", async () => {
  const held = { bytes: 0 };
  const hubs: { [Symbol.dispose](): void }[] = [];
  for (let i = 0; i < 40; i++) {
    const log = new FakeLog();
    const made = hubOn(log, held);
    hubs.push(made);
    await made.hub.look();
    log.add(100, 100_000);
    await made.hub.look();
    deepEqual((await takes(made.listenFrom(99), 1)).flat(), [100], "the newest is at hand or in the log");
  }
  ok(held.bytes > 32 * 2 ** 20 && held.bytes <= (64 + 40 * 0.25 + 8) * 2 ** 20, `${held.bytes} bytes`);
  for (const made of hubs) made[Symbol.dispose]();
  equal(held.bytes, 0);
});
