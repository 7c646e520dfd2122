/** What a connection that stays open can be refused with. */
export const LIVE_ERRORS = [
  "FORBIDDEN",
  "TOO_MANY_SOCKETS",
  "TOO_MANY_SUBSCRIPTIONS",
  "TOO_MANY_TOPICS",
  "UNAVAILABLE",
] as const;
/** What publishing can. */
export const PUBLISH_ERRORS = ["FORBIDDEN", "BODY_TOO_LARGE", "TOO_MANY_TOPICS", "UNAVAILABLE"] as const;
