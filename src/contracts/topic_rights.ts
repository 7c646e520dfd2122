import {
  type Grant,
  type Principal,
  type Scope,
  SCOPES,
  TOPIC_RIGHTS,
  type TopicBounds,
  type TopicRight,
} from "./identity.ts";
import type { PubSubCaller } from "./pubsub.ts";

/** A caller, or as much of one as says what it may do with topics. */
type Holder = Pick<Principal, "scopes" | "topics">;

/** Whether a principal may do something with a topic: it has the scope, and one of the patterns to which that is bound fits. */
export const mayUse = (holder: Holder, right: TopicRight, topic: string): boolean => covers(holder, right, topic);

/**
 * Whether a principal has a right that it wants to give away: nobody gives what is more than the own credential has. Of several
 * patterns of the own, one alone has to stand for all that is given.
 */
export function mayGive({ scopes, topics }: Holder, grant: Grant): boolean {
  const { scope, right, pattern } = partsOf(grant);
  if (right === undefined) return scopes.has(scope);
  // A `*` in what is given stands for anything, as nothing but a `*` of the own does: no other character of a pattern is one.
  return pattern === undefined
    ? scopes.has(scope) && topics?.[right] === undefined
    : covers({ scopes, ...(topics && { topics }) }, right, pattern);
}

function covers({ scopes, topics }: Holder, right: TopicRight, text: string): boolean {
  if (!scopes.has(`pubsub:${right}`)) return false;
  const patterns = topics?.[right];
  return patterns === undefined || patterns.some((pattern) => fits(pattern, text));
}

/**
 * Whether a text is one that a pattern stands for: `*` is any run of characters, everything else itself.
 *
 * Each part is taken where it is first found behind the one before: where that fails, no later place would have helped. So
 * nothing is ever tried twice, and a pattern of a tenant's making costs no more than its length times that of the text.
 */
export function fits(pattern: string, text: string): boolean {
  const parts = pattern.split("*");
  const head = parts.shift()!;
  const tail = parts.pop();
  if (tail === undefined) return head === text;
  const end = text.length - tail.length;
  if (end < head.length || !text.startsWith(head) || !text.endsWith(tail)) return false;
  let at = head.length;
  for (const part of parts) {
    const found = text.indexOf(part, at);
    if (found === -1 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
}

/** What a key's rights come to: the scopes, and the topics to which those of `pubsub:` are bound. */
export function rightsOf(
  grants: readonly Grant[],
): { readonly scopes: readonly Scope[]; readonly topics?: TopicBounds } {
  const parts = grants.map(partsOf);
  const bounds = TOPIC_RIGHTS.flatMap((right) => {
    const own = parts.filter((part) => part.right === right);
    // One without a pattern is for every topic, whatever stands beside it.
    if (own.length === 0 || own.some(({ pattern }) => pattern === undefined)) return [];
    return [[right, own.map(({ pattern }) => pattern)]];
  });
  const scopes = [...new Set(parts.map(({ scope }) => scope))];
  return bounds.length === 0 ? { scopes } : { scopes, topics: Object.fromEntries(bounds) };
}

/** The same rights as a key would carry them. */
export const grantsOf = (scopes: Iterable<Scope>, topics: TopicBounds = {}): readonly Grant[] =>
  [...scopes].flatMap((scope): readonly Grant[] => {
    const { right } = partsOf(scope);
    const patterns = right && topics[right];
    return right && patterns ? patterns.map((pattern): Grant => `pubsub:${right}:${pattern}`) : [scope];
  });

const GRANT = new RegExp(`^(pubsub:(${TOPIC_RIGHTS.join("|")}))(?::(.*))?$`, "s");

/** A grant in its parts; `right` is absent in those that are not about topics, `pattern` in those for every topic. */
function partsOf(grant: Grant): {
  readonly scope: Scope;
  readonly right?: TopicRight | undefined;
  readonly pattern?: string | undefined;
} {
  const [, scope, right, pattern] = GRANT.exec(grant) ?? [];
  return scope === undefined
    ? { scope: grant as Scope }
    : { scope: scope as Scope, right: right as TopicRight, pattern };
}

/** What is wrong with what is to be a right of a key; `undefined` for one that is. */
export function grantProblem(grant: unknown): string | undefined {
  if (SCOPES.some((scope) => scope === grant)) return undefined;
  const pattern = typeof grant === "string" ? partsOf(grant as Grant).pattern : undefined;
  if (pattern === undefined) {
    const bound = TOPIC_RIGHTS.map((right) => `pubsub:${right}:`).join(", ");
    return `must be one of ${SCOPES.join(", ")}, or one of ${bound} with a pattern of topics behind it`;
  }
  const problem = nameProblem(pattern);
  return problem && `the pattern of topics ${problem}`;
}

/** Whether a text is a right for the topics that a pattern names; the pattern may be one that cannot be. */
export const isTopicGrant = (text: string): text is `pubsub:${TopicRight}:${string}` =>
  partsOf(text as Grant).pattern !== undefined;

/** Bytes of UTF-8 that the name of a topic or a member, or a pattern, may have. */
export const MAX_NAME_BYTES = 255;
/** How many patterns one credential may have. */
export const MAX_PATTERNS = 32;
/** Bytes of UTF-8 that its patterns may have together: they are in every token that is made from it. */
export const MAX_PATTERN_BYTES = 1_024;

const encoder = new TextEncoder();
const bytesOf = (text: string) => encoder.encode(text).length;

/** What is wrong with a name of a topic or a member, or with a pattern; `undefined` for one that can be. */
export function nameProblem(text: string): string | undefined {
  if (text === "") return "must not be empty";
  // No text has fewer bytes than UTF-16 units.
  if (text.length > MAX_NAME_BYTES) return TOO_LONG;
  if (!text.isWellFormed()) return "must be text that UTF-8 can hold";
  if (Array.from(text).some((character) => character < " " || character === "\x7f")) {
    return "must have no control characters";
  }
  return bytesOf(text) > MAX_NAME_BYTES ? TOO_LONG : undefined;
}

const TOO_LONG = `must have at most ${MAX_NAME_BYTES} bytes`;

/** What is wrong with the patterns of one credential; `undefined` for those that it may have. */
export function patternsProblem(patterns: readonly string[]): string | undefined {
  if (patterns.length > MAX_PATTERNS) return `must have at most ${MAX_PATTERNS} patterns of topics`;
  return patterns.reduce((sum, pattern) => sum + bytesOf(JSON.stringify(pattern)), 0) > MAX_PATTERN_BYTES
    ? `must have patterns of topics of at most ${MAX_PATTERN_BYTES} bytes together`
    : undefined;
}

/** The patterns in the rights of a key. */
export const patternsOf = (grants: readonly Grant[]): readonly string[] =>
  grants.flatMap((grant) => partsOf(grant).pattern ?? []);

/** Who calls, as far as limits and idempotency keys of live messages go. */
export function callerOf(
  principal: Pick<Principal, "kind" | "id" | "subject" | "topics" | "memberId">,
): PubSubCaller {
  const { kind, topics, memberId } = principal;
  const isGuest = kind === "jwt" && (topics !== undefined || memberId !== undefined);
  return { caller: publisherName(principal), isGuest };
}

/**
 * Whose idempotency keys are compared with each other. Of many who were each given a token of the same key every one is somebody
 * else; one with a member id stays who they are with their next token.
 */
const publisherName = (
  { id, subject, topics, memberId }: Pick<Principal, "id" | "subject" | "topics" | "memberId">,
): string => memberId !== undefined ? `${subject}/${memberId}` : topics === undefined ? subject : id;
