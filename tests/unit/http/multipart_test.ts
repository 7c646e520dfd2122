import { deepEqual, equal, match, rejects, throws } from "node:assert/strict";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { boundaryOf, partsOf } from "../../../src/http/multipart.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Pieces of a body. */
async function* pieces(...all: readonly (string | Uint8Array)[]): AsyncGenerator<Uint8Array, void> {
  for (const piece of all) yield typeof piece === "string" ? encoder.encode(piece) : piece;
}

/** A form as text: name, file name, type and content of each part. */
async function read(body: AsyncIterable<Uint8Array>, boundary = "b", maxParts = 10): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, fileName, type, content } of partsOf(body, boundary, { maxParts })) {
    let text = "";
    for await (const piece of content) text += decoder.decode(piece, { stream: true });
    found.push([name, fileName ?? "-", type ?? "-", text].join("|"));
  }
  return found;
}

const field = (name: string, value: string) => `Content-Disposition: form-data; name="${name}"\r\n\r\n${value}`;
const file = (fileName: string, content: string) =>
  `Content-Disposition: form-data; name="file"; filename="${fileName}"\r\nContent-Type: text/plain\r\n\r\n${content}`;
const form = (...parts: readonly string[]) => parts.map((part) => `--b\r\n${part}\r\n`).join("") + "--b--\r\n";

const isWrong = (problem: RegExp) => (error: unknown) => {
  equal((error as GatewayError).code, "INVALID_REQUEST", String(error));
  match((error as GatewayError).message, /^failed to parse multipart form: /);
  match((error as GatewayError).message, problem);
  return true;
};

Deno.test("a form is read the same wherever its pieces begin and end", async () => {
  const text = form(file("a.bin", "hel\r\n--\r\n--b\r-\r\n-lo\r\n\r\n--"), field("pin", "true"), field("empty", ""));
  // Within a content what begins like a boundary is content, so this one has another.
  const bytes = encoder.encode(text.replaceAll("--b\r\n", "--bo-r\r\n").replaceAll("--b--", "--bo-r--"));
  const whole = await read(pieces(bytes), "bo-r");
  deepEqual(whole, ["file|a.bin|text/plain|hel\r\n--\r\n--b\r-\r\n-lo\r\n\r\n--", "pin|-|-|true", "empty|-|-|"]);
  for (let first = 0; first <= bytes.length; first++) {
    for (let second = first; second <= bytes.length; second += 1 + first % 3) {
      const split = pieces(bytes.slice(0, first), bytes.slice(first, second), bytes.slice(second));
      deepEqual(await read(split, "bo-r"), whole, `${first} ${second}`);
    }
  }
  deepEqual(await read(pieces(...Array.from(bytes, (byte) => Uint8Array.of(byte))), "bo-r"), whole);
});

Deno.test("a content of any bytes stays as it is", async () => {
  for (let seed = 1; seed <= 40; seed++) {
    let state = seed * 2_654_435_761 >>> 0;
    const random = () => (state = (state * 1_664_525 + 1_013_904_223) >>> 0) / 2 ** 32;
    // Mostly such bytes as a boundary is made of.
    const content = Uint8Array.from(
      { length: Math.floor(random() * 3_000) },
      () => [13, 10, 45, 45, 98, 120][Math.floor(random() * 6)]!,
    );
    const text = decoder.decode(content).replaceAll("\r\n--b", "\r\n--x");
    const bytes = encoder.encode(form(file("a", text)));
    const cuts: Uint8Array[] = [];
    for (let at = 0; at < bytes.length;) {
      const size = 1 + Math.floor(random() * 20);
      cuts.push(bytes.slice(at, at += size));
    }
    deepEqual(await read(pieces(...cuts)), [`file|a|text/plain|${text}`], String(seed));
  }
});

Deno.test("what is left of a part is skipped, and the form still read to its end", async () => {
  const names: string[] = [];
  for await (
    const { name } of partsOf(pieces(form(file("a", "x".repeat(9_000)), field("pin", "1"))), "b", { maxParts: 2 })
  ) {
    names.push(name);
  }
  deepEqual(names, ["file", "pin"]);
});

Deno.test("names of files come as they were sent", async () => {
  for (
    const [sent, found] of [
      ["a b.txt", "a b.txt"],
      ["../../etc/passwd", "../../etc/passwd"],
      ["C:\\temp\\x", "C:\\temp\\x"],
      ["a%22b", 'a"b'],
      ["a%0D%0Ab", "a\r\nb"],
      ["é漢😀", "é漢😀"],
      ["a;b=c", "a;b=c"],
      ["", ""],
    ] as const
  ) deepEqual(await read(pieces(form(file(sent, "x")))), [`file|${found}|text/plain|x`]);
  const extended = `Content-Disposition: form-data; name="file"; filename="a"; filename*=UTF-8''b\r\n\r\nx`;
  deepEqual(await read(pieces(form(extended))), ["file|a|-|x"], "RFC 7578, 4.2 has no such parameter");
});

