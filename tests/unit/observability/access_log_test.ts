import { deepEqual, equal, match, ok } from "node:assert/strict";
import type { Observed, Outcome } from "../../../src/contracts/observation.ts";
import { accessLog } from "../../../src/observability/access_log.ts";
import { LineWriter } from "../../../src/observability/line_writer.ts";
import { principal } from "../auth/support/node.ts";
import { Chance } from "../control_plane/support/chance.ts";
import { appOf, route } from "../http/support.ts";

const request: Observed = {
  requestId: "r-1",
  method: "GET",
  template: "/v1/things/:id",
  path: "/v1/things/7",
  clientAddress: "192.0.2.1",
  caller: undefined,
  traceparent: undefined,
  quiet: false,
};
const success: Outcome = { status: 200, milliseconds: 1.2345, error: undefined };

type Given = [Partial<Observed>, Partial<Outcome>];

/** The lines of some requests. */
async function linesOf(format: "json" | "text", ...observed: Given[]): Promise<string[]> {
  const lines: string[] = [];
  const writer = new LineWriter({
    write(bytes) {
      lines.push(...new TextDecoder().decode(bytes).split("\n").slice(0, -1));
      return Promise.resolve(bytes.byteLength);
    },
  });
  const log = accessLog(writer, format, () => Date.parse("2030-01-31T12:00:00.123Z"));
  for (const [one, outcome] of observed) log({ ...request, ...one }, { ...success, ...outcome });
  await writer.flush();
  return lines;
}

Deno.test("a line of JSON tells when, what, how it ended and how long it took", async () => {
  const [line] = await linesOf("json", [{}, {}]);
  deepEqual(JSON.parse(line!), {
    time: "2030-01-31T12:00:00.123Z",
    level: "info",
    part: "access",
    request_id: "r-1",
    method: "GET",
    route: "/v1/things/:id",
    status: 200,
    us: 1235,
    client: "192.0.2.1",
  });
});

Deno.test("it tells who called and which trace the request belongs to, where that is known", async () => {
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const [line] = await linesOf("json", [{ caller: principal({ id: "key_1", namespace: "shop" }), traceparent }, {}]);
  const { namespace, credential, trace_id } = JSON.parse(line!);
  deepEqual([namespace, credential, trace_id], ["shop", "key_1", "0af7651916cd43dd8448eb211c80319c"]);
});

Deno.test("the path is told of failures only, shortened, and without a key in it or half of one", async () => {
  const [good, bad] = await linesOf("json", [{}, {}], [{ path: "/x".repeat(5_000) }, {
    status: 404,
    error: new Error(),
  }]);
  equal("path" in JSON.parse(good!), false);
  equal(JSON.parse(bad!).path.length, 257);
  const key = `ak_${"s3cr3t".repeat(4)}:shop`;
  const paths = Array.from({ length: 300 }, (_, before) => `/${"x".repeat(before)}/${key}`);
  const lines = await linesOf("json", ...paths.map((path): Given => [{ path }, { error: new Error() }]));
  equal(lines.length, 300);
  for (const [before, line] of lines.entries()) equal(line.includes("s3cr3t"), false, `a key at ${before}`);
});

const HOSTILE = [
  'a"b',
  "a\\",
  "a\nb",
  "\r\nforged",
  "\u0000",
  "\u001b[31m",
  "\u009b31m",
  "\u2028\u2029",
  "\u0085",
  "\ud800",
  '","admin":true,"x":"',
  "%0a",
  "</script>",
  "你",
];

Deno.test("whatever a client puts into a path, a line stays one line of JSON with the same members", async () => {
  const chance = new Chance(4);
  const paths = Array.from({ length: 300 }, () => "/" + Array.from({ length: 6 }, () => chance.pick(HOSTILE)).join(""));
  const lines = await linesOf("json", ...paths.map((path): Given => [{ path }, { status: 404, error: new Error() }]));
  equal(lines.length, 300);
  for (const [i, line] of lines.entries()) {
    const parsed = JSON.parse(line);
    equal(parsed.path, paths[i]);
    equal("admin" in parsed, false);
  }
});

Deno.test("nor does it write a line of its own, or to a terminal, where the log is text", async () => {
  for (const hostile of HOSTILE) {
    const lines = await linesOf("text", [{ path: `/a${hostile}b` }, {}]);
    equal(lines.length, 1);
    match(lines[0]!, /^12:00:00\.123 GET \/a[^\p{Cc}\u2028\u2029]*b 200 1\.2 ms r-1$/u);
  }
});

Deno.test("hostile requests through the whole path give lines of JSON", async () => {
  const outcomes: [Observed, Outcome][] = [];
  const { call } = appOf([route({ path: "/v1/things/:id", access: { kind: "authenticated" } })], {
    observe: (request, outcome) => void outcomes.push([request, outcome]),
  });
  for (
    const target of [
      "/v1/things/%22%0A%0D%00",
      "/%E2%80%A8",
      "/%ff%fe",
      "//x\u00ff",
      "/a?api_key=ak_0123456789abcdefghijklmn:shop",
      "/%5C%22",
    ]
  ) {
    for (const method of ["GET", "PROPFIND", "M-SEARCH", "!#$%&'*+-.^_`|~"]) {
      await call(`${method} ${target}`, {
        headers: { "x-request-id": 'a"b', traceparent: '"', "x-forwarded-for": '"' },
      });
    }
  }
  ok(outcomes.length >= 20);
  const lines = await linesOf("json", ...outcomes);
  equal(lines.length, outcomes.length);
  for (const line of lines) {
    const parsed = JSON.parse(line);
    deepEqual(Object.keys(parsed).slice(0, 9), [
      "time",
      "level",
      "part",
      "request_id",
      "method",
      "route",
      "status",
      "us",
      "client",
    ]);
    equal(line.includes("ak_0123"), false);
  }
});
