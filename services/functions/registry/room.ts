import type { FunctionRules } from "../../../src/contracts/function_rules.ts";
import { overQuota } from "./failures.ts";
import type { FunctionState, Seen } from "./state.ts";

/** Names that one namespace may have had: their last numbers are kept, so that none comes twice. */
export const MOST_NAMES = 20_000;

/** @throws GatewayError `QUOTA_EXCEEDED` where what was seen takes no further function, with the reason */
export function assertRoom({ function: state, former, live, names }: Seen, { maxFunctions }: FunctionRules): void {
  if (state !== undefined) return;
  if (live >= maxFunctions) {
    const sentence = `the namespace may have ${maxFunctions} functions; nothing was deployed`;
    throw overQuota("functions", maxFunctions, sentence);
  }
  if (former === undefined && names >= MOST_NAMES) {
    const sentence = `functions of the namespace have had ${MOST_NAMES} names, and no further one is taken; ` +
      "deploy under a name that there was before; nothing was deployed";
    throw overQuota("names", MOST_NAMES, sentence);
  }
}

/**
 * The numbers of versions that make room for a new one.
 * @param serving the new one's number
 * @throws GatewayError `QUOTA_EXCEEDED` where none may go
 */
export function superfluous(
  { versions, aliases, triggered }: FunctionState,
  serving: number,
  rules: FunctionRules,
): number[] {
  const named = new Set([
    String(serving),
    ...aliases.flatMap(({ targets }) => targets.map(({ version }) => String(version))),
    ...triggered,
  ]);
  const over = versions.length + 1 - rules.maxVersions;
  const free = versions.map(({ shown }) => shown.version).filter((version) => !named.has(String(version)));
  if (over > free.length) {
    const sentence =
      `a function may have ${rules.maxVersions} versions, and aliases or triggers name all that are kept; ` +
      "nothing was deployed";
    throw overQuota("versions", rules.maxVersions, sentence);
  }
  return over <= 0 ? [] : free.slice(-over);
}
