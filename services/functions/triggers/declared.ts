import type { DeclaredTable, DeclaredTriggers, TriggerSource } from "../../../src/contracts/function_triggers.ts";
import { invalid } from "./failures.ts";

/** What is declared, and of which kinds something is. */
export interface Declared {
  readonly kinds: readonly TriggerSource["kind"][];
  /** Each with the field of the deployment that says it. */
  readonly sources: readonly { readonly field: string; readonly source: TriggerSource }[];
}

const OPERATIONS = ["insert", "update", "delete"] as const;

/** Whether a deployment says anything of triggers: also that there are to be none is something. */
export const declaresAny = (declared: DeclaredTriggers): boolean =>
  Object.values(declared).some((one) => one !== undefined);

/** Reads what a deployment declares. @throws GatewayError `INVALID_REQUEST` that names the field */
export function readDeclared({ cronExpressions, dbTriggers, pubsubTopics }: DeclaredTriggers): Declared {
  return {
    kinds: [
      ...(cronExpressions ? ["cron" as const] : []),
      ...(dbTriggers ? ["database" as const] : []),
      ...(pubsubTopics ? ["topic" as const] : []),
    ],
    sources: [
      ...(cronExpressions ?? []).map((expression, at) => ({
        field: `cron_expressions.${at}`,
        source: { kind: "cron", expression } as const,
      })),
      ...(dbTriggers ?? []).map((declared, at) => ({
        field: `db_triggers.${at}`,
        source: tableSource(declared, `db_triggers.${at}`),
      })),
      ...(pubsubTopics ?? []).map((topic, at) => ({
        field: `pubsub_topics.${at}`,
        source: { kind: "topic", topic } as const,
      })),
    ],
  };
}

function tableSource({ table, operation, condition }: DeclaredTable, field: string): TriggerSource {
  if (condition !== undefined && condition !== "") {
    throw invalid(
      `${field}.condition`,
      "conditions are not supported: leave it out, and let the function look at the row",
    );
  }
  const words = operation.toLowerCase().split(",").map((word) => word.trim());
  const isAll = words.length === 1 && ["all", "*", ""].includes(words[0]!);
  const known = OPERATIONS.filter((one) => words.includes(one));
  if (!isAll && known.length !== new Set(words).size) {
    throw invalid(`${field}.operation`, "must be insert, update or delete, some of them with commas between, or all");
  }
  return { kind: "database", table, operations: isAll ? [] : known };
}
