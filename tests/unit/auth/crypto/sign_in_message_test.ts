import { deepEqual, equal, ok, throws } from "node:assert/strict";
import {
  bindingOf,
  checkMessage,
  createMessage,
  type MessageFields,
  parseMessage,
  type SignInMessage,
} from "../../../../services/auth/crypto/sign_in_message.ts";
import { canonicalWallet } from "../../../../services/auth/crypto/wallet.ts";
import { type FieldProblem, GatewayError } from "../../../../src/contracts/errors.ts";
import { ADDRESS, FULL, ours, refusesAll, SHORT, SOLANA } from "./fixtures/messages.ts";

const NOW = Date.UTC(2030, 0, 1, 12);
const FIELDS: MessageFields = {
  wallet: canonicalWallet(ADDRESS),
  domain: "gateway.example:6001",
  statement: "Sign in to the namespace default.",
  uri: "https://gateway.example:6001/v1/auth/verify",
  chainId: "1",
  nonce: "q0dVx7m2R1yQ3cXnVbWkYtL8sZpA5hJ4uE6iG9oTfDw",
  issuedAt: NOW,
  expirationTime: NOW + 300_000,
  namespace: "default",
  purpose: "authentication",
};
Deno.test("createMessage() writes the form of EIP-4361", () => {
  equal(
    createMessage({ ...FIELDS, scheme: "https", notBefore: NOW, requestId: "r1" }),
    `https://gateway.example:6001 wants you to sign in with your Ethereum account:
${ADDRESS}

Sign in to the namespace default.

URI: https://gateway.example:6001/v1/auth/verify
Version: 1
Chain ID: 1
Nonce: q0dVx7m2R1yQ3cXnVbWkYtL8sZpA5hJ4uE6iG9oTfDw
Issued At: 2030-01-01T12:00:00.000Z
Expiration Time: 2030-01-01T12:05:00.000Z
Not Before: 2030-01-01T12:00:00.000Z
Request ID: r1
Resources:
- urn:orama:namespace:default
- urn:orama:purpose:authentication`,
  );
});

Deno.test("createMessage() writes the same form for Solana", () => {
  const { statement: _, ...rest } = FIELDS;
  equal(
    createMessage({ ...rest, wallet: canonicalWallet(SOLANA), chainId: "solana:mainnet" }).split("\n").slice(0, 8).join(
      "\n",
    ),
    `gateway.example:6001 wants you to sign in with your Solana account:
${SOLANA}


URI: https://gateway.example:6001/v1/auth/verify
Version: 1
Chain ID: solana:mainnet
Nonce: q0dVx7m2R1yQ3cXnVbWkYtL8sZpA5hJ4uE6iG9oTfDw`,
  );
});

Deno.test("parseMessage() gives back what createMessage() was given", () => {
  for (const wallet of [FIELDS.wallet, canonicalWallet(SOLANA)]) {
    for (const purpose of ["authentication", "Größe: a/b?c#d", "100%", " "]) {
      const { wallet: _, namespace, purpose: __, ...rest } = { ...FIELDS, purpose };
      const parsed = parseMessage(createMessage({ ...FIELDS, wallet, purpose }));
      deepEqual(bindingOf(parsed), { namespace, purpose });
      const { chain, address, resources: ___, ...fields } = parsed;
      deepEqual(fields, rest);
      deepEqual([chain, address], [wallet.chain, wallet.display]);
      deepEqual(checkMessage(parsed, expectations()), []);
    }
  }
});

Deno.test("createMessage() refuses values that would change the message, and names the field", () => {
  const bad: Partial<Record<keyof MessageFields, unknown[]>> = {
    domain: ["", "a b", "a/b", "evil.example\nwants", "münchen.example", "a\r"],
    statement: ["two\nlines", "\n\nURI: https://evil.example", "Grüße", 'say "hi"'],
    uri: ["", "no uri", "https://a b", "https://a\nVersion: 2", "//gateway.example"],
    chainId: ["", "mainnet", "1 ", "-1", "1\n"],
    nonce: ["", "1234567", "with-dash", "12345678\n"],
    requestId: ["a b", "x\nResources:\n- urn:orama:namespace:other"],
    scheme: ["", "1https", "https://evil.example/"],
    namespace: ["a\nb", "\ud800"],
    purpose: ["a\nb", "\ud800"],
  };
  for (const [field, values] of Object.entries(bad)) {
    for (const value of values) {
      throws(
        () => createMessage({ ...FIELDS, [field]: value }),
        (error) => error instanceof GatewayError && error.code === "INVALID_REQUEST",
        `${field} ${JSON.stringify(value)}`,
      );
    }
  }
  throws(() => createMessage({ ...FIELDS, requestId: "a\nb" }), (error) => {
    deepEqual((error as GatewayError).extra.details, [{ field: "requestId", problem: "must be one line" }]);
    return true;
  });
});

