import { field, group, section } from "../field.ts";
import { integer, number } from "../kinds/plain.ts";

const limit = (whom: string, { rate, burst }: { readonly rate: number; readonly burst: number }) =>
  group({
    rate: field(number({ max: 1_000_000 }), {
      default: rate,
      unit: "requests/s",
      description: `Requests per second, on average, ${whom}. 0 switches this limit off.`,
    }),
    burst: field(integer({ max: 10_000_000 }), {
      default: burst,
      unit: "requests",
      description: `Requests at once, after a pause, ${whom}.`,
    }),
  });

/** How often clients may call. */
export const limits = section({
  description:
    "How often clients may call. Each gateway counts for itself. A request beyond its limit is 429 with `Retry-After`.",
  fields: {
    key: limit("of one credential", { rate: 200, burst: 2000 }),
    address: limit("of one client address without a credential", { rate: 50, burst: 500 }),
    credentials: limit("of one client address on the routes that give or take credentials", { rate: 1, burst: 60 }),
  },
  check: (limits) =>
    Object.entries(limits)
      .filter(([, { rate, burst }]) => rate > 0 && burst < 1)
      .map(([name]) => ({ key: `${name}.burst`, because: `${name}.rate`, expected: "at least 1, or a rate of 0" })),
});
