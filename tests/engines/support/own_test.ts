import { equal } from "node:assert/strict";
import { fateOf } from "./own.ts";

const among = (variables: Readonly<Record<string, string>>) => (name: string) => variables[name];
const REQUIRED = { TEST_ENGINES_REQUIRED: "1" };

Deno.test("a test that wants what the machine does not give is left out, and fails where engines are required", () => {
  equal(fateOf(undefined, among({})), "runs");
  equal(fateOf(undefined, among(REQUIRED)), "runs");
  equal(fateOf("unshare failed", among({})), "ignored");
  equal(fateOf("unshare failed", among(REQUIRED)), "fails");
});

Deno.test("who says that the machine cannot has it left out; where it can, it runs all the same", () => {
  const told = { ...REQUIRED, TEST_NO_NAMESPACES: "1" };
  equal(fateOf("unshare failed", among(told)), "ignored");
  equal(fateOf(undefined, among(told)), "runs");
  equal(fateOf("unshare failed", among({ ...REQUIRED, TEST_NO_NAMESPACES: "" })), "fails");
});
