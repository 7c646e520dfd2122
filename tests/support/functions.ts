import type { Answer, Client } from "./client.ts";
import { wasmOf } from "./wat.ts";

/** Who calls: the options of a call that say so. */
export interface Credential {
  readonly key?: string;
  readonly token?: string;
}

/** Fields of the form that deploys a function. */
export type DeployFields = Readonly<Record<string, string>>;

/**
 * Deploys a module, whatever comes of it.
 * @param wasm the name of a file of the corpus, or bytes
 */
export async function tryToDeploy(
  client: Client,
  credential: Credential,
  name: string,
  wasm: string | Uint8Array<ArrayBuffer>,
  fields: DeployFields = {},
): Promise<Answer> {
  const form = new FormData();
  for (const [field, value] of Object.entries({ name, ...fields })) form.append(field, value);
  form.append("wasm", new Blob([typeof wasm === "string" ? await wasmOf(wasm) : wasm]), "module.wasm");
  const response = new Response(form);
  const type = response.headers.get("content-type")!;
  const raw = new Uint8Array(await response.arrayBuffer());
  return await client.call("POST", "/v1/functions", { ...credential, raw, headers: { "content-type": type } });
}

/** The same for one that is deployed. @throws Error otherwise */
export async function deploy(...args: Parameters<typeof tryToDeploy>): Promise<Answer> {
  return (await tryToDeploy(...args)).expect(201);
}

/** Calls a function of the credential's namespace. */
export const invoke = (
  client: Client,
  credential: Credential,
  name: string,
  input: string | Uint8Array<ArrayBuffer> = "",
) =>
  client.call("POST", `/v1/functions/${name}/invoke`, {
    ...credential,
    raw: input,
    headers: { "content-type": "application/octet-stream" },
  });

/** What `calls.wat` writes when it performs these host calls: a line for each. */
export async function hostCalls(
  client: Client,
  credential: Credential,
  name: string,
  ...calls: readonly (readonly string[])[]
): Promise<string[]> {
  const answer = await invoke(client, credential, name, calls.map((call) => call.join("\t")).join("\n"));
  const { headers, text } = answer.expect(200);
  // What begins as JSON comes as it is.
  const isWhole = headers.get("content-type") === "application/json" && !text.startsWith('{"request_id"');
  return (isWhole ? text : answer.string("output")).trimEnd().split("\n");
}
