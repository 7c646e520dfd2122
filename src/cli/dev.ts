import { Command } from "commander";
import { SCOPES } from "../contracts/identity.ts";
import { DEFAULT_NAMESPACE } from "../contracts/namespaces.ts";
import type { Gateway } from "../gateway.ts";
import { type ConfigFlags, loadFrom, withConfigFlags } from "./load.ts";
import { out } from "./output.ts";
import { runGateway } from "./run.ts";

/** Who owns the namespace and the key of development. No wallet is spelled so. */
const DEVELOPER = "development";

/** `dev`: runs a gateway with nothing installed and nothing configured. */
export const devCommand = (): Command =>
  withConfigFlags(new Command("dev"))
    .description("Run a gateway for development: embedded drivers, data under ./data, and a key to start with.")
    .action((flags: ConfigFlags) => {
      const values = {
        "auth.simple_key": true,
        "namespaces.shared_default": true,
        "log.format": Deno.stderr.isTerminal() ? "text" : "json",
      };
      return runGateway(loadFrom(flags, { name: "dev", values }), announce);
    });

async function announce({ url, container }: Gateway): Promise<void> {
  const context = { requestId: "", clientAddress: "", signal: new AbortController().signal };
  await container.namespaces.ensure(DEFAULT_NAMESPACE, DEVELOPER, context);
  const api_key = await container.apiKeys.ofWallet(DEFAULT_NAMESPACE, DEVELOPER, context, {
    name: "development",
    scopes: SCOPES,
  });
  if (!Deno.stdout.isTerminal()) {
    out(JSON.stringify({ url, api_key, namespace: DEFAULT_NAMESPACE }));
    return;
  }
  out(`
  orama-gateway, for development

  URL        ${url}
  API key    ${api_key}
  namespace  ${DEFAULT_NAMESPACE}
  reference  ${url}/docs

  Try it:

  curl ${url}/v1/rqlite/query -H 'X-API-Key: ${api_key}' -d '{"sql":"SELECT 1 + 1 AS two"}'
`);
}
