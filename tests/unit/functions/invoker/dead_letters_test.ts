import { deepEqual, equal, ok } from "node:assert/strict";
import { DeadLetters } from "../../../../services/functions/invoker/dead_letters.ts";
import { GatewayError } from "../../../../src/contracts/errors.ts";
import { withinDeadline } from "../../../support/deadline.ts";
import { versionOf } from "../log/support/logs.ts";

const context = { requestId: "r1", clientAddress: "", signal: new AbortController().signal };

/** Dead letters whose topic takes messages of so many bytes, once it is open. */
class Topic {
  readonly lines: string[] = [];
  readonly letters: Record<string, unknown>[] = [];
  readonly opened = Promise.withResolvers<void>();
  revoked = 0;
  onTooLarge: () => void = () => {};
  readonly dead: DeadLetters;

  constructor(limit: number) {
    this.dead = new DeadLetters({
      pubsub: {
        publish: async (_namespace, _topic, [message]) => {
          await this.opened.promise;
          if (message!.data.length > limit) {
            this.onTooLarge();
            throw new GatewayError("BODY_TOO_LARGE", "the message is too large");
          }
          this.letters.push(JSON.parse(new TextDecoder().decode(message!.data)));
          return { position: undefined, repeated: false };
        },
      },
      log: { line: (_of, _requestId, { message }) => void this.lines.push(message) },
      revocations: {
        find: (kind, id) => this.revoked === 0 ? undefined : { seq: this.revoked, kind, id, at: 0, expires_at: 1 },
      },
      clock: { now: () => 0 },
      onError: (_requestId, error) => this.lines.push(String(error)),
    });
  }

  send(input: Uint8Array): void {
    const failed = {
      version: versionOf("shop", "hello", { dlqTopic: "dead" }),
      invocation: { namespace: "shop", name: "hello", input, trigger: "cron", caller: "namespace", depth: 0 },
      failure: { code: "FUNCTION_FAILED", message: "no" },
    } as const;
    this.dead.send(failed, context);
  }

  settled(): Promise<void> {
    this.opened.resolve();
    return withinDeadline(this.dead.settled(), "all are published", 20_000);
  }
}

Deno.test("of dead letters that nobody takes no more than a thousand are kept; the others are lines at once", async () => {
  const topic = new Topic(2 ** 20);
  for (let i = 0; i < 1_005; i++) topic.send(new Uint8Array(10));
  equal(topic.lines.length, 5);
  ok(topic.lines.every((line) => line.includes("was not published to the topic dead: too many others")));
  await topic.settled();
  equal(topic.letters.length, 1_000);
  topic.send(new Uint8Array(10));
  await topic.settled();
  deepEqual([topic.letters.length, topic.lines.length], [1_001, 5], "there is room again");
});

Deno.test("dead letters that are under way hold 64 MiB at most", async () => {
  const topic = new Topic(2 ** 20), input = new Uint8Array(700 * 1024);
  for (let i = 0; i < 100; i++) topic.send(input);
  const bytes = (100 - topic.lines.length) * 4 / 3 * input.length;
  ok(bytes <= 64 * 2 ** 20 && bytes > 60 * 2 ** 20, String(bytes));
  await topic.settled();
  equal(topic.letters.length, 100 - topic.lines.length);
});

Deno.test("what is too large for any message is told without its input, but with its length", async () => {
  const topic = new Topic(2 ** 20);
  topic.send(new Uint8Array(900 * 1024));
  topic.send(new Uint8Array(3));
  await topic.settled();
  deepEqual(topic.lines, []);
  const [large, small] = topic.letters;
  deepEqual([large!.input_bytes, "input" in large!], [900 * 1024, false]);
  deepEqual([small!.input, "input_bytes" in small!], ["AAAA", false]);
});

Deno.test("so is what is too large for the namespace's own limit, unless the namespace went meanwhile", async () => {
  const topic = new Topic(1_000);
  topic.send(new Uint8Array(5_000));
  await topic.settled();
  deepEqual([topic.letters[0]!.input_bytes, topic.lines], [5_000, []]);
  topic.onTooLarge = () => topic.revoked = 7;
  topic.send(new Uint8Array(5_000));
  await topic.settled();
  equal(topic.letters.length, 1);
  ok(topic.lines[0]!.includes("BODY_TOO_LARGE"));
});
