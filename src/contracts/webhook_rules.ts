/** What holds for the webhooks of one namespace. */
export interface WebhookRules {
  /** Webhooks that it may have. One that has more keeps them, and makes no further one. */
  readonly maxEndpoints: number;
  /** Bytes of one event, in UTF-8, as it is sent. */
  readonly maxEventBytes: number;
  /** Events that wait for one webhook. */
  readonly maxWaiting: number;
  /** Bytes of all events that wait for webhooks of the namespace. */
  readonly maxWaitingBytes: number;
  /** Requests of the namespace that are under way at once on one gateway. */
  readonly maxInFlight: number;
  /**
   * Deliveries of one webhook that are remembered, of those that were taken and of those that were given up; `Infinity` while nobody can
   * say.
   */
  readonly maxRemembered: number;
  /** For how many milliseconds those that were taken are remembered, at most; `Infinity` while nobody can say. */
  readonly deliveredRetention: number;
  /** For how many milliseconds those that were given up can be sent anew, at most; `Infinity` while nobody can say. */
  readonly deadRetention: number;
}

/** What each limit for webhooks may be at most; see {@link WebhookRules} for what they mean. */
export interface WebhookLimitValues {
  readonly endpoints: number;
  readonly event_bytes: number;
  readonly waiting: number;
  readonly waiting_bytes: number;
  readonly requests_in_flight: number;
  readonly remembered: number;
  /** Milliseconds. */
  readonly delivered_retention: number;
  /** Milliseconds. */
  readonly dead_retention: number;
}
