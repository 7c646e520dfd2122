import { type AnonrcEntry, type DiffLine, editAnonrc, meant, parseAnonrc, type WantedOption } from "./anonrc.ts";
import {
  type AnyoneSettings,
  AnyoneSettingsError,
  canonicalFingerprint,
  DATA_DIR,
  isNickname,
  isWallet,
} from "./settings.ts";

/** What is to become of an `anonrc`. */
export interface AnonrcPlan {
  readonly text: string;
  readonly lines: readonly DiffLine[];
  readonly changed: boolean;
  /** Where `anon` will have its keys. */
  readonly dataDir: string;
  /** Whether traffic of strangers will leave this machine. */
  readonly exit: boolean;
  /** What the operator should know, in whole sentences. */
  readonly notes: readonly string[];
}

/** Where the Debian package lets `anon` log (`debian/anon.postinst` and `debian/anon.logrotate` of anyone-protocol/ator-protocol). */
const LOG = "notice file /var/log/anon/notices.log";

/**
 * Plans the `anonrc` for settings. Options that it does not know stay as they are, and so does what already does what is wanted.
 * @param before the file as it is; `undefined` where there is none
 * @throws AnyoneSettingsError when a relay lacks what neither the settings nor the file says; AnonrcSyntaxError
 */
export function planAnonrc(settings: AnyoneSettings, before: string | undefined): AnonrcPlan {
  const entries = parseAnonrc(before ?? "");
  const dataDir = settings.dataDir ?? lastValue(entries, "DataDirectory") ?? DATA_DIR;
  const wanted = settings.mode === "relay" ? relayOptions(settings, entries) : clientOptions;
  const edited = editAnonrc(entries, [...wanted, ...commonOptions(settings, dataDir)]);
  return { ...edited, dataDir, exit: settings.exit, notes: notesOn(settings, entries) };
}

/** The value of an option that may stand in a file once; of several, `anon` takes the last (tor(1)). */
export function lastValue(entries: readonly AnonrcEntry[], option: string): string | undefined {
  return entries.findLast((entry) => entry.option !== undefined && meant(entry.option, [option]) === option)?.value;
}

/** The address after `@anon:` in a contact; `undefined` where there is none that could get rewards. */
export function walletIn(contact: string): string | undefined {
  const [, wallet] = /@anon:\s*(0x[0-9a-fA-F]{40})(?![0-9a-zA-Z])/i.exec(contact) ?? [];
  return wallet !== undefined && isWallet(wallet) ? wallet : undefined;
}

/** Without an ORPort it is no relay (tor(1)), whatever else is said of one. */
const clientOptions: readonly WantedOption[] = [
  { option: "ORPort", values: [], suits: (values) => values.every((value) => portOf(value) === 0) },
];

function relayOptions(settings: AnyoneSettings, entries: readonly AnonrcEntry[]): WantedOption[] {
  const { orPort, exit, exitPorts } = settings;
  const family = settings.family.map(canonicalFingerprint);
  return [
    { option: "Nickname", values: [nicknameFor(settings, entries)] },
    { option: "ContactInfo", values: [contactFor(settings, entries)] },
    ...(family.length === 0 ? [] : [{
      option: "MyFamily",
      values: [[...new Set(family)].join(",")],
      suits: (values: readonly string[]) => sameSet(familyIn(values), family),
    }]),
    // It may have an address, flags, and others beside it.
    {
      option: "ORPort",
      values: [String(orPort)],
      suits: (values) => values.some((value) => portOf(value) === orPort),
    },
    { option: "ExitRelay", values: [exit ? "1" : "0"] },
    {
      option: "ExitPolicy",
      values: exit ? [...exitPorts.map((port) => `accept *:${port}`), "reject *:*"] : ["reject *:*"],
      suits: exit ? undefined : (values) => values.length > 0 && values.every((value) => /^reject6? \S+$/.test(value)),
    },
  ];
}

function commonOptions({ socksPort, controlPort, agreeToTerms }: AnyoneSettings, dataDir: string): WantedOption[] {
  return [
    localPort("SocksPort", socksPort),
    localPort("ControlPort", controlPort),
    ...(controlPort === 0 ? [] : [{ option: "CookieAuthentication", values: ["1"] }]),
    { option: "DataDirectory", values: [dataDir] },
    { option: "Log", values: [LOG], suits: (values) => values.length > 0 },
    ...(agreeToTerms ? [{ option: "AgreeToTerms", values: ["1"] }] : []),
  ];
}

