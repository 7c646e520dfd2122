import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { ParsedMessage } from "@spruceid/siwe-parser";
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

const NOW = Date.UTC(2030, 0, 1, 12);
const ADDRESS = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A";
const SOLANA = "Bow1CGKGDB9mNxeWdw85E2aCthQ1oZX4oFEe7fYT17ew";
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
/** Each optional part is there. */
const FULL = [
  "https://gateway.example:6001 wants you to sign in with your Ethereum account:",
  ADDRESS,
  "",
  "Sign in: it's free (really)!",
  "",
  "URI: https://user@gateway.example:6001/v1/auth?x=1%20#top",
  "Version: 1",
  "Chain ID: 10",
  "Nonce: q0dVx7m2R1yQ3cXn",
  "Issued At: 2030-01-01T12:00:00.000Z",
  "Expiration Time: 2030-01-01T13:05:00+01:00",
  "Not Before: 2030-01-01T11:59:00Z",
  "Request ID: a%20b;c",
  "Resources:",
  "- urn:orama:namespace:default",
  "- ipfs://bafybeiemxf5abjwjbikoz4mc3a3dla6ual3jsgpdr4cjr3oz3evfyavhwq/",
].join("\n");
const SHORT = `[::1]:80 wants you to sign in with your Ethereum account:\n${ADDRESS}\n\n\n` +
  "URI: urn:x\nVersion: 1\nChain ID: 1\nNonce: 12345678\nIssued At: 2030-01-01T12:00:00Z";

function ours(text: string): SignInMessage | undefined {
  try {
    return parseMessage(text);
  } catch (error) {
    if (error instanceof GatewayError && error.code === "INVALID_REQUEST") return undefined;
    throw error;
  }
}

function oracle(text: string): ParsedMessage | undefined {
  try {
    return new ParsedMessage(text);
  } catch {
    return undefined;
  }
}

function agrees(text: string) {
  const [mine, theirs] = [ours(text), oracle(text)];
  equal(mine !== undefined, theirs !== undefined, `ours ${mine ? "accepts" : "refuses"}: ${JSON.stringify(text)}`);
  if (mine === undefined || theirs === undefined) return;
  const times = (["issuedAt", "expirationTime", "notBefore"] as const).map((name) => {
    const text = theirs[name]?.toUpperCase();
    return text === undefined || text.includes(":60") ? mine[name] : Date.parse(text);
  });
  deepEqual([mine.issuedAt, mine.expirationTime, mine.notBefore], times, JSON.stringify(text));
  const told = (message: Omit<SignInMessage, "issuedAt" | "chainId" | "chain">) => [
    message.scheme,
    message.domain,
    message.address,
    message.statement,
    message.uri,
    message.nonce,
    message.requestId,
    message.resources,
  ];
  deepEqual(told(mine), told(theirs as unknown as SignInMessage), JSON.stringify(text));
  equal(Number(mine.chainId), theirs.chainId);
}

function refusesAll(texts: readonly string[]) {
  for (const text of texts) equal(ours(text), undefined, JSON.stringify(text).slice(0, 400));
}

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

Deno.test("parseMessage() reads the examples of EIP-4361", () => {
  for (const origin of ["example.com", "example.com:3388", "https://example.com"]) {
    const text = `${origin} wants you to sign in with your Ethereum account:
0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2

I accept the ExampleOrg Terms of Service: https://example.com/tos

URI: https://example.com/login
Version: 1
Chain ID: 1
Nonce: 32891756
Issued At: 2021-09-30T16:25:24Z
Resources:
- ipfs://bafybeiemxf5abjwjbikoz4mc3a3dla6ual3jsgpdr4cjr3oz3evfyavhwq/
- https://example.com/my-web2-claim.json`;
    agrees(text);
    const parsed = parseMessage(text);
    equal(parsed.domain, origin.replace("https://", ""));
    equal(parsed.scheme, origin.startsWith("https") ? "https" : undefined);
    equal(parsed.statement, "I accept the ExampleOrg Terms of Service: https://example.com/tos");
    equal(parsed.issuedAt, Date.UTC(2021, 8, 30, 16, 25, 24));
    equal(parsed.resources?.length, 2);
  }
});

Deno.test("parseMessage() agrees with siwe-parser on every optional part", () => {
  const lines = FULL.split("\n");
  for (let mask = 0; mask < 64; mask++) {
    const drop = (bit: number, ...at: number[]) => mask >> bit & 1 ? at : [];
    const dropped = [
      ...drop(0, 3),
      ...drop(1, 10),
      ...drop(2, 11),
      ...drop(3, 12),
      ...drop(4, 13, 14, 15),
      ...drop(5, 15),
    ];
    const text = lines.filter((_, at) => !dropped.includes(at)).join("\n");
    agrees(text);
    ok(ours(text));
  }
  agrees(FULL.replace("Sign in: it's free (really)!", ""));
  agrees(FULL.replace("a%20b;c", ""));
});

