import { z } from "zod";
import { readPorts, writePorts } from "../../src/contracts/egress_rules.ts";
import { hostPatternField } from "../../src/http/host_pattern.ts";

/** How much each list may hold: each gateway keeps them in memory, and looks through them for each request. */
const MAX_HOSTS = 100;
const MAX_PORTS = 50;
const MAX_METHODS = 20;
const PORTS_EXPECTED = "must be a port from 1 to 65535, or a range of them such as 8000-8999";
const METHOD_EXPECTED = "must be a method such as GET";

const ports = z.union([z.int(PORTS_EXPECTED), z.string().max(11, PORTS_EXPECTED)], PORTS_EXPECTED)
  .transform((value, context) => {
    const range = readPorts(String(value));
    if (range) return writePorts(range);
    context.addIssue({ code: "custom", message: PORTS_EXPECTED });
    return z.NEVER;
  });

/** A token of RFC 9110, 5.6.2. Flags of an expression do not get into the OpenAPI document, so both cases stand in it. */
const method = z.string(METHOD_EXPECTED).regex(/^[!#$%&'*+.^_`|~\da-zA-Z-]{1,32}$/, METHOD_EXPECTED)
  .transform((name) => name.toUpperCase());

const listOf = (item: z.ZodType<string>, max: number) =>
  z.array(item).max(max).superRefine((list, context) => {
    for (const [i, one] of list.entries()) {
      if (list.indexOf(one) !== i) context.addIssue({ code: "custom", message: "is in the list already", path: [i] });
    }
  });

const ALLOW_HOSTS =
  "The only hosts that functions, webhooks and the proxy may reach: `api.example.com`, `*.example.com` for its sub-domains (not " +
  "itself), an address, or a range of them. The list is given as a whole; an empty one: none. `null`: any that the gateway allows.";
const DENY_HOSTS = "Hosts that they may not reach, written in the same way; wins over `allow_hosts`. `null`: none.";
const PORTS =
  'Ports that they may reach, one by one or as in `"8000-8999"`. Only those count that the gateway allows too (`egress.ports`): ' +
  "`effective` tells what is left. An empty list: none. `null`: all that the gateway allows.";
const METHODS = "Methods that they may use, in any letter case. An empty list: none. `null`: any.";

/** What an owner may set for outbound requests. */
export const egressSettings = z.strictObject({
  allow_hosts: listOf(hostPatternField, MAX_HOSTS).nullable().describe(ALLOW_HOSTS),
  deny_hosts: listOf(hostPatternField, MAX_HOSTS).nullable().describe(DENY_HOSTS),
  ports: listOf(ports, MAX_PORTS).nullable().describe(PORTS),
  methods: listOf(method, MAX_METHODS).nullable().describe(METHODS),
});

const answered = z.array(z.string()).nullable();

/** The same in an answer. */
export const egressSettingsAnswered = z.object({
  allow_hosts: answered.describe(ALLOW_HOSTS),
  deny_hosts: answered.describe(DENY_HOSTS),
  ports: answered.describe(PORTS),
  methods: answered.describe(METHODS),
});
