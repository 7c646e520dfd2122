import type { RuleProblem } from "./field.ts";

/** What rules between sections look at. */
export interface RuledConfig {
  readonly functions: { readonly hosts: { readonly memory: number } };
  readonly limits: { readonly functions: { readonly memory: number } };
}

/** Rules between settings of different sections. The keys of what is broken begin with their section. */
export const rulesBetween = ({ functions, limits }: RuledConfig): readonly RuleProblem[] =>
  limits.functions.memory <= functions.hosts.memory ? [] : [{
    key: "limits.functions.memory",
    because: "functions.hosts.memory",
    expected: "no more than functions.hosts.memory",
  }];
