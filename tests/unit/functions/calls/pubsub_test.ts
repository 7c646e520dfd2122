import { deepEqual, equal } from "node:assert/strict";
import { noise } from "../../../support/storage.ts";
import { until } from "../../../engines/support/wait.ts";
import { Listener, requestOf } from "../../pubsub/support/subject.ts";
import { Calls, refused, utf8, valueOf } from "./support/calls.ts";

async function listening(calls: Calls, namespace: string, topic: string): Promise<Listener> {
  const listener = new Listener();
  await calls.pubsub.subscribe(namespace, topic, listener, {}, requestOf());
  return listener;
}

Deno.test("a message goes to the function's own namespace alone, byte for byte", async () => {
  await using calls = await Calls.start();
  const own = await listening(calls, "shop", "orders"), other = await listening(calls, "shop-2", "orders");
  const data = noise(1_000);
  equal(valueOf(await calls.perform("pubsub_publish", "orders", data)), 1);
  await calls.performIn("shop-2", "pubsub_publish", "orders", utf8("theirs"));
  await until("messages arrive", () => own.messages.length === 1 && other.messages.length === 1);
  deepEqual(own.messages[0]!.data, data);
  deepEqual(other.lines, ["theirs"]);
});

Deno.test("no topic names one of another namespace", async () => {
  await using calls = await Calls.start();
  const other = await listening(calls, "shop-2", "orders");
  for (
    const topic of ["shop-2.orders", "shop-2/orders", "-2.orders", "-2/orders", "../shop-2/orders", "shop-2:orders"]
  ) {
    equal(valueOf(await calls.perform("pubsub_publish", topic, utf8("x"))), 1, topic);
  }
  refused(await calls.perform("pubsub_publish", "-2\0orders", utf8("x")), "INVALID_REQUEST", "topic");
  await calls.performIn("shop-2", "pubsub_publish", "orders", utf8("last"));
  await until("messages arrive", () => other.messages.length > 0);
  deepEqual(other.lines, ["last"]);
});

Deno.test("topics and messages that cannot be are refused", async () => {
  await using calls = await Calls.start();
  for (const topic of ["", "t".repeat(256), "t".repeat(100_000), "a\nb", "\udc00"]) {
    refused(await calls.perform("pubsub_publish", topic, utf8("x")), "INVALID_REQUEST", "topic: ");
  }
  refused(await calls.perform("pubsub_publish", "t", noise(2 ** 20 + 1)), "BODY_TOO_LARGE");
  refused(await calls.perform("pubsub_publish", "t", "text"), "INVALID_REQUEST", "data: must be bytes");
});
