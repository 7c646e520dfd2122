import { type Admission, ControlClient } from "./control_client.ts";
import { ControlError } from "./control_replies.ts";
import { type Answer, greet, knock } from "./listener.ts";
import { type AnyoneSettings, canonicalFingerprint } from "./settings.ts";

/** One thing that must be so. */
export interface Check {
  readonly name: "socks" | "control" | "bootstrap" | "or_port" | "published";
  readonly ok: boolean;
  /** What was found, on one line. */
  readonly detail: string;
}

/** How an `anon` is. */
export interface AnyoneStatus {
  /** Whether all checks are well. */
  readonly healthy: boolean;
  readonly mode: "client" | "relay";
  readonly checks: readonly Check[];
  /** What is no failure, and yet should not be. */
  readonly warnings: readonly string[];
  readonly version: string | undefined;
  /** Percent of what it takes until it can be used (control-spec, `status/bootstrap-phase`). */
  readonly bootstrap: number | undefined;
  /** Of a relay. */
  readonly fingerprint: string | undefined;
  /** What the directories say of the relay, such as `Running`, `Guard`; none while it is not listed. */
  readonly flags: readonly string[];
  /** Bytes since it was started. */
  readonly traffic: { readonly read: bigint; readonly written: bigint } | undefined;
}

/** What there is to ask an `anon` with. */
export interface StatusOptions {
  readonly settings: Pick<AnyoneSettings, "mode" | "orPort" | "socksPort" | "controlPort">;
  readonly password?: string | undefined;
  readonly random: (length: number) => Uint8Array;
  /** Milliseconds for each listener. Default: 3,000. */
  readonly patience?: number | undefined;
}

/** What it says of itself. */
interface Said {
  readonly admission: Admission;
  readonly version: string | undefined;
  readonly phase: string | undefined;
  readonly fingerprint: string | undefined;
  readonly entry: string | undefined;
  readonly accepted: string | undefined;
  readonly listeners: string | undefined;
  readonly read: string | undefined;
  readonly written: string | undefined;
}

/** Asks everything of an `anon` on this machine that tells whether it is of use. Never throws for what it finds. */
export async function statusOf(options: StatusOptions): Promise<AnyoneStatus> {
  const { mode, orPort, socksPort, controlPort } = options.settings;
  const { patience = 3_000 } = options;
  const [socks, or, said] = await Promise.all([
    socksPort === 0 ? undefined : greet({ port: socksPort, patience }),
    mode === "client" ? undefined : knock({ port: orPort, patience }),
    controlPort === 0 ? undefined : ask({ ...options, patience }),
  ]);
  const told = said instanceof ControlError ? undefined : said;
  const bootstrap = told && percentOf(told.phase);
  const checks = [
    ...(socks ? [checkOf("socks", socksPort, socks)] : []),
    ...(or ? [orCheck(orPort, or, told?.listeners)] : []),
    ...(said ? [controlCheck(controlPort, said)] : []),
    ...(told ? [bootstrapCheck(told)] : []),
    ...(told && mode === "relay" ? [publishedCheck(told)] : []),
  ];
  return {
    healthy: checks.length > 0 && checks.every(({ ok }) => ok),
    mode,
    checks,
    warnings: told?.admission === "open"
      ? [
        "Every process on this machine can command anon by its control port: set CookieAuthentication 1 (anyone plan does).",
      ]
      : [],
    version: told?.version,
    bootstrap,
    fingerprint: told?.fingerprint,
    flags: flagsIn(told?.entry),
    traffic: trafficOf(told),
  };
}

