import { type FieldProblem, GatewayError } from "../../../src/contracts/errors.ts";
import { isAuthority, parseDateTime, parseUri } from "./message_syntax.ts";
import { canonicalWallet, type Chain, type Wallet } from "./wallet.ts";

/** A longer message is refused before it is looked at. */
const MAX_LENGTH = 8192;
const NAMES: Readonly<Record<Chain, string>> = { ETH: "Ethereum", SOL: "Solana" };
const HEADER = /^(?:([A-Za-z][A-Za-z0-9+.-]*):\/\/)?([^ ]+) wants you to sign in with your (Ethereum|Solana) account:$/;
const STATEMENT = /^[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;= ]*$/;
const CHAIN_ID: Readonly<Record<Chain, RegExp>> = { ETH: /^[0-9]+$/, SOL: /^[A-Za-z0-9][A-Za-z0-9:_-]*$/ };
const PCHARS = /^(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})*$/;
const NAMESPACE_URN = "urn:orama:namespace:";
const PURPOSE_URN = "urn:orama:purpose:";

/** A sign-in message, taken apart. Texts are as they stand in the message; what is absent there is absent here. */
export interface SignInMessage {
  /** Whose form it has: EIP-4361 or Sign-In with Solana. */
  readonly chain: Chain;
  readonly scheme?: string;
  /** `host[:port]` of whoever asks for the signature. */
  readonly domain: string;
  readonly address: string;
  readonly statement?: string;
  readonly uri: string;
  /** Digits on Ethereum; a name such as `mainnet` or `solana:mainnet` on Solana. */
  readonly chainId: string;
  readonly nonce: string;
  /** These three: Unix milliseconds. */
  readonly issuedAt: number;
  readonly expirationTime?: number;
  readonly notBefore?: number;
  readonly requestId?: string;
  readonly resources?: readonly string[];
}

/** What a message is made of. */
export interface MessageFields extends
  Pick<
    SignInMessage,
    | "scheme"
    | "domain"
    | "statement"
    | "uri"
    | "chainId"
    | "nonce"
    | "issuedAt"
    | "expirationTime"
    | "notBefore"
    | "requestId"
  > {
  readonly wallet: Wallet;
  /** Becomes the resource `urn:orama:namespace:<namespace>`. */
  readonly namespace: string;
  /** Becomes the resource `urn:orama:purpose:<purpose>`, percent-encoded. */
  readonly purpose: string;
}

/** What the gateway accepts in a message. */
export interface MessageExpectations {
  /** Authorities that may ask for signatures: of the gateway and of the applications it trusts. Letter case aside, exact. */
  readonly domains: readonly string[];
  /** Origins, as `https://host[:port]`, that `URI` may lie in. */
  readonly origins: readonly string[];
  readonly chainIds: readonly string[];
  /** Unix milliseconds. */
  readonly now: number;
  /** Milliseconds by which the clock of whoever wrote the message may be ahead. Default: 60,000. */
  readonly clockSkew?: number;
  /** The namespace it must name; without it any one will do. */
  readonly namespace?: string;
}

/**
 * Writes the text that the wallet signs, by the grammar of EIP-4361; on Solana with that wallet's name and address in it.
 * @throws GatewayError `INVALID_REQUEST` that names the field which the grammar has no room for
 */