/** Nobody else may reach it: SOCKS as `anon` speaks it asks for no password (tor(1), `SocksPort`). */
const localPort = (option: string, port: number): WantedOption => ({
  option,
  values: [port === 0 ? "0" : `127.0.0.1:${port}`],
  suits: (values) => values.some((value) => portOf(value) === port) && values.every(isLocal),
});

/** What the file says stays where the settings say nothing: it is how the relay is known. */
function nicknameFor({ nickname }: AnyoneSettings, entries: readonly AnonrcEntry[]): string {
  const found = nickname ?? lastValue(entries, "Nickname");
  if (found !== undefined && isNickname(found)) return found;
  throw new AnyoneSettingsError([{
    setting: "anyone.nickname",
    expected: "the relay's name: 1 to 19 letters and digits",
  }]);
}

/** Rewards go to the address after `@anon:` (`install.sh` of anyone-protocol/anon-install). */
function contactFor({ contact, wallet }: AnyoneSettings, entries: readonly AnonrcEntry[]): string {
  const before = lastValue(entries, "ContactInfo") ?? "";
  const said = contact ?? before.replace(/\s*@anon:\s*\S*/gi, "").trim();
  const paid = wallet ?? walletIn(before);
  if (said === "") {
    throw new AnyoneSettingsError([{
      setting: "anyone.contact",
      expected: "how the operator is reached, which the network demands of relays",
    }]);
  }
  const whole = paid === undefined ? said : `${said} @anon:${paid}`;
  return sameContact(whole, before) ? before : whole;
}

const sameContact = (some: string, other: string) =>
  some.replace(/(@anon:)\s*/gi, "$1") === other.replace(/(@anon:)\s*/gi, "$1");

function notesOn(settings: AnyoneSettings, entries: readonly AnonrcEntry[]): string[] {
  const { mode, wallet, agreeToTerms } = settings;
  const notes: string[] = [];
  if (entries.some(({ option }) => option?.toLowerCase() === "%include")) {
    notes.push("The file includes others, which are not looked at: what they say may win over what is planned here.");
  }
  const wasRelay = entries.some(({ option, value }) =>
    option !== undefined && meant(option, ["ORPort"]) !== undefined && portOf(value) !== 0
  );
  if (mode === "client" && wasRelay) notes.push("This is a relay, and would be none any more; its keys stay.");
  if (mode === "client") return notes;
  for (const [option, wrong, note] of AGAINST_RELAYS) {
    const value = lastValue(entries, option);
    if (value !== undefined && wrong.test(value)) notes.push(`The file says ${option} ${value}: ${note}`);
  }
  if (wallet === undefined && walletIn(lastValue(entries, "ContactInfo") ?? "") === undefined) {
    notes.push("No wallet is named (anyone.wallet): nobody gets this relay's rewards.");
  }
  if (!agreeToTerms && lastValue(entries, "AgreeToTerms") !== "1") {
    notes.push(
      "The terms of the network (https://www.anyone.io/terms) are agreed to elsewhere, as when its Debian package is installed; " +
        "or say so with anyone.agree_to_terms.",
    );
  }
  return notes;
}

/** Options of the user's own that keep a relay from being one; tor(1) for each. */
const AGAINST_RELAYS: readonly (readonly [option: string, wrong: RegExp, note: string])[] = [
  ["ClientOnly", /^1$/, "it will not be a relay while that stands there."],
  ["BridgeRelay", /^1$/, "it will be a bridge, which is not listed and must have no MyFamily."],
  ["PublishServerDescriptor", /^0$/, "nobody will learn of the relay."],
  ["DisableNetwork", /^1$/, "it will reach nobody, and nobody will reach it."],
];

/** The port of `9001`, `127.0.0.1:9050 flags`, `[::1]:9050`; `undefined` for a path, `auto` or what is none. */
function portOf(value: string): number | undefined {
  const [, digits] = /^(?:\[[\da-fA-F:.]+\]:|[^\s:[\]"]+:)?(\d{1,5})(?:\s|$)/.exec(value) ?? [];
  return digits === undefined ? undefined : Number(digits);
}

/** A port without an address is on the loopback interface (tor(1), `SocksPort`). */
const isLocal = (value: string): boolean =>
  /^(\d{1,5}|auto|127\.\d+\.\d+\.\d+:(\d{1,5}|auto)|localhost:(\d{1,5}|auto)|\[::1\]:(\d{1,5}|auto)|unix:.+)(\s|$)/
    .test(value);

const familyIn = (values: readonly string[]) =>
  values.flatMap((value) => value.split(/[\s,]+/)).filter((text) => text !== "").map(canonicalFingerprint);

function sameSet(some: readonly string[], others: readonly string[]): boolean {
  const [one, other] = [new Set(some), new Set(others)];
  return one.symmetricDifference(other).size === 0;
}
