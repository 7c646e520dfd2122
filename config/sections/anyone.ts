import { field, type RuleProblem, section } from "../field.ts";
import { list } from "../kinds/collections.ts";
import { choice, flag, integer, path, text } from "../kinds/plain.ts";

const nickname = text({ pattern: /^[a-zA-Z0-9]{1,19}$/, expected: "1 to 19 letters and digits" });
const wallet = text({ pattern: /^0x[0-9a-fA-F]{40}$/, expected: "an Ethereum address: 0x and 40 hexadecimal digits" });
const fingerprint = text({
  pattern: /^\$?[0-9a-fA-F]{40}$/,
  expected: "a relay's fingerprint: 40 hexadecimal digits, perhaps after a $",
});

/** The `anon` beside the gateway, for the commands that plan it and ask how it is. */
export const anyone = section({
  description:
    "The `anon` of the Anyone network on this machine, for `orama-gateway anyone plan` and `status`. The gateway itself reads " +
    "nothing of this; which proxies it uses is another setting.",
  fields: {
    mode: field(choice(["client", "relay"]), {
      description:
        "`client`: a SOCKS proxy for the gateway alone. `relay`: it passes on the traffic of others as well, and must be reached " +
        "from everywhere at `anyone.or_port`. `anyone plan` needs it.",
    }),
    anonrc: field(path, {
      default: "/etc/anon/anonrc",
      description: "The configuration file of `anon`. The default is that of its Debian package.",
    }),
    data_dir: field(path, {
      description:
        "Where `anon` has its keys and state (`DataDirectory`). Default: what the file says, or else `/var/lib/anon`, as its " +
        "Debian package has it.",
    }),
    nickname: field(nickname, {
      description: "The relay's name. Default: what the file says; a relay must have one.",
    }),
    contact: field(text({ max: 512 }), {
      description:
        "How the relay's operator is reached: an address or a name on a messenger, which everybody can read. Default: what the " +
        "file says; a relay must have one.",
    }),
    wallet: field(wallet, {
      description:
        "The Ethereum address that gets the relay's rewards; it becomes part of the contact (`@anon:`). Default: what the file says.",
    }),
    family: field(list(fingerprint), {
      default: [],
      description:
        "Fingerprints of all relays of the same operator (`MyFamily`), so that nobody's traffic goes through two of them. Empty: " +
        "what the file says.",
    }),
    or_port: field(integer({ min: 1, max: 65_535 }), {
      default: 9001,
      unit: "port",
      description: "Where other relays reach this one (`ORPort`). Open it to the internet.",
    }),
    socks_port: field(integer({ max: 65_535 }), {
      default: 9050,
      unit: "port",
      description: "Where the gateway reaches the proxy (`SocksPort`), on the loopback interface alone. 0: nowhere.",
    }),
    control_port: field(integer({ max: 65_535 }), {
      default: 9051,
      unit: "port",
      description:
        "Where `anyone status` asks `anon` (`ControlPort`), on the loopback interface alone, with the cookie that `anon` leaves in " +
        "a file. 0: nowhere, and `status` knows less.",
    }),
    control_password: field(text(), {
      secret: true,
      description:
        "The password of the control port, for an `anon` that has one instead of the cookie (`HashedControlPassword`).",
    }),
    exit: field(flag, {
      default: false,
      description:
        "Whether traffic of strangers leaves the network here, and seems to come from this machine. Read what `anyone plan` says " +
        "of it first.",
    }),
    exit_legal_acknowledged: field(flag, {
      default: false,
      description:
        "Says that whoever runs an exit knows what that means by law where it stands; `anyone.exit` needs it.",
    }),
    exit_ports: field(list(integer({ min: 1, max: 65_535 })), {
      default: [80, 443],
      description: "Ports of the internet to which an exit lets traffic leave; all others are closed.",
    }),
    agree_to_terms: field(flag, {
      default: false,
      description:
        "Says that the operator agrees to the terms of the network, https://www.anyone.io/terms (`AgreeToTerms`). Its Debian " +
        "package asks for that when it is installed; elsewhere `anon` does not start without.",
    }),
  },
  check: ({ mode, exit, exit_legal_acknowledged, exit_ports }) => [
    ...(exit && mode !== "relay" ? [because("mode", "relay, because anyone.exit is true")] : []),
    ...(exit && !exit_legal_acknowledged
      ? [because("exit_legal_acknowledged", "true, because anyone.exit is true: what leaves here is taken for yours")]
      : []),
    ...(exit && exit_ports.length === 0
      ? [because("exit_ports", "at least one port, because anyone.exit is true")]
      : []),
  ],
});

const because = (key: string, expected: string): RuleProblem => ({ key, because: "exit", expected });