export function createMessage(fields: MessageFields): string {
  const { wallet, scheme, statement, issuedAt, expirationTime, notBefore, requestId, namespace, purpose } = fields;
  for (const [field, value] of Object.entries({ ...fields, wallet: "" })) {
    if (/[\r\n]/.test(String(value))) throw refusal(field, "must be one line");
    if (!String(value).isWellFormed()) throw refusal(field, "must be well-formed Unicode");
  }
  const at = (time: number) => new Date(time).toISOString();
  const text = [
    `${scheme === undefined ? "" : `${scheme}://`}${fields.domain} wants you to sign in with your ${
      NAMES[wallet.chain]
    } account:`,
    wallet.display,
    "",
    ...(statement === undefined ? [] : [statement]),
    "",
    `URI: ${fields.uri}`,
    "Version: 1",
    `Chain ID: ${fields.chainId}`,
    `Nonce: ${fields.nonce}`,
    `Issued At: ${at(issuedAt)}`,
    ...(expirationTime === undefined ? [] : [`Expiration Time: ${at(expirationTime)}`]),
    ...(notBefore === undefined ? [] : [`Not Before: ${at(notBefore)}`]),
    ...(requestId === undefined ? [] : [`Request ID: ${requestId}`]),
    "Resources:",
    `- ${NAMESPACE_URN}${encodeURIComponent(namespace)}`,
    `- ${PURPOSE_URN}${encodeURIComponent(purpose)}`,
  ].join("\n");
  parseMessage(text);
  return text;
}

/**
 * Takes a sign-in message apart, by the grammar of EIP-4361 to the letter: order of lines, RFC 3986, RFC 3339, EIP-55, no
 * CR, no line too many. Solana wallets leave out one of the two blank lines when there is no statement; that is accepted
 * from them.
 * @throws GatewayError `INVALID_REQUEST` that names the field `message`, the line and what was expected there
 */
export function parseMessage(text: string): SignInMessage {
  if (text.length > MAX_LENGTH) throw refusal("message", `must have at most ${MAX_LENGTH} characters`);
  if (!/^[\x20-\x7e\n]*$/.test(text)) throw refusal("message", "must hold printable ASCII and line feeds only");
  const lines = new Lines(text);
  const [, scheme, domain = "", name] = HEADER.exec(lines.take()) ?? [];
  if (!isAuthority(domain)) throw lines.unexpected("`<domain> wants you to sign in with your Ethereum account:`");
  const chain = name === NAMES.SOL ? "SOL" : "ETH";
  const address = lines.take();
  if (!isExactAddress(address, chain)) throw lines.unexpected(`an ${NAMES[chain]} address in its exact spelling`);
  const statement = takeStatement(lines, chain);
  const uri = lines.field("URI: ", isUri, "an RFC 3986 URI");
  lines.field("Version: ", (value) => value === "1", "1");
  const chainId = lines.field("Chain ID: ", (value) => CHAIN_ID[chain].test(value), "a chain id");
  const nonce = lines.field("Nonce: ", (value) => /^[A-Za-z0-9]{8,}$/.test(value), "8 or more letters and digits");
  const issuedAt = lines.time("Issued At: ");
  const expirationTime = lines.has("Expiration Time: ") ? lines.time("Expiration Time: ") : undefined;
  const notBefore = lines.has("Not Before: ") ? lines.time("Not Before: ") : undefined;
  const requestId = lines.has("Request ID: ")
    ? lines.field("Request ID: ", (value) => PCHARS.test(value), "characters of a URI path")
    : undefined;
  const resources = takeResources(lines);
  if (!lines.done) throw lines.unexpected("the end", 1);
  return {
    chain,
    ...(scheme !== undefined && { scheme }),
    domain,
    address,
    ...(statement !== undefined && { statement }),
    uri,
    chainId,
    nonce,
    issuedAt,
    ...(expirationTime !== undefined && { expirationTime }),
    ...(notBefore !== undefined && { notBefore }),
    ...(requestId !== undefined && { requestId }),
    ...(resources !== undefined && { resources }),
  };
}

/**
 * What is wrong with a message that has the right form; empty when nothing is. Signature, and whether the nonce is ours
 * and unused, are checked apart. `field` is a member of {@link SignInMessage}; the sentences may be shown to the caller.
 */
export function checkMessage(message: SignInMessage, expected: MessageExpectations): FieldProblem[] {
  const { now, clockSkew = 60_000 } = expected;
  const problems: FieldProblem[] = [];
  const problem = (field: keyof SignInMessage, text: string) => problems.push({ field, problem: text });
  const { scheme, authority } = parseUri(message.uri) ?? { scheme: "", authority: undefined };
  if (!includesText(expected.domains, message.domain)) problem("domain", "is not one that this gateway answers for");
  if (authority === undefined || !includesText(expected.origins, `${scheme}://${authority}`)) {
    problem("uri", "lies outside of the origins that this gateway answers for");
  } else if (message.scheme !== undefined && message.scheme.toLowerCase() !== scheme.toLowerCase()) {
    problem("scheme", "is not that of the URI");
  }
  if (!expected.chainIds.includes(message.chainId)) problem("chainId", "is not one that this gateway accepts");
  if (message.issuedAt > now + clockSkew) problem("issuedAt", "lies in the future");
  if (message.expirationTime !== undefined && message.expirationTime <= now) problem("expirationTime", "has passed");
  if (message.notBefore !== undefined && message.notBefore > now + clockSkew) {
    problem("notBefore", "lies in the future");
  }
  const { namespace } = bindingOf(message);
  if (namespace === undefined) problem("resources", `must name exactly one ${NAMESPACE_URN}<namespace>`);
  else if (expected.namespace !== undefined && namespace !== expected.namespace) {
    problem("resources", "name another namespace");
  }
  return problems;
}

