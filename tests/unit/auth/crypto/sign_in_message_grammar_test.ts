import { deepEqual, equal, ok } from "node:assert/strict";
import { ParsedMessage } from "@spruceid/siwe-parser";
import { parseMessage, type SignInMessage } from "../../../../services/auth/crypto/sign_in_message.ts";
import { FULL, ours, SHORT } from "./fixtures/messages.ts";

// siwe-parser, made from the grammar of EIP-4361 by a parser generator, says for each text what is right.

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
