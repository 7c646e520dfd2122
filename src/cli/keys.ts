import { Command, Option } from "commander";
import { type ControlApiKeys, OPERATOR_NAMESPACE } from "../../services/auth/api_keys.ts";
import type { NamespaceRegistry } from "../../services/namespaces/namespaces.ts";
import { type Grant, SCOPES } from "../contracts/identity.ts";
import { grantProblem, patternsOf, patternsProblem } from "../contracts/topic_rights.ts";
import type { KeyView } from "../contracts/wallet_auth.ts";
import { rfc3339OrNull } from "../http/formats.ts";
import { type ConfigFlags, loadFrom, rootKeyFor, withConfigFlags } from "./load.ts";
import { ACTOR, CONTEXT, onControlPlane } from "./on_control_plane.ts";
import { CommandError, out } from "./output.ts";

interface Target extends ConfigFlags {
  readonly namespace?: string;
  readonly operator?: boolean;
}

interface CreateFlags extends Target {
  readonly name: string;
  readonly scopes?: readonly Grant[];
  readonly expires?: Date;
  readonly createNamespace?: boolean;
}

/** `keys`: API keys, made and revoked by whoever runs the node. Works beside a running gateway. */
export const keysCommand = (): Command =>
  new Command("keys")
    .description(
      "Make, list and revoke API keys, of a namespace or of operators. A running gateway notices within a second.",
    )
    .addCommand(
      target(new Command("create"))
        .description("Make a key and print it as JSON, this once.")
        .option("--name <name>", "what the key is for", "command line")
        .addOption(
          new Option(
            "--scopes <list>",
            `comma-separated; default: all but namespace:admin; of ${
              SCOPES.join(" ")
            }; pubsub:subscribe:orders.* for some topics alone`,
          )
            .argParser(scopes),
        )
        .addOption(
          new Option("--expires <time>", "when it ends, such as 2030-01-31T00:00:00Z; default: never").argParser(time),
        )
        .option("--create-namespace", "make the namespace if it does not exist")
        .action(create),
    )
    .addCommand(target(new Command("list")).description("Print keys as JSON, one a line.").action(list))
    .addCommand(
      target(new Command("revoke")).argument("<id>", "the key's id, key_…").description("Revoke a key.").action(revoke),
    );

const target = (command: Command): Command =>
  withConfigFlags(command)
    .option("-n, --namespace <name>", "the namespace whose key it is")
    .option("--operator", "an operator's key: for metrics and the node, for no namespace");

async function create(flags: CreateFlags): Promise<void> {
  await withKeys(flags, async (keys, namespace, namespaces) => {
    const expiresAt = flags.expires?.getTime();
    const request = { name: flags.name, scopes: flags.scopes, ...(expiresAt !== undefined && { expiresAt }) };
    if (flags.operator) {
      if (flags.scopes) throw new CommandError("--scopes: an operator's key has none");
      out(JSON.stringify(lineOf(await keys.createOperator(request, ACTOR, CONTEXT))));
      return;
    }
    if (flags.createNamespace) await namespaces.ensure(namespace, ACTOR.subject, CONTEXT);
    else await namespaces.databaseOf(namespace);
    out(JSON.stringify(lineOf(await keys.createBySystem(namespace, request, ACTOR, CONTEXT))));
  });
}

async function list(flags: Target): Promise<void> {
  await withKeys(flags, async (keys, namespace) => {
    const limit = 200;
    let after: string | undefined;
    for (;;) {
      const page = await keys.list(namespace, { limit, after }, CONTEXT);
      for (const key of page) out(JSON.stringify(lineOf(key)));
      if (page.length < limit) return;
      after = page.at(-1)!.id;
    }
  });
}

async function revoke(id: string, flags: Target): Promise<void> {
  await withKeys(flags, async (keys, namespace) => {
    await keys.revoke(namespace, id, ACTOR, CONTEXT);
    out(JSON.stringify({ id, revoked: true }));
  });
}

type Work = (keys: ControlApiKeys, namespace: string, namespaces: NamespaceRegistry) => Promise<void>;

async function withKeys(flags: Target, work: Work): Promise<void> {
  if ((flags.operator ?? false) === (flags.namespace !== undefined)) {
    throw new CommandError("give either --namespace NAME or --operator");
  }
  const loaded = loadFrom(flags);
  const rootKey = await rootKeyFor(loaded);
  await onControlPlane(loaded.config, async ({ namespaces, apiKeysOf }) => {
    await work(apiKeysOf(rootKey), flags.operator ? OPERATOR_NAMESPACE : flags.namespace!, namespaces);
  });
}

function scopes(text: string): Grant[] {
  const grants = text.split(",").map((name) => name.trim() as Grant);
  for (const grant of grants) {
    const problem = grantProblem(grant);
    if (problem !== undefined) throw new CommandError(`--scopes: ${grant} ${problem}`);
  }
  const problem = patternsProblem(patternsOf(grants));
  if (problem !== undefined) throw new CommandError(`--scopes: ${problem}`);
  return grants;
}

function time(text: string): Date {
  const at = new Date(text);
  if (!(at.getTime() > Date.now())) {
    throw new CommandError(`--expires ${text}: expected a time to come, such as 2030-01-31T00:00:00Z`);
  }
  return at;
}

const lineOf = (view: KeyView & { readonly key?: string }) => ({
  ...(view.key !== undefined && { api_key: view.key }),
  id: view.id,
  name: view.name,
  namespace: view.operator ? null : view.namespace,
  operator: view.operator,
  scopes: view.scopes,
  created_at: rfc3339OrNull(view.createdAt),
  expires_at: rfc3339OrNull(view.expiresAt),
  revoked_at: rfc3339OrNull(view.revokedAt),
  last_used_at: rfc3339OrNull(view.lastUsedAt),
});
