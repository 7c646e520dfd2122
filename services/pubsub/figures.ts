import type { Gap, Unrecovered } from "../../src/contracts/pubsub.ts";

/** What a gateway counts while it runs. */
export class Figures {
  published = 0;
  delivered = 0;
  /** Messages that another gateway published again. */
  duplicates = 0;
  recovered = 0;
  /** What was forgotten within five minutes: idempotency keys, and messages that were published with one. */
  readonly forgotten = { key: 0, message: 0 };
  readonly gaps: Record<Gap["reason"], number> = { gateway_lost: 0, expired: 0, slow: 0 };
  readonly unrecovered: Record<Unrecovered, number> = {
    expired: 0,
    gateway_lost: 0,
    unreachable: 0,
    no_history: 0,
    too_much: 0,
  };
}