Deno.test("a form that is not in order is refused, whatever is wrong with it", async () => {
  const good = form(file("a", "x"));
  for (
    const [body, problem] of [
      ["", /first boundary/],
      ["\r\n", /first boundary/],
      ["x".repeat(40_000), /first boundary/],
      ["--b", /line break must follow/],
      ["--b\r\n", /headers of a part do not end/],
      ["--bb\r\n" + file("a", "x") + "\r\n--bb--", /line break must follow/],
      [good.replace("--b--\r\n", ""), /ended before its last boundary/],
      [good.replace("--b--", "--b"), /headers of a part do not end/],
      [good.replace("--b--", "--b-"), /line break must follow/],
      [good.replace("--b--", "--c--"), /ended before its last boundary/],
      [good.replace("--b--", "\r--b--"), /ended before its last boundary/],
      [good.slice(0, -6), /ended before its last boundary/],
      [good + "x".repeat(20_000), /too much follows/],
      [form("\r\nx"), /lacks the header/],
      [form("Content-Type: text/plain\r\n\r\nx"), /lacks the header/],
      [form("Content-Disposition: attachment; name=file\r\n\r\nx"), /lacks the header/],
      [form("Content-Disposition: form-data\r\n\r\nx"), /lacks the header/],
      [form("nonsense\r\n\r\nx"), /header of a part is none/],
      [form("A B: c\r\n\r\nx"), /header of a part is none/],
      [form(`Content-Disposition: form-data;\r\n name="file"\r\n\r\nx`), /header of a part is none/],
      [form(`Content-Disposition: form-data; name="a\nb"\r\n\r\nx`), /header of a part is none/],
      [form(`Content-Disposition: form-data; name="a\0b"\r\n\r\nx`), /header of a part is none/],
      [form(`${field("a", "x").split("\r\n")[0]}\r\n${field("b", "x")}`), /twice/],
      [form(`X: ${"y".repeat(20_000)}\r\n${field("a", "x")}`), /headers of a part do not end/],
      [form(...Array.from({ length: 11 }, () => field("a", "x"))), /more than 10 parts/],
      [`--b${" ".repeat(200)}\r\n${field("a", "x")}\r\n--b--`, /too many blanks/],
    ] as const
  ) await rejects(read(pieces(body)), isWrong(problem), JSON.stringify(body.slice(0, 80)));
  const bytes = encoder.encode(form(file("a?", "x")));
  bytes[bytes.indexOf(63)] = 0xff;
  await rejects(read(pieces(bytes)), isWrong(/must be UTF-8/));
});

Deno.test("blanks behind a boundary, a beginning before the first and an end behind the last are let pass", async () => {
  const parts = `${field("a", "x")}\r\n`;
  for (
    const body of [
      `preamble\r\n--b \t\r\n${parts}--b--  \r\nepilogue`,
      `\r\n--b\r\n${parts}--b--`,
      form(field("a", "x")),
    ]
  ) {
    deepEqual(await read(pieces(body)), ["a|-|-|x"], body);
  }
  deepEqual(await read(pieces("--b--")), [], "a form of nothing");
});

Deno.test("headers without an end hold no more than their bound", async () => {
  let given = 0;
  async function* endless() {
    yield encoder.encode("--b\r\n");
    for (;; given++) yield encoder.encode("X-Header: value\r\n");
  }
  await rejects(read(endless()), isWrong(/headers of a part do not end/));
  equal(given < 1_100, true, String(given));
});

Deno.test("the body is let go when a form is wrong, when its reader leaves, and when its source fails", async () => {
  let closed = 0;
  async function* source(text: string, failure?: Error) {
    try {
      yield encoder.encode(text);
      if (failure) throw failure;
      yield encoder.encode(text);
    } finally {
      closed++;
    }
  }
  await rejects(read(source("--bx\r\n")));
  for await (const _ of partsOf(source(form(file("a", "x"))), "b", { maxParts: 9 })) break;
  const failure = new GatewayError("REQUEST_TIMEOUT", "the body did not arrive in time");
  await rejects(read(source(`--b\r\n${file("a", "x")}`, failure)), failure);
  equal(closed, 3);
});

Deno.test("a piece is asked for only when the one before it was taken", async () => {
  let given = 0;
  async function* source() {
    yield encoder.encode(`--b\r\n${file("a", "")}`);
    for (; given < 100; given++) yield new Uint8Array(1_000);
    yield encoder.encode("\r\n--b--");
  }
  for await (const { content } of partsOf(source(), "b", { maxParts: 1 })) {
    let taken = 0;
    for await (const _ of content) equal(given - taken++ <= 1, true, `${given} ${taken}`);
  }
});

Deno.test("a boundary is what RFC 2046 allows", () => {
  const of = (boundary: string) => boundaryOf(`multipart/form-data; boundary=${boundary}`);
  for (const boundary of ["b", "----WebKitFormBoundaryabcDEF123", "a'()+_,-./:=?b", "x".repeat(70)]) {
    equal(of(boundary), boundary);
    equal(of(`"${boundary}"`), boundary);
  }
  equal(of('"a b"'), "a b");
  for (const wrong of ["", '""', '"a "', "x".repeat(71), '"a\r\nb"', '"a\\"b"', "ä", '"a@b"']) {
    throws(() => of(wrong), isWrong(/boundary/), wrong);
  }
  for (const none of [null, "multipart/form-data", "multipart/form-data; Boundar=b"]) {
    throws(() => boundaryOf(none), isWrong(/boundary/));
  }
});
