import type { Command } from "commander";
import { ERROR_STATUS, type ErrorCode, GatewayError } from "../contracts/errors.ts";
import { CommandError } from "./output.ts";

/** Which gateway a command speaks to, and as whom. */
export interface RemoteFlags {
  readonly url: string;
  readonly key?: string;
  readonly keyFile?: string;
}

/** Adds the options that name a gateway and a key. @param scopes what the key needs */
export const withRemoteFlags = (command: Command, scopes: string): Command =>
  command
    .requiredOption("--url <url>", "the gateway, such as https://gateway.example")
    .option("--key <key>", `an API key of the namespace, with ${scopes}`)
    .option("--key-file <file>", "a file that holds it, which no list of processes shows; - for standard input");

/** The key that the flags name. @throws CommandError */
export async function keyOf({ key, keyFile }: Pick<RemoteFlags, "key" | "keyFile">): Promise<string> {
  if ((key === undefined) === (keyFile === undefined)) throw new CommandError("give either --key or --key-file");
  if (key !== undefined) return key;
  const text = keyFile === "-"
    ? await new Response(Deno.stdin.readable).text()
    : await Deno.readTextFile(keyFile!).catch((error) => {
      throw new CommandError(`--key-file ${keyFile}: ${(error as Error).message}`);
    });
  return text.trim();
}

/**
 * Calls a gateway.
 * @returns a success
 * @throws GatewayError for what it answers otherwise, `UNAVAILABLE` when it does not answer like one; CommandError for the flags
 */
export async function callGateway(flags: RemoteFlags, path: string, init: RequestInit): Promise<Response> {
  const key = await keyOf(flags);
  let address: URL;
  try {
    address = new URL(path, flags.url);
  } catch {
    throw new CommandError(`--url ${flags.url}: expected an address such as https://gateway.example`);
  }
  let response: Response, answer: { readonly error?: string; readonly code?: string };
  try {
    response = await fetch(address, {
      ...init,
      headers: { ...init.headers as Record<string, string>, "x-api-key": key },
    });
    if (response.ok) return response;
    answer = await response.json();
  } catch (cause) {
    throw new GatewayError("UNAVAILABLE", `${address.origin} cannot be reached, or is no gateway; repeat the command`, {
      cause,
    });
  }
  throw new GatewayError(known(answer.code), answer.error ?? `${address.origin} answered ${response.status}`);
}

/** A code that came over the wire. */
export const known = (code: string | undefined): ErrorCode =>
  code !== undefined && Object.hasOwn(ERROR_STATUS, code) ? code as ErrorCode : "INTERNAL";
