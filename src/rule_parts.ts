import type { NamespaceRules } from "./contracts/settings.ts";

/** The part of a namespace's rules that is about one domain, without a promise where they are known. */
export const partOf = <Domain extends keyof NamespaceRules>(
  domain: Domain,
  rules: NamespaceRules | Promise<NamespaceRules>,
): NamespaceRules[Domain] | Promise<NamespaceRules[Domain]> =>
  rules instanceof Promise ? rules.then((all) => all[domain]) : rules[domain];