/** The namespace and the purpose that a message names; each absent when it is named not at all, or more than once. */
export function bindingOf(message: SignInMessage): { readonly namespace?: string; readonly purpose?: string } {
  const namespace = theOnly(message.resources, NAMESPACE_URN);
  const purpose = theOnly(message.resources, PURPOSE_URN);
  return { ...(namespace !== undefined && { namespace }), ...(purpose !== undefined && { purpose }) };
}

/** Goes through the lines of a message once. */
class Lines {
  readonly #lines: readonly string[];
  #next = 0;

  constructor(text: string) {
    this.#lines = text.split("\n");
  }

  get done(): boolean {
    return this.#next === this.#lines.length;
  }

  /** A line ahead, without taking it. */
  peek(ahead = 0): string | undefined {
    return this.#lines[this.#next + ahead];
  }

  take(): string {
    return this.#lines[this.#next++] ?? "";
  }

  has(label: string): boolean {
    return this.peek()?.startsWith(label) ?? false;
  }

  field(label: string, isValid: (value: string) => boolean, expected: string): string {
    const labelled = this.has(label);
    const value = this.take().slice(label.length);
    if (!labelled || !isValid(value)) throw this.unexpected(`\`${label}\` and ${expected}`);
    return value;
  }

  time(label: string): number {
    return parseDateTime(this.field(label, (value) => parseDateTime(value) !== undefined, "an RFC 3339 date-time"))!;
  }

  /** @param ahead 0: the line taken last; 1: the one after it */
  unexpected(expected: string, ahead = 0): GatewayError {
    return refusal("message", `line ${this.#next + ahead} must be ${expected}`);
  }
}

function takeStatement(lines: Lines, chain: Chain): string | undefined {
  if (lines.take() !== "") throw lines.unexpected("blank");
  const isBlank = (ahead: number) => lines.peek(ahead) === "";
  if (chain === "SOL" && !isBlank(0) && !isBlank(1)) return undefined;
  const statement = isBlank(0) && !isBlank(1) ? undefined : lines.take();
  if (statement !== undefined && !STATEMENT.test(statement)) throw lines.unexpected("a statement in plain ASCII");
  if (lines.take() !== "") throw lines.unexpected("blank");
  return statement;
}

function takeResources(lines: Lines): string[] | undefined {
  if (lines.peek() !== "Resources:") return undefined;
  lines.take();
  const resources: string[] = [];
  while (!lines.done) resources.push(lines.field("- ", isUri, "an RFC 3986 URI"));
  return resources;
}

function isExactAddress(address: string, chain: Chain): boolean {
  try {
    return canonicalWallet(address, chain).display === address;
  } catch {
    return false;
  }
}

const isUri = (text: string) => parseUri(text) !== undefined;

function includesText(texts: readonly string[], text: string): boolean {
  return texts.some((one) => one.toLowerCase() === text.toLowerCase());
}

function theOnly(resources: readonly string[] | undefined, urn: string): string | undefined {
  // URNs are equal in any letter case of their first two parts (RFC 8141): another spelling must not hide a second one.
  const named = resources?.filter((resource) => resource.slice(0, urn.length).toLowerCase() === urn) ?? [];
  const [only = ""] = named;
  if (named.length !== 1 || !only.startsWith(urn)) return undefined;
  try {
    return decodeURIComponent(only.slice(urn.length)) || undefined;
  } catch {
    return undefined;
  }
}

function refusal(field: string, problem: string): GatewayError {
  return new GatewayError("INVALID_REQUEST", `${field} ${problem}`, { details: [{ field, problem }] });
}
