import { field, section } from "../field.ts";
import { flag } from "../kinds/plain.ts";

/** Figures for Prometheus. */
export const metrics = section({
  description: "Figures for Prometheus.",
  fields: {
    enabled: field(flag, {
      default: true,
      description: "Whether `GET /metrics` answers, to operators only.",
    }),
  },
});
