import { z } from "zod";
import { SLOW_POLICIES } from "../../src/contracts/settings.ts";

const DAY = 24 * 60 * 60 * 1000;
/** How many origins a namespace may name: each gateway keeps them in memory. */
const MAX_ORIGINS = 64;
const MAX_LENGTH = 255;
const EXPECTED = "must be an origin such as https://app.example, without a path";

/** Pages have HTTP origins; applications that show pages of their own have schemes of their own (`capacitor://localhost`). */
const origin = z.string(EXPECTED).max(MAX_LENGTH).regex(/^[a-z][a-z\d+.-]*:\/\/[^\s/?#@\\*]+$/i, EXPECTED)
  .transform((text, context) => {
    const url = URL.parse(text);
    // Of a scheme that is not its own, the URL parser knows no origin: browsers send it in lower case.
    if (url) return url.origin === "null" ? text.toLowerCase() : url.origin;
    context.addIssue({ code: "custom", message: EXPECTED });
    return z.NEVER;
  });

const origins = z.array(origin).min(1).max(MAX_ORIGINS).superRefine((list, context) => {
  for (const [i, one] of list.entries()) {
    if (list.indexOf(one) !== i) context.addIssue({ code: "custom", message: "is in the list already", path: [i] });
  }
});

const history_size = z.int().min(0).max(1_000_000).nullable().describe(
  "Messages that are kept of each topic, for those who were away; 0: none. No more than the limit `history_messages`.",
);
const history_ttl = z.int().min(1000).max(DAY).nullable().describe(
  "Milliseconds for which they are kept; no more than the limit.",
);
const slow_readers = z.enum(SLOW_POLICIES).nullable().describe(
  "What becomes of a socket that reads too slowly: `drop` drops the oldest that waits for it and says so, `close` closes it.",
);
const ORIGINS =
  "Origins of pages that may open sockets and event streams; a request without `Origin` comes from no page, and may. The list " +
  "is given as a whole. `null`: any.";

/** What an owner may set for live messages. */
export const pubsubSettings = z.strictObject({
  history_size,
  history_ttl,
  slow_readers,
  origins: origins.nullable().describe(ORIGINS),
});

/** The same in an answer. */
export const pubsubSettingsAnswered = z.object({
  history_size,
  history_ttl,
  slow_readers,
  origins: z.array(z.string()).nullable().describe(ORIGINS),
});
