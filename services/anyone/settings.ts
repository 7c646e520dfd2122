import { isAddress } from "viem";

/** What is to be known of an `anon` beside the gateway, as section `anyone` of the configuration says it. */
export interface AnyoneSettings {
  /** `client`: a SOCKS proxy alone. `relay`: one that passes on the traffic of others as well. */
  readonly mode: "client" | "relay";
  /** Path of the configuration file of `anon`. */
  readonly anonrc: string;
  /** Folder with its keys and state; `undefined`: what the file says, or else {@link DATA_DIR}. */
  readonly dataDir: string | undefined;
  /** Of a relay; `undefined`, like those that follow: what the file says already. */
  readonly nickname: string | undefined;
  /** How its operator is reached; everybody can read it. */
  readonly contact: string | undefined;
  /** The Ethereum address that gets rewards. */
  readonly wallet: string | undefined;
  /** Fingerprints of the operator's other relays. */
  readonly family: readonly string[];
  readonly orPort: number;
  /** 0: none. */
  readonly socksPort: number;
  /** 0: none. */
  readonly controlPort: number;
  /** Whether traffic leaves the network here. */
  readonly exit: boolean;
  /** The ports to which it may. */
  readonly exitPorts: readonly number[];
  /** Whether the operator has agreed to the terms of the network. */
  readonly agreeToTerms: boolean;
}

/** Where the Debian package `anon` has its data (`debian/anon-service-defaults-anonrc` of anyone-protocol/ator-protocol). */
export const DATA_DIR = "/var/lib/anon";

/** One setting that is not as it must be. */
export interface SettingProblem {
  /** Its path in the configuration. */
  readonly setting: string;
  /** Completes "expected …". */
  readonly expected: string;
}

/** Settings from which nothing may be written. Its message names each, and says what is expected. */
export class AnyoneSettingsError extends Error {
  override readonly name = "AnyoneSettingsError";

  constructor(readonly problems: readonly SettingProblem[]) {
    super(problems.map(({ setting, expected }) => `${setting}: expected ${expected}`).join("\n"));
  }
}

/** tor(1), `Nickname`. */
const NICKNAME = /^[a-zA-Z0-9]{1,19}$/;
/** tor(1), `MyFamily`. */
const FINGERPRINT = /^\$?[0-9a-fA-F]{40}$/;
/** What ends a line, or could make a terminal show something else than there is. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;
/** Characters; a descriptor, which others must keep, has room for little more. */
const MAX_CONTACT = 512;
/** Fingerprints; about as many fit into a descriptor (docs.anyone.io, Relay Operator Standards). */
const MAX_FAMILY = 400;
const MAX_EXIT_PORTS = 100;

/** Whether a text is a relay's nickname. */
export const isNickname = (text: string): boolean => NICKNAME.test(text);

/** Whether a text can be part of the line of an option without ending it. */
export const isLine = (text: string): boolean => !UNSEEN.test(text);

/**
 * The one spelling of a fingerprint.
 * @param text 40 hexadecimal digits, perhaps after a `$`
 */
export const canonicalFingerprint = (text: string): string => text.replace("$", "").toUpperCase();

/**
 * Whether a text is an address that gets rewards. Upper and lower case letters mixed must be its checksum: whoever pays looks at
 * it (`extractAtorKey` in anyone-protocol/operator-registry-controller; EIP-55).
 */
export const isWallet = (text: string): boolean => {
  if (!/^0x[0-9a-fA-F]{40}$/.test(text)) return false;
  const digits = text.slice(2);
  return digits === digits.toLowerCase() || digits === digits.toUpperCase() || isAddress(text, { strict: true });
};

/**
 * What is wrong with settings; nothing where they can be written down.
 * @param taken ports that something else of this machine has, each with what that is
 */
export function problemsOf(settings: AnyoneSettings, taken: ReadonlyMap<number, string>): SettingProblem[] {
  const { nickname, contact, wallet, family, exit, mode } = settings;
  const problems: SettingProblem[] = [];
  const expect = (right: boolean, setting: string, expected: string) => {
    if (!right) problems.push({ setting: `anyone.${setting}`, expected });
  };
  expect(isPath(settings.anonrc), "anonrc", "an absolute path on one line");
  expect(settings.dataDir === undefined || isPath(settings.dataDir), "data_dir", "an absolute path on one line");
  expect(nickname === undefined || isNickname(nickname), "nickname", "1 to 19 letters and digits");
  expect(contact === undefined || isContact(contact), "contact", `a line of up to ${MAX_CONTACT} characters`);
  expect(!/@anon:/i.test(contact ?? ""), "contact", "no wallet in it: that is anyone.wallet");
  expect(
    wallet === undefined || isWallet(wallet),
    "wallet",
    "0x and 40 hexadecimal digits, whose capitals are all alike or the checksum of EIP-55",
  );
  const odd = family.findIndex((text) => !FINGERPRINT.test(text));
  expect(odd < 0, `family.${odd}`, "a fingerprint: 40 hexadecimal digits, perhaps after a $");
  expect(family.length <= MAX_FAMILY, "family", `no more than ${MAX_FAMILY} fingerprints`);
  expect(!exit || mode === "relay", "exit", "false, because anyone.mode is client");
  const { exitPorts } = settings;
  expect(exitPorts.every((port) => isPort(port) && port > 0), "exit_ports", "ports from 1 to 65535");
  expect(exitPorts.length <= MAX_EXIT_PORTS, "exit_ports", `no more than ${MAX_EXIT_PORTS} ports`);
  expect(!exit || exitPorts.length > 0, "exit_ports", "at least one port, because anyone.exit is true");
  return [...problems, ...portProblems(settings, taken)];
}

function portProblems(settings: AnyoneSettings, taken: ReadonlyMap<number, string>): SettingProblem[] {
  const { mode, orPort, socksPort, controlPort } = settings;
  const problems: SettingProblem[] = [];
  const seen = new Map(taken);
  const ports = [
    ...(mode === "relay" ? [["or_port", orPort, "the port on which other relays reach it"] as const] : []),
    ["socks_port", socksPort, "the port of its proxy"] as const,
    ["control_port", controlPort, "the port on which it is asked"] as const,
  ];
  for (const [name, port, what] of ports) {
    const setting = `anyone.${name}`;
    const least = name === "or_port" || (name === "socks_port" && mode === "client") ? 1 : 0;
    if (!isPort(port) || port < least) problems.push({ setting, expected: `a port from ${least} to 65535` });
    const other = port === 0 ? undefined : seen.get(port);
    if (other !== undefined) problems.push({ setting, expected: `another port than ${port}, which is ${other}` });
    seen.set(port, `${what} (${setting})`);
  }
  return problems;
}

const isPort = (port: number): boolean => Number.isInteger(port) && port >= 0 && port <= 65_535;
const isPath = (path: string): boolean => path.startsWith("/") && path.length <= 4_096 && isLine(path);
const isContact = (text: string): boolean => text.trim() !== "" && [...text].length <= MAX_CONTACT && isLine(text);
