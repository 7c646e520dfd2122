import { deepEqual } from "node:assert/strict";
import type { Entry, TopicKey, View } from "../../../../services/pubsub/cluster/cluster.ts";
import { positionText, sumOf } from "../../../../services/pubsub/position.ts";
import { type ErrorCode, GatewayError } from "../../../../src/contracts/errors.ts";
import type { Unrecovered } from "../../../../src/contracts/pubsub.ts";
import { said, Subject, text } from "./subject.ts";

/** What a position says. */
export const view = (known: number, ...heads: readonly (readonly [number, number])[]): View => ({
  heads: new Map(heads),
  known,
});

/** The position that says it, of the topic `t` if of none other. */
export const position = (said: View, key: TopicKey = "n/t"): string => positionText(sumOf(key), said)!;

/** A message of another gateway. */
export const entry = (content: string, at?: number, id?: string): Entry => ({ ...text(content), at: at ?? 0, id });

/** Whether something that was thrown has this code. */
export const code = (expected: ErrorCode) => (error: unknown): boolean =>
  error instanceof GatewayError && error.code === expected;

/** What somebody is told who stood somewhere in the topic `t`: the messages that were missed, or why they are not known. */
export async function recovery(subject: Subject, since: string | undefined): Promise<string[] | Unrecovered> {
  const { subscription } = await subject.listen("t", { since });
  subscription.close();
  if (subscription.recovered) return subscription.missed.map(said);
  deepEqual(subscription.missed, []);
  return subscription.unrecovered!;
}

/** Two gateways: this one is epoch 1, and the other epoch 2, whose answers the test gives. */
export function two(): Subject {
  const subject = new Subject();
  subject.cluster.seen = { open: new Set([1, 2]), known: 2 };
  return subject;
}
