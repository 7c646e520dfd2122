import { NAMESPACE_PATTERN } from "../../../src/contracts/namespaces.ts";
import { invalid } from "./failures.ts";

/** What a function may be called. `@` and `/` stand behind names. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
/** What stands behind an `@`, and is no number. */
const ALIAS = /^[A-Za-z0-9_-]{1,64}$/;
/** Paths of their own below `/v1/functions/`, where a function of such a name could not be reached. */
const PATHS = new Set(["secrets", "triggers"]);
/** The word for the version that serves. */
const LATEST = "latest";

/** What stands behind the `@` of a name. */
export type Reference =
  | { readonly kind: "serving" }
  | { readonly kind: "version"; readonly version: number }
  | { readonly kind: "alias"; readonly alias: string };

/** @throws GatewayError `INVALID_REQUEST` for what no function may be called */
export function checkName(name: string): void {
  if (!NAME.test(name)) {
    throw invalid("name", "must be 1 to 64 letters, digits, '.', '-' and '_', beginning with a letter or digit");
  }
  if (PATHS.has(name)) throw invalid("name", `${name} is a path of this API; choose another name`);
}

/** Whether there may be a function of this name in this namespace: what cannot be need not be looked for, and is of any length. */
export const mayBe = (namespace: string, name: string): boolean => NAMESPACE_PATTERN.test(namespace) && NAME.test(name);

/** @throws GatewayError `INVALID_REQUEST` for what no alias may be called */
export function checkAlias(alias: string): void {
  if (!ALIAS.test(alias)) throw invalid("alias", "must be 1 to 64 letters, digits, '-' and '_'");
  if (/^\d+$/.test(alias)) throw invalid("alias", "must not be a number: numbers are versions");
  if (alias === LATEST) throw invalid("alias", "must not be latest: that is always the version that serves");
}

/** What a reference means; what nothing can be called is an alias that is not there. */
export function referenceOf(text: string | undefined): Reference {
  if (text === undefined || text === LATEST) return { kind: "serving" };
  return /^[1-9]\d{0,14}$/.test(text) ? { kind: "version", version: Number(text) } : { kind: "alias", alias: text };
}

/** A function as revocations and memory call it. No namespace and no name holds a `/`. */
export const keyOf = (namespace: string, name: string): string => `${namespace}/${name}`;
