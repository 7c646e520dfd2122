import { Command } from "commander";
import { SCOPES } from "../contracts/identity.ts";
import { DEFAULT_NAMESPACE } from "../contracts/namespaces.ts";
import type { Gateway } from "../gateway.ts";
import { GatewayError } from "../contracts/errors.ts";
import { logger } from "../observability/log.ts";
import { type ConfigFlags, loadFrom, withConfigFlags } from "./load.ts";
import { CommandError, out } from "./output.ts";
import { runGateway } from "./run.ts";
import { WatchedFunctions } from "./watched_functions.ts";

/** Who owns the namespace and the key of development. No wallet is spelled so. */
const DEVELOPER = "development";

/** `dev`: runs a gateway with nothing installed and nothing configured. */
export const devCommand = (): Command =>
  withConfigFlags(new Command("dev"))
    .description("Run a gateway for development: embedded drivers, data under ./data, and a key to start with.")
    .option("-f, --functions <folder>", "deploy the .wasm files of a folder, and again whenever one changes")
    .action(async (flags: ConfigFlags & { readonly functions?: string }) => {
      const values = {
        "auth.simple_key": true,
        "namespaces.shared_default": true,
        "log.format": Deno.stderr.isTerminal() ? "text" : "json",
      };
      const { functions } = flags;
      if (functions !== undefined && !(await isFolder(functions))) {
        throw new CommandError(`--functions ${functions}: there is no such folder`);
      }
      await runGateway(loadFrom(flags, { name: "dev", values }), async (gateway) => {
        const key = await announce(gateway);
        if (functions !== undefined) await watch(functions, key, gateway);
      });
    });

const isFolder = (path: string): Promise<boolean> =>
  Deno.stat(path).then(({ isDirectory }) => isDirectory, () => false);

async function watch(folder: string, key: string, { container: { services } }: Gateway): Promise<void> {
  const { authenticator, functions } = services;
  const principal = (await authenticator.identifyKey(key))!;
  const log = logger("functions");
  await WatchedFunctions.start({
    folder,
    functions,
    principal,
    onDeploy(name, deployed) {
      if ("version" in deployed) return log.info("deployed", { name, version: deployed.version });
      const { error } = deployed;
      log.warn("not deployed", { name, ...(error instanceof GatewayError ? { why: error.message } : { error }) });
    },
  });
}

async function announce({ url, container }: Gateway): Promise<string> {
  const context = { requestId: "", clientAddress: "", signal: new AbortController().signal };
  await container.namespaces.ensure(DEFAULT_NAMESPACE, DEVELOPER, context);
  const api_key = await container.apiKeys.ofWallet(DEFAULT_NAMESPACE, DEVELOPER, context, {
    name: "development",
    scopes: SCOPES,
  });
  if (!Deno.stdout.isTerminal()) {
    out(JSON.stringify({ url, api_key, namespace: DEFAULT_NAMESPACE }));
    return api_key;
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
  return api_key;
}
