import { type AnyoneStatus, statusOf } from "../../services/anyone/status.ts";
import { GatewayError } from "../contracts/errors.ts";
import { settingsOf, shown } from "./anyone_settings.ts";
import { type ConfigFlags, loadFrom } from "./load.ts";
import { out } from "./output.ts";

/** What `anyone status` is given. */
export interface StatusFlags extends ConfigFlags {
  readonly json?: boolean;
}

/** `anyone status`. @throws GatewayError where anything is not well */
export async function showStatus(flags: StatusFlags): Promise<void> {
  const { config } = loadFrom(flags);
  const status = await statusOf({
    settings: settingsOf(config, "client"),
    password: config.anyone.control_password,
    random: (length) => crypto.getRandomValues(new Uint8Array(length)),
  });
  out(flags.json ? JSON.stringify(jsonOf(status)) : tableOf(status));
  if (status.healthy) return;
  const wrong = status.checks.filter(({ ok }) => !ok).map(({ name }) => name);
  throw new GatewayError("UNAVAILABLE", wrong.length > 0 ? `not well: ${wrong.join(", ")}` : "there is nothing to ask");
}

function tableOf({ mode, checks, version, fingerprint, traffic, warnings }: AnyoneStatus): string {
  const rows = [
    ["mode", "", mode],
    ...checks.map(({ name, ok, detail }) => [name, ok ? "ok" : "FAILS", detail]),
    ...(version === undefined ? [] : [["version", "", version]]),
    ...(fingerprint === undefined ? [] : [["relay", "", fingerprint]]),
    ...(traffic === undefined ? [] : [["traffic", "", `${traffic.read} bytes read, ${traffic.written} written`]]),
    ...warnings.map((warning) => ["warning", "", warning]),
  ];
  return rows.map(([name, state, text]) => `${name!.padEnd(11)}${state!.padEnd(7)}${shown(text!)}`).join("\n");
}

const jsonOf = (
  { healthy, mode, checks, warnings, version, bootstrap, fingerprint, flags, traffic }: AnyoneStatus,
) => ({
  healthy,
  mode,
  checks,
  warnings,
  version: version ?? null,
  bootstrap_percent: bootstrap ?? null,
  fingerprint: fingerprint ?? null,
  flags,
  // More than a number of JSON holds exactly, on a relay that runs for long.
  traffic: traffic === undefined ? null : { read: String(traffic.read), written: String(traffic.written) },
});
