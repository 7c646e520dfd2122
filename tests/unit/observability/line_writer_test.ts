import { deepEqual, equal, ok } from "node:assert/strict";
import { LineWriter, type Sink } from "../../../src/observability/line_writer.ts";

/** A sink in memory, as slow, as partial or as broken as a test wants it. */
class MemorySink implements Sink {
  text = "";
  writes = 0;
  before: () => void | Promise<void> = () => {};
  /** How much one write takes at most. */
  most = Infinity;

  async write(bytes: Uint8Array): Promise<number> {
    this.writes++;
    await this.before();
    const taken = bytes.subarray(0, Math.min(this.most, bytes.byteLength));
    this.text += new TextDecoder().decode(taken);
    return taken.byteLength;
  }
}

Deno.test("lines come out whole, in order, each with its end", async () => {
  const sink = new MemorySink();
  const writer = new LineWriter(sink);
  for (let i = 0; i < 1_000; i++) writer.line(`line ${i} ü`);
  await writer.flush();
  equal(sink.text, Array.from({ length: 1_000 }, (_, i) => `line ${i} ü\n`).join(""));
  equal(sink.writes, 1, "those of one turn go together");
  equal(writer.dropped, 0);
});

Deno.test("a sink that takes a few bytes at a time gets everything", async () => {
  const sink = new MemorySink();
  sink.most = 3;
  const writer = new LineWriter(sink);
  writer.line("abcdefgh");
  writer.line("ijk");
  await writer.flush();
  equal(sink.text, "abcdefgh\nijk\n");
});

Deno.test("line() never waits: with a reader that stalls, lines beyond the bound are dropped and counted", async () => {
  const sink = new MemorySink();
  const { promise: gate, resolve: open } = Promise.withResolvers<void>();
  const { promise: writing, resolve: begun } = Promise.withResolvers<void>();
  sink.before = () => {
    begun();
    return gate;
  };
  const writer = new LineWriter(sink);
  writer.line("first");
  await writing;
  for (let i = 0; i < 20_500; i++) writer.line(String(i));
  equal(writer.dropped, 500);
  open();
  await writer.flush();
  const lines = sink.text.trimEnd().split("\n");
  equal(lines.length, 20_001);
  deepEqual([lines[0], lines[1], lines.at(-1)], ["first", "0", "19999"]);
  writer.line("after");
  await writer.flush();
  ok(sink.text.endsWith("\nafter\n"), "it goes on when the reader does");
  equal(writer.dropped, 500);
});

Deno.test("a sink that fails costs the lines it was given, counted, and no more", async () => {
  const sink = new MemorySink();
  const writer = new LineWriter(sink);
  sink.before = () => {
    writer.line("while it fails");
    throw new Error("broken pipe");
  };
  for (let i = 0; i < 10; i++) writer.line(String(i));
  await writer.flush();
  equal(writer.dropped, 11);
  sink.before = () => {};
  writer.line("it works again");
  await writer.flush();
  equal(sink.text, "it works again\n");
  equal(writer.dropped, 11);
});

Deno.test("flush() with nothing to write is done at once, and waits for lines that come meanwhile", async () => {
  const sink = new MemorySink();
  const writer = new LineWriter(sink);
  await writer.flush();
  equal(sink.writes, 0);
  let once = true;
  sink.before = () => {
    if (once) writer.line("second");
    once = false;
  };
  writer.line("first");
  await writer.flush();
  equal(sink.text, "first\nsecond\n");
});
