import { configure, getLogger, type Logger, type LogLevel, type LogRecord, reset } from "@logtape/logtape";
import type { LineWriter } from "./line_writer.ts";
import { redact, redactText } from "./redact.ts";

export type { Logger } from "@logtape/logtape";

/** How the log looks and what is in it. */
export interface LogOptions {
  readonly level: LogLevel;
  /** `json`: one object a line; `text`: for eyes. */
  readonly format: "json" | "text";
  readonly writer: LineWriter;
}

/** Puts the process's log in place. LogTape keeps one configuration per process; a second call replaces the first. */
export async function configureLog({ level, format, writer }: LogOptions): Promise<void> {
  const render = format === "json" ? toJson : toText;
  await configure({
    reset: true,
    sinks: { lines: (record) => writer.line(render(record)) },
    loggers: [
      { category: "gateway", lowestLevel: level, sinks: ["lines"] },
      { category: ["logtape", "meta"], lowestLevel: "error", sinks: ["lines"] },
    ],
  });
}

/** Takes the log away again. */
export const resetLog = (): Promise<void> => reset();

/** The logger of one part of the gateway: `logger("database")`. */
export const logger = (part: string): Logger => getLogger(["gateway", part]);

const messageOf = ({ message }: LogRecord) =>
  redactText(message.map((part) => typeof part === "string" ? part : JSON.stringify(redact(part))).join(""));

function toJson(record: LogRecord): string {
  return JSON.stringify({
    time: new Date(record.timestamp).toISOString(),
    level: record.level,
    part: record.category.slice(1).join("."),
    msg: messageOf(record),
    ...redact(record.properties) as Record<string, unknown>,
  });
}

function toText(record: LogRecord): string {
  const properties = Object.entries(redact(record.properties) as Record<string, unknown>)
    .map(([name, value]) => ` ${name}=${typeof value === "string" ? value : JSON.stringify(value)}`).join("");
  const time = new Date(record.timestamp).toISOString().slice(11, 23);
  return `${time} ${record.level.padEnd(7)} ${record.category.slice(1).join(".")}: ${messageOf(record)}${properties}`;
}
