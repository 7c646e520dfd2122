import type { AnyoneSettings } from "../../../../services/anyone/settings.ts";

/** An address with its checksum, the first example of EIP-55. */
export const WALLET = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
/** Of no relay that there is. */
export const FINGERPRINTS = ["A".repeat(40), "0123456789ABCDEF0123456789ABCDEF01234567"] as const;

/** A relay that can be written down. */
export const settings = (changes: Partial<AnyoneSettings> = {}): AnyoneSettings => ({
  mode: "relay",
  anonrc: "/etc/anon/anonrc",
  dataDir: undefined,
  nickname: "tester",
  contact: "me@example.org",
  wallet: undefined,
  family: [],
  orPort: 9001,
  socksPort: 9050,
  controlPort: 9051,
  exit: false,
  exitPorts: [80, 443],
  agreeToTerms: false,
  ...changes,
});
