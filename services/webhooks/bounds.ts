/** How much there may be, and how long things take. Times are in milliseconds. */
export const BOUNDS = {
  /** Endpoints of one namespace. */
  endpoints: 20,
  /** Bytes of one event, in UTF-8, as it is sent. */
  eventBytes: 64 * 1024,
  /** Deliveries of one endpoint that wait. */
  waiting: 1_000,
  /** Bytes of all deliveries of one namespace that wait. */
  waitingBytes: 16 * 2 ** 20,
  /** Deliveries of one endpoint that are remembered, of those that were taken and of those that were given up. */
  remembered: 100,
  /** How long a delivery waits at most. */
  waitingLife: 48 * 60 * 60_000,
  /** How long one that was taken is remembered. */
  deliveredLife: 3 * 24 * 60 * 60_000,
  /** How long one that was given up can be sent anew. */
  deadLife: 30 * 24 * 60 * 60_000,
  /** Keys of one endpoint that sign. */
  keys: 3,
  /** How long a key signs beside its successor. */
  overlap: 24 * 60 * 60_000,
} as const;
