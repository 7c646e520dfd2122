import { type Kind, parsedKind } from "./kind.ts";

/** Where a server of a back end is reached. Becomes `host:port`, with brackets around an IPv6 address. */
export const peerAddress: Kind<string> = parsedKind({
  name: "host:port",
  expected: "the address of a server: host:port, such as 10.0.0.1:3320 or [fd00::1]:3320",
  parse(raw) {
    if (typeof raw !== "string") return undefined;
    const [, host = "", digits] = /^(\[[\da-f:.]+\]|[a-z\d._-]{1,253}):(\d{1,5})$/i.exec(raw) ?? [];
    const port = Number(digits);
    // The names of containers may have an underscore, which host names have not.
    const hostname = port >= 1 && port <= 65_535 ? URL.parse(`http://${host}`)?.hostname : undefined;
    return hostname && `${hostname}:${port}`;
  },
  toYaml: (value) => value,
});
