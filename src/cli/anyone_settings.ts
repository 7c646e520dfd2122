import type { Config } from "../../config/index.ts";
import type { AnyoneSettings } from "../../services/anyone/settings.ts";

/** What a configuration says of `anon`. @param mode in place of one that is not set */
export const settingsOf = ({ anyone }: Config, mode: "client" | "relay"): AnyoneSettings => ({
  mode: anyone.mode ?? mode,
  anonrc: anyone.anonrc,
  dataDir: anyone.data_dir,
  nickname: anyone.nickname,
  contact: anyone.contact,
  wallet: anyone.wallet,
  family: anyone.family,
  orPort: anyone.or_port,
  socksPort: anyone.socks_port,
  controlPort: anyone.control_port,
  exit: anyone.exit,
  exitPorts: anyone.exit_ports,
  agreeToTerms: anyone.agree_to_terms,
});

/** The ports of this machine that the gateway takes for itself, each with what it is for. */
export function portsOf({ http, network }: Config): Map<number, string> {
  const ports = new Map<number, string>();
  for (const address of network.listen) {
    const port = Number(/\/tcp\/(\d+)/.exec(address)?.[1]);
    if (port > 0) ports.set(port, "the port of the gateway's network (network.listen)");
  }
  if (http.listen.port > 0) ports.set(http.listen.port, "the gateway's own (http.listen)");
  return ports;
}

/** A text of a file or of another program, as a terminal may show it. */
export const shown = (text: string): string => text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "\u{fffd}");
