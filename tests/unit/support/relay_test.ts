import { equal } from "node:assert/strict";
import { until } from "../../engines/support/wait.ts";
import { awaitedLater } from "../../support/awaited_later.ts";
import { Relay } from "../../support/relay.ts";

Deno.test("while a relay is paused nothing passes, not even an end; when it goes on, all of it does, in order", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  await using relay = new Relay(`http://127.0.0.1:${listener.addr.port}`);
  const accepted = awaitedLater(listener.accept());
  const client = await Deno.connect({ hostname: "127.0.0.1", port: Number(new URL(relay.url).port) });
  using behind = await accepted;
  let text = "", ended = false;
  const reading = awaitedLater((async () => {
    for await (const piece of behind.readable.pipeThrough(new TextDecoderStream())) text += piece;
    ended = true;
  })());
  const say = (words: string) => client.write(new TextEncoder().encode(words));
  await say("a");
  await until("it passes", () => text === "a");
  relay.pause();
  await say("b");
  await until("the relay has it", () => relay.sent === 2);
  client.close();
  // A connection that is made now goes nowhere, and is not refused.
  using other = await Deno.connect({ hostname: "127.0.0.1", port: Number(new URL(relay.url).port) });
  await other.write(new Uint8Array(1));
  equal(text, "a");
  equal(ended, false);
  relay.goOn();
  await until("all of it passes", () => text === "ab" && ended);
  await reading;
});
