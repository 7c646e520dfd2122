import { deepEqual, equal, match, ok } from "node:assert/strict";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { LineWriter } from "../../../src/observability/line_writer.ts";
import { configureLog, logger, type LogOptions, resetLog } from "../../../src/observability/log.ts";

const KEY = "ak_0123456789abcdefghijklmn:shop";

async function logged(options: Omit<LogOptions, "writer">, work: () => void): Promise<string[]> {
  let text = "";
  const writer = new LineWriter({
    write(bytes) {
      text += new TextDecoder().decode(bytes);
      return Promise.resolve(bytes.byteLength);
    },
  });
  await configureLog({ ...options, writer });
  try {
    work();
    await writer.flush();
  } finally {
    await resetLog();
  }
  return text.split("\n").slice(0, -1);
}

Deno.test("an entry is one object of JSON with time, level, part, sentence and what belongs to it", async () => {
  const [line] = await logged(
    { level: "info", format: "json" },
    () => logger("database").warn("slow", { table: "a\nb", ms: 5 }),
  );
  const { time, ...rest } = JSON.parse(line!);
  match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  deepEqual(rest, { level: "warning", part: "database", msg: "slow", table: "a\nb", ms: 5 });
});

Deno.test("what is below the level is not written", async () => {
  const lines = await logged({ level: "warning", format: "json" }, () => {
    for (const level of ["debug", "info", "warn", "error"] as const) logger("x")[level](level);
  });
  deepEqual(lines.map((line) => JSON.parse(line).msg), ["warn", "error"]);
});

for (const format of ["json", "text"] as const) {
  Deno.test(`no secret comes through, in ${format}: not in the sentence, not in what belongs to it, not in an error`, async () => {
    const circle: Record<string, unknown> = { apiKey: KEY };
    circle.self = circle;
    const lines = await logged({ level: "debug", format }, () => {
      logger("x").error(`failed for ${KEY}`, { url: `/?api_key=${KEY}`, password: "hunter2", circle });
      logger("x").error("failed", { error: new GatewayError("INTERNAL", "x", { cause: new Error(KEY) }) });
      logger("x").error("failed for {key}", { key: KEY });
    });
    equal(lines.length, 3);
    equal(lines.some((line) => line.includes("0123456789abcdef") || line.includes("hunter2")), false);
    ok(lines.every((line) => line.includes("[secret]")));
    if (format === "json") { for (const line of lines) JSON.parse(line); }
  });
}

Deno.test("text is for eyes: time, level, part, sentence, then names and values", async () => {
  const [line] = await logged(
    { level: "info", format: "text" },
    () => logger("gateway").info("listening", { url: "http://x", n: 5 }),
  );
  match(line!, /^\d\d:\d\d:\d\d\.\d{3} info {4}gateway: listening url=http:\/\/x n=5$/);
});