Deno.test("parseMessage() agrees with siwe-parser on every line left out, doubled, swapped and emptied", () => {
  for (const message of [FULL, SHORT]) {
    const lines = message.split("\n");
    for (let at = 0; at < lines.length; at++) {
      agrees(lines.toSpliced(at, 1).join("\n"));
      agrees(lines.toSpliced(at, 0, lines[at]!).join("\n"));
      agrees(lines.toSpliced(at, 0, "").join("\n"));
      agrees(lines.with(at, "").join("\n"));
      for (let other = 0; other < at; other++) {
        agrees(lines.with(at, lines[other]!).with(other, lines[at]!).join("\n"));
      }
    }
  }
});

Deno.test("parseMessage() agrees with siwe-parser on every character changed, added and left out", () => {
  for (const message of [FULL, SHORT]) {
    for (let at = 0; at <= message.length; at++) {
      agrees(message.slice(0, at) + message.slice(at + 1));
      for (const character of ["\n", " ", ":", "/", "%", "@", "[", "0", "Z", "é", '"', "\r"]) {
        agrees(message.slice(0, at) + character + message.slice(at));
        agrees(message.slice(0, at) + character + message.slice(at + 1));
      }
    }
  }
});

Deno.test("parseMessage() agrees with siwe-parser on dates", () => {
  const dates = [
    "2030-02-28T00:00:00Z",
    "2030-02-29T00:00:00Z",
    "2028-02-29T23:59:59.999999999Z",
    "2100-02-29T00:00:00Z",
    "2030-13-01T00:00:00Z",
    "2030-00-01T00:00:00Z",
    "2030-01-00T00:00:00Z",
    "2030-01-32T00:00:00Z",
    "2030-04-31T00:00:00Z",
    "2030-01-01T24:00:00Z",
    "2030-01-01T23:60:00Z",
    "2030-01-01T23:59:61Z",
    "2030-12-31T23:59:60Z",
    "2030-01-01t00:00:00z",
    "2030-01-01T00:00:00+14:00",
    "2030-01-01T00:00:00-23:59",
    "2030-01-01T00:00:00+24:00",
    "2030-01-01T00:00:00+00:60",
    "2030-01-01T00:00:00",
    "2030-01-01T00:00Z",
    "2030-01-01 00:00:00Z",
    "2030-01-01T00:00:00.Z",
    "2030-01-01T00:00:00,5Z",
    "2030-1-1T00:00:00Z",
    "+002030-01-01T00:00:00Z",
    "0099-01-01T00:00:00Z",
    "2030-01-01",
    "1893456000",
    "Tue, 01 Jan 2030 00:00:00 GMT",
    "",
  ];
  for (const date of dates) agrees(SHORT.replace(/Issued At: .*$/, `Issued At: ${date}`));
});

Deno.test("parseMessage() agrees with siwe-parser on URIs and authorities", () => {
  const authorities = [
    "example.com",
    "EXAMPLE.com:",
    "localhost:6001",
    "u:p@h",
    "u@",
    "127.0.0.1",
    "999.1.1.1",
    "1.2.3",
    "[::]",
    "[1::2:3]:9",
    "[1:2:3:4:5:6:7:8]",
    "[1:2:3:4:5:6:7]",
    "[1:2:3:4:5:6:7:8:9]",
    "[::ffff:1.2.3.4]",
    "[1::2::3]",
    "[12345::]",
    "[v1.x:y]",
    "[v.x]",
    "[]",
    "[::1",
    "::1",
    "a%20b",
    "a%2",
    "a%zz",
    "a_b",
    "-",
    ":80",
    "h:8a",
    "h:1:2",
    "a@b@c",
    "a\\b",
  ];
  for (const authority of authorities) {
    agrees(SHORT.replace("[::1]:80", authority));
    agrees(SHORT.replace("urn:x", `https://${authority}/a`));
    agrees(`${SHORT}\nResources:\n- https://${authority}`);
  }
  const uris = [
    "a:",
    "a:b",
    "a:/",
    "a:/b//c",
    "a://",
    "a:////",
    "a:/b?c?d#e",
    "a:#",
    "a:?",
    "a:#b#c",
    "1a:b",
    "+a:b",
    "a+.-1:b",
  ];
  for (
    const uri of [
      ...uris,
      ":b",
      "b",
      "a:b c",
      "a:[",
      "a:b[c]",
      "a:%41",
      "a:%4",
      "a:?%",
      "a:b@c:d",
      "data:,x",
      "a:b\\c",
      "a:^",
    ]
  ) {
    agrees(SHORT.replace("urn:x", uri));
    agrees(`${SHORT}\nResources:\n- ${uri}`);
  }
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
  ok(elapsed < 1000, `${elapsed} ms`);
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