Deno.test("parseMessage() refuses look-alikes, control characters and other line ends", () => {
  refusesAll([
    FULL.replaceAll("\n", "\r\n"),
    FULL.replace("\n", "\r\n"),
    FULL.replaceAll("\n", "\r"),
    FULL.replaceAll("\n", "\u2028"),
    FULL + "\n",
    "\n" + FULL,
    "\ufeff" + FULL,
    " " + FULL,
    FULL.replace("gateway", "gatewаy"),
    FULL.replace(" wants", "\u00a0wants"),
    FULL.replace("Version: 1", "Version: １"),
    FULL.replace("Nonce: q0", "Nonce: q\u200b0"),
    FULL.replace("free", "fr\u0000ee"),
    FULL.replace("free", "fr\tee"),
    FULL.replace("Ethereum", "ethereum"),
    FULL.replace("Ethereum", "Bitcoin"),
    FULL.replace("URI: ", "uri: "),
    FULL.replace(ADDRESS, ADDRESS.toLowerCase()),
    FULL.replace(ADDRESS, ADDRESS.slice(2)),
    FULL.replace("Ethereum account", "Solana account"),
    FULL + "\n" + FULL,
    "",
    "\n".repeat(20),
  ]);
});

Deno.test("parseMessage() refuses more than 8 KiB before it looks, and takes long hostile ones in linear time", () => {
  const started = performance.now();
  refusesAll(["a".repeat(65_536), FULL.padEnd(8193, "x"), "\n".repeat(50_000_000)]);
  ok(ours(FULL.replace("free", "x".repeat(7000))));
  for (const part of ["/", "a/", ":", "@", "%41", "[", "a:", "?", "#", "."]) {
    const long = part.repeat(Math.floor(7000 / part.length));
    ours(FULL.replace("urn:orama:namespace:default", `https://${long}\u007f`));
    ours(FULL.replace("urn:orama:namespace:default", `a:${long} `));
    ours(`${long} wants you to sign in with your Ethereum account:`);
  }
  const elapsed = performance.now() - started;
  ok(elapsed < 20_000, `${elapsed} ms`);
});

Deno.test("parseMessage() says on which line it stopped and what it expected", () => {
  const problems = {
    "line 7 must be `Version: ` and 1": FULL.replace("Version: 1", "Version: 2"),
    "line 2 must be an Ethereum address in its exact spelling": FULL.replace(ADDRESS, ADDRESS.toLowerCase()),
    "line 17 must be `- ` and an RFC 3986 URI": FULL + "\nx",
    "line 10 must be the end": SHORT + "\nx",
    "must have at most 8192 characters": "x".repeat(9000),
  };
  for (const [problem, text] of Object.entries(problems)) {
    throws(() => parseMessage(text), (error) => {
      deepEqual((error as GatewayError).extra.details, [{ field: "message", problem }]);
      return true;
    });
  }
});

const solana = (body: string) =>
  `gateway.example wants you to sign in with your Solana account:\n${SOLANA}\n${body}URI: https://gateway.example\n` +
  "Version: 1\nChain ID: mainnet\nNonce: 12345678\nIssued At: 2030-01-01T12:00:00Z";

Deno.test("parseMessage() reads the three ways in which Solana wallets write the statement", () => {
  equal(parseMessage(solana("\n")).statement, undefined);
  equal(parseMessage(solana("\n\n")).statement, undefined);
  equal(parseMessage(solana("\nHello.\n\n")).statement, "Hello.");
  equal(parseMessage(solana("\nURI: urn:x\n\n")).statement, "URI: urn:x");
  equal(parseMessage(solana("\n\n\n")).statement, "");
  refusesAll([solana(""), solana("\n\n\n\n"), solana("Hello.\n\n"), solana("\nHello.\n"), solana("\na\nb\n\n")]);
  refusesAll([SHORT.replace("\n\n\n", "\n\n")]);
});

