import { field, section } from "../field.ts";
import { choice, flag, integer } from "../kinds/plain.ts";

/** Who may have a namespace. */
export const namespaces = section({
  description: "Who may have a namespace: the unit that owns data, keys and limits.",
  fields: {
    creation: field(choice(["wallet", "operator"]), {
      default: "wallet",
      description:
        "`wallet`: the first wallet that signs in to a free name owns it. `operator`: only an operator creates namespaces.",
    }),
    max_per_wallet: field(integer({ min: 0, max: 1_000_000 }), {
      default: 10,
      unit: "namespaces",
      description: "How many namespaces one wallet may own.",
    }),
    shared_default: field(flag, {
      default: false,
      description:
        "Whether every wallet may use the namespace `default`, where all of them see the same data. For development and closed networks.",
    }),
  },
});
