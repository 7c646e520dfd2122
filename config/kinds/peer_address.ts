import { type Kind, parsedKind } from "./kind.ts";
import { formatListenAddress, parseListenAddress } from "./listen_address.ts";

/** Where a server of a back end is reached. Becomes `host:port`, with brackets around an IPv6 address. */
export const peerAddress: Kind<string> = parsedKind({
  name: "host:port",
  expected: "the address of a server: host:port, such as 10.0.0.1:3320 or [fd00::1]:3320",
  parse(raw) {
    // A port alone is good to listen on, and nowhere to go to.
    if (typeof raw !== "string" || !/[^:]:\d+$/.test(raw)) return undefined;
    const address = parseListenAddress(raw);
    return address && address.port > 0 ? formatListenAddress(address).toLowerCase() : undefined;
  },
  toYaml: (value) => value,
});