Deno.test("parseMessage() takes names of chains from Solana only", () => {
  for (const chainId of ["mainnet", "devnet", "solana:mainnet", "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp", "101"]) {
    equal(parseMessage(solana("\n").replace("mainnet", chainId)).chainId, chainId);
  }
  for (const chainId of ["", " ", "main net", ":", "a/b"]) refusesAll([solana("\n").replace("mainnet", chainId)]);
  for (const chainId of ["mainnet", "", "0x1", "1.0", "+1"]) {
    refusesAll([SHORT.replace("Chain ID: 1", `Chain ID: ${chainId}`)]);
  }
});

function expectations() {
  return {
    domains: ["gateway.example:6001", "app.example"],
    origins: ["https://gateway.example:6001"],
    chainIds: ["1", "10"],
    now: NOW,
  };
}

function problemsOf(change: Partial<SignInMessage>, expected: object = {}): FieldProblem[] {
  const message = { ...parseMessage(createMessage({ ...FIELDS, scheme: "https", notBefore: NOW })), ...change };
  return checkMessage(message, { ...expectations(), ...expected });
}

Deno.test("checkMessage() has no objection to a good message", () => {
  const good: Partial<SignInMessage>[] = [
    {},
    { domain: "app.example" },
    { domain: "Gateway.EXAMPLE:6001" },
    { uri: "HTTPS://Gateway.example:6001" },
    { uri: "https://gateway.example:6001?x" },
    { chainId: "10" },
    { issuedAt: NOW + 60_000 },
    { notBefore: NOW + 60_000 },
    { expirationTime: NOW + 1 },
    { issuedAt: 0 },
    { resources: ["https://x.example", "urn:orama:namespace:default", "https://x.example"] },
  ];
  for (const change of good) deepEqual(problemsOf(change), [], JSON.stringify(change));
  deepEqual(problemsOf({}, { namespace: "default" }), []);
});

Deno.test("checkMessage() names each thing that is wrong", () => {
  const wrong: [keyof SignInMessage, Partial<SignInMessage>, object?][] = [
    ["domain", { domain: "evil.example" }],
    ["domain", { domain: "gateway.example" }],
    ["domain", { domain: "evil@gateway.example:6001" }],
    ["domain", { domain: "gateway.example:6001.evil.example" }],
    ["uri", { uri: "https://evil.example/https://gateway.example:6001" }],
    ["uri", { uri: "https://gateway.example:6001@evil.example/" }],
    ["uri", { uri: "https://evil@gateway.example:6001/" }],
    ["uri", { uri: "http://gateway.example:6001/" }],
    ["uri", { uri: "https:gateway.example:6001/" }],
    ["uri", { uri: "https://gateway.example/" }],
    ["uri", { uri: "urn:x" }],
    ["uri", { uri: "not a uri" }],
    ["scheme", { scheme: "http" }],
    ["chainId", { chainId: "5" }],
    ["chainId", { chainId: "01" }],
    ["issuedAt", { issuedAt: NOW + 60_001 }],
    ["issuedAt", { issuedAt: NOW + 1 }, { clockSkew: 0 }],
    ["expirationTime", { expirationTime: NOW }],
    ["notBefore", { notBefore: NOW + 60_001 }],
    ["resources", { resources: [] }],
    ["resources", { resources: ["urn:orama:namespace:"] }],
    ["resources", { resources: ["urn:orama:namespace:%"] }],
    ["resources", { resources: ["https://x.example/urn:orama:namespace:default"] }],
    ["resources", { resources: ["urn:orama:namespace:default", "urn:orama:namespace:other"] }],
    ["resources", { resources: ["urn:orama:namespace:default", "urn:orama:namespace:default"] }],
    ["resources", { resources: ["urn:orama:namespace:default", "URN:Orama:namespace:other"] }],
    ["resources", { resources: ["URN:orama:namespace:default"] }],
    ["resources", {}, { namespace: "other" }],
  ];
  for (const [field, change, expected] of wrong) {
    deepEqual(problemsOf(change, expected).map((problem) => problem.field), [field], JSON.stringify(change));
  }
});

Deno.test("checkMessage() names everything at once", () => {
  const bad = {
    domain: "x",
    uri: "a:b",
    chainId: "9",
    issuedAt: NOW * 2,
    expirationTime: 0,
    notBefore: NOW * 2,
    resources: [],
  };
  deepEqual(problemsOf(bad).map((problem) => problem.field), Object.keys(bad));
});
