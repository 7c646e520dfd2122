import { field, section } from "../field.ts";
import { choice, flag } from "../kinds/plain.ts";

/** What the gateway writes about its work. */
export const log = section({
  description: "What the gateway writes about its work, on standard error. No secret is ever in it.",
  fields: {
    level: field(choice(["trace", "debug", "info", "warning", "error", "fatal"]), {
      default: "info",
      description: "The least important messages that are written.",
    }),
    access: field(flag, {
      default: true,
      description: "Whether each answered request gets a line.",
    }),
    format: field(choice(["json", "text"]), {
      default: "json",
      description: "`json`: one object a line, for programs. `text`: for eyes.",
    }),
  },
});