async function ask(options: StatusOptions & { readonly patience: number }): Promise<Said | ControlError> {
  const { settings, patience, password, random } = options;
  try {
    const { client, admission } = await ControlClient.open({ port: settings.controlPort, patience, password, random });
    using asked = client;
    const fingerprint = fingerprintIn(await asked.info("fingerprint"));
    return {
      admission,
      fingerprint,
      version: await asked.info("version"),
      phase: await asked.info("status/bootstrap-phase"),
      entry: fingerprint && await asked.info(`ns/id/${fingerprint}`),
      accepted: await asked.info("status/accepted-server-descriptor"),
      listeners: await asked.info("net/listeners/or"),
      read: await asked.info("traffic/read"),
      written: await asked.info("traffic/written"),
    };
  } catch (error) {
    if (error instanceof ControlError) return error;
    throw error;
  }
}

const checkOf = (name: Check["name"], port: number, answer: Answer): Check => ({
  name,
  ok: "latency" in answer,
  detail: `127.0.0.1:${port} ${"latency" in answer ? `answers in ${answer.latency.toFixed(1)} ms` : answer.problem}`,
});

/** It may listen at another address of this machine alone, which it tells by its control port (control-spec, `net/listeners/or`). */
function orCheck(port: number, answer: Answer, listeners = ""): Check {
  const [elsewhere] = listeners.split(" ").filter((listener) => listener.endsWith(`:${port}"`));
  if ("latency" in answer || elsewhere === undefined) return checkOf("or_port", port, answer);
  return { name: "or_port", ok: true, detail: `anon listens at ${elsewhere.replaceAll('"', "")}` };
}

const controlCheck = (port: number, said: Said | ControlError): Check => ({
  name: "control",
  ok: !(said instanceof ControlError),
  detail: `127.0.0.1:${port} ${
    said instanceof ControlError
      ? said.message
      : said.admission === "open"
      ? "lets everybody in"
      : `lets us in by ${said.admission}`
  }`,
});

function bootstrapCheck({ phase }: Said): Check {
  const percent = percentOf(phase);
  const [, summary] = /\bSUMMARY="((?:[^"\\]|\\.)*)"/.exec(phase ?? "") ?? [];
  const [, warning] = /\bWARNING="((?:[^"\\]|\\.)*)"/.exec(phase ?? "") ?? [];
  const parts = [percent === undefined ? "unknown" : `${percent} %`, summary, warning].filter((part) => part);
  return { name: "bootstrap", ok: percent === 100, detail: parts.join(", ") };
}

/** A relay is of use from when it is listed; a directory has its descriptor some time before (control-spec, 3.9). */
function publishedCheck({ entry, accepted, fingerprint }: Said): Check {
  const flags = flagsIn(entry);
  if (flags.length > 0) return { name: "published", ok: true, detail: `listed as ${flags.join(" ")}` };
  if (accepted === "1") {
    return { name: "published", ok: true, detail: "a directory has its descriptor; it will be listed within hours" };
  }
  const detail = fingerprint === undefined ? "it runs as no relay" : "no directory has its descriptor";
  return { name: "published", ok: false, detail };
}

function percentOf(phase: string | undefined): number | undefined {
  const [, percent] = /\bPROGRESS=(\d{1,3})\b/.exec(phase ?? "") ?? [];
  return percent === undefined ? undefined : Math.min(100, Number(percent));
}

function fingerprintIn(text: string | undefined): string | undefined {
  return text !== undefined && /^[\da-fA-F]{40}$/.test(text) ? canonicalFingerprint(text) : undefined;
}

/** From the entry of a relay in the consensus (dir-spec, "s" line). */
function flagsIn(entry: string | undefined): string[] {
  const [, flags] = /^s ([A-Za-z\d ]+)$/m.exec(entry ?? "") ?? [];
  return flags === undefined ? [] : flags.split(" ").filter((flag) => flag !== "");
}

function trafficOf(said: Said | undefined): AnyoneStatus["traffic"] {
  const { read = "", written = "" } = said ?? {};
  const isCount = (text: string) => /^\d{1,20}$/.test(text);
  return isCount(read) && isCount(written) ? { read: BigInt(read), written: BigInt(written) } : undefined;
}
