import { AnonrcSyntaxError, type DiffLine } from "../../services/anyone/anonrc.ts";
import { AnonrcFile } from "../../services/anyone/anonrc_file.ts";
import { type Installation, installationOf } from "../../services/anyone/installation.ts";
import { bringKeys, type KeyMigration, planKeys } from "../../services/anyone/keys.ts";
import { type AnonrcPlan, planAnonrc } from "../../services/anyone/plan.ts";
import { type AnyoneSettings, AnyoneSettingsError, problemsOf } from "../../services/anyone/settings.ts";
import { GatewayError } from "../contracts/errors.ts";
import { portsOf, settingsOf, shown } from "./anyone_settings.ts";
import { type ConfigFlags, loadFrom } from "./load.ts";
import { CommandError, err, out } from "./output.ts";

/** What `anyone plan` is given. */
export interface PlanFlags extends ConfigFlags {
  readonly apply?: boolean;
  readonly keysFrom?: string;
  readonly acceptExitRisks?: boolean;
}

/** Whoever can be asked. */
export interface Asked {
  /** Whether there is somebody at a terminal. */
  readonly present: boolean;
  /** What is answered to a question; `null` for nothing. */
  answer(question: string): string | null;
}

/** What an exit is, for whoever is about to run one (docs.anyone.io, Exit Relay Guidelines; tor(1), `ExitRelay`). */
export const EXIT_WARNING =
  `Traffic of strangers will leave the network here, and every server that it reaches sees the address of this machine.
Complaints about abuse, letters about copyright, and questions of the police will come to you, and a provider may end its
service: many forbid exits. Whether you answer for that traffic differs from country to country. Ask a lawyer who knows the
law where the machine stands, ask the provider, and never run an exit at home. This is no legal advice.`;

/** What must be answered: a key that is pressed without thought is not enough. */
const CONSENT = "I accept the risks";
/** Lines around a change that are shown with it. */
const AROUND = 2;

/** `anyone plan`. @throws CommandError, GatewayError */
export async function planAnyone(flags: PlanFlags, asked: Asked = terminal()): Promise<void> {
  const { config } = loadFrom(flags);
  if (config.anyone.mode === undefined) {
    throw new CommandError("anyone.mode is needed: client or relay, as in --set anyone.mode=client");
  }
  const settings = settingsOf(config, config.anyone.mode);
  const problems = problemsOf(settings, portsOf(config));
  if (problems.length > 0) throw new CommandError(new AnyoneSettingsError(problems).message);
  if (flags.keysFrom !== undefined && settings.mode === "client") {
    throw new CommandError("--keys-from: a client has no identity; set anyone.mode to relay");
  }
  const file = await AnonrcFile.read(settings.anonrc);
  const plan = planFor(settings, file);
  const installation = await installationOf(settings, plan.dataDir, Deno.env.get("PATH") ?? "");
  const keys = flags.keysFrom === undefined ? undefined : await planKeys(absolute(flags.keysFrom), plan.dataDir);
  out(textOf(settings, file, plan, installation, keys));
  if (plan.exit && plan.changed) out(`\n${EXIT_WARNING}`);
  if (!flags.apply) {
    if (plan.changed || keys?.files.length) err("nothing was changed; --apply does it");
    return;
  }
  if (plan.exit && plan.changed) consent(flags, asked);
  // The keys first: an anon that starts without them makes new ones.
  if (keys !== undefined) await bringKeys(keys);
  const backup = plan.changed ? await file.write(plan.text, Date.now()) : undefined;
  if (backup !== undefined) err(`what was there is in ${backup}`);
  if (plan.changed || keys?.files.length) err(nextSteps(file.path, installation, keys));
  else err("nothing was to be changed");
}

function planFor(settings: AnyoneSettings, file: AnonrcFile): AnonrcPlan {
  try {
    return planAnonrc(settings, file.text);
  } catch (error) {
    if (error instanceof AnyoneSettingsError) throw new CommandError(error.message);
    if (error instanceof AnonrcSyntaxError) {
      throw new GatewayError("CONFLICT", `${file.path}, ${error.message}; anon would not read it either`, {
        cause: error,
      });
    }
    throw error;
  }
}

/** @throws CommandError where nobody says so explicitly */
function consent({ acceptExitRisks }: PlanFlags, asked: Asked): void {
  if (acceptExitRisks) return;
  if (!asked.present) {
    throw new CommandError(
      "anyone.exit is true, and nobody is here to be asked: give --accept-exit-risks to say that you know",
    );
  }
  if (asked.answer(`Type "${CONSENT}" to go on:`)?.trim() !== CONSENT) {
    throw new CommandError("nothing was changed: the risks of an exit were not accepted");
  }
}

function textOf(
  settings: AnyoneSettings,
  file: AnonrcFile,
  plan: AnonrcPlan,
  installation: Installation,
  keys: KeyMigration | undefined,
): string {
  const { program, version, identity, listening } = installation;
  const ports = Object.entries(listening).map(([name, busy]) => `${name} ${busy ? "in use" : "free"}`);
  const found = [
    ["program", program === undefined ? "none" : `${program}${version === undefined ? "" : `, version ${version}`}`],
    ["file", file.text === undefined ? `${file.path}, to be made` : file.path],
    ["data", plan.dataDir],
    ["keys", typeof identity === "string" ? identity : identity?.fingerprint ?? "none"],
    ["ports", ports.join(", ") || "none"],
    ["mode", `${settings.mode}${plan.exit ? ", an exit" : ""}`],
  ];
  const blocks = [
    found.map(([name, text]) => `${name!.padEnd(8)}${shown(text!)}`).join("\n"),
    plan.changed ? diffText(plan.lines) : "The file is as it is to be.",
    ...(keys === undefined ? [] : [keysText(keys)]),
    ...plan.notes.map((note) => `note: ${shown(note)}`),
  ];
  return blocks.join("\n\n");
}

/** The changes with the lines around them. */
function diffText(lines: readonly DiffLine[]): string {
  const near = lines.map((_, i) =>
    lines.slice(Math.max(0, i - AROUND), i + AROUND + 1).some(({ sign }) => sign !== " ")
  );
  return lines.flatMap(({ sign, line }, i) =>
    near[i] ? [`${sign} ${shown(line.replace(/\r$/, ""))}`.trimEnd()] : near[i - 1] ? ["  …"] : []
  ).join("\n");
}

function keysText({ from, to, identity, files, left }: KeyMigration): string {
  const lines = [
    `The identity ${identity.fingerprint} of ${from}:`,
    ...(files.length === 0 ? [`  is in ${to} already`] : files.map((name) => `+ ${to}/${name}`)),
    ...left.map((name) => `  ${name} is no key of a relay, and stays where it is`),
  ];
  return lines.map(shown).join("\n");
}

function nextSteps(path: string, { program }: Installation, keys: KeyMigration | undefined): string {
  const steps = [
    ...(keys?.files.length ? ["Stop the old relay for good: two with one identity harm each other."] : []),
    ...(program === undefined ? ["Install anon."] : [`Check the file: ${program} --verify-config -f ${path}`]),
    "Start anew: systemctl restart anon",
    "Ask how it is: orama-gateway anyone status",
  ];
  return steps.join("\n");
}

const absolute = (path: string): string =>
  (path.startsWith("/") ? path : `${Deno.cwd()}/${path}`).replace(/(?<=.)\/+$/, "");

const terminal = (): Asked => ({
  present: Deno.stdin.isTerminal() && Deno.stdout.isTerminal(),
  answer: (question) => prompt(question),
});
