import { field, section } from "../field.ts";
import { path } from "../kinds/plain.ts";

/** Where embedded drivers keep what they hold. */
export const data = section({
  description: "Where embedded drivers keep what they hold.",
  fields: {
    dir: field(path, {
      default: "./data",
      description:
        "The data folder, made when it is not there. It belongs to one gateway: a second one refuses to start on it.",
    }),
  },
});
