import { deepEqual, equal, ok } from "node:assert/strict";
import { z } from "zod";
import { nearestName, unknownMember } from "../../../src/http/names.ts";

const schema = z.strictObject({
  sql: z.strictObject({ read_level: z.string(), statement_timeout: z.number() }).partial().optional(),
  list: z.array(z.strictObject({ name: z.string() })).nullable(),
});

Deno.test("a mistyped name is told with the known one that it comes closest to", () => {
  const known = ["read_level", "freshness", "statement_timeout"];
  for (
    const [name, nearest] of [
      ["readlevel", "read_level"],
      ["statment_timeout", "statement_timeout"],
      ["READ_LEVEL", "read_level"],
      ["timeout", undefined],
      ["", undefined],
      ["x".repeat(1_000_000), undefined],
    ] as const
  ) equal(nearestName(name, known), nearest, name.slice(0, 20));
  equal(nearestName("a", []), undefined);
});

Deno.test("an unknown member is told by its whole path, wherever it is", () => {
  deepEqual(unknownMember(schema, [], "sq"), { field: "sq", problem: "unknown; did you mean sql?" });
  deepEqual(unknownMember(schema, ["sql"], "read_levle"), {
    field: "sql.read_levle",
    problem: "unknown; did you mean read_level?",
  });
  deepEqual(unknownMember(schema, ["list", 3], "nam"), { field: "list.3.nam", problem: "unknown; did you mean name?" });
  deepEqual(unknownMember(schema, ["sql"], "__proto__"), {
    field: "sql.__proto__",
    problem: "unknown; expected one of read_level, statement_timeout",
  });
});

Deno.test("an unknown name that is very long is not repeated in the answer", () => {
  const { field, problem } = unknownMember(schema, ["sql"], "x".repeat(1_000_000));
  ok(field.length < 100 && problem.length < 100);
});
