import type { Answer, Client } from "./client.ts";
import { chosenDriver } from "./test_database.ts";
import { ethereumWallet, type TestWallet } from "./wallet.ts";

/** What a wallet has after it signed in. */
export interface SignedIn {
  readonly wallet: TestWallet;
  readonly namespace: string;
  readonly accessToken: string;
  readonly refreshToken: string;
  readonly apiKey: string;
  readonly role: string;
}

/** Which way a wallet proves itself. */
export type ProofForm = "nonce" | "message";

/** A name that no other test uses. */
export const uniqueName = (prefix = "ns"): string => `${prefix}-${crypto.getRandomValues(new Uint8Array(6)).toHex()}`;

/** Asks for something to sign. */
export async function challenge(
  client: Client,
  wallet: TestWallet,
  namespace: string,
  purpose = "authentication",
): Promise<Answer> {
  const body = { wallet: wallet.address, namespace, purpose, chain_type: wallet.chainType };
  return (await client.call("POST", "/v1/auth/challenge", { body })).expect(200);
}

/** The body that proves a wallet: a fresh challenge, signed. */
export async function proof(
  client: Client,
  wallet: TestWallet,
  namespace: string,
  { form = "nonce", purpose }: { readonly form?: ProofForm; readonly purpose?: string } = {},
): Promise<Record<string, unknown>> {
  const asked = await challenge(client, wallet, namespace, purpose);
  if (form === "message") return { message: asked.string("message"), signature: wallet.sign(asked.string("message")) };
  const nonce = asked.string("nonce");
  return { wallet: wallet.address, nonce, signature: wallet.sign(nonce), namespace, chain_type: wallet.chainType };
}

/** Signs in, whatever comes of it. */
export async function tryToSignIn(
  client: Client,
  wallet: TestWallet,
  namespace: string,
  form: ProofForm = "nonce",
): Promise<Answer> {
  return await client.call("POST", "/v1/auth/verify", { body: await proof(client, wallet, namespace, { form }) });
}

/** Signs in. Where databases come from a pool, waits for one that is being freed, and for a name that is. */
export async function signIn(
  client: Client,
  wallet: TestWallet,
  namespace: string,
  form: ProofForm = "nonce",
): Promise<SignedIn> {
  const end = performance.now() + 20_000;
  let answer = await tryToSignIn(client, wallet, namespace, form);
  while ([409, 503].includes(answer.status) && chosenDriver() === "rqlite" && performance.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    answer = await tryToSignIn(client, wallet, namespace, form);
  }
  answer.expect(200);
  return {
    wallet,
    namespace,
    accessToken: answer.string("access_token"),
    refreshToken: answer.string("refresh_token"),
    apiKey: answer.string("api_key"),
    role: answer.string("role"),
  };
}

/** The owner of a namespace that was made for one test, and is deleted after it where there is no room for many. */
export interface Owner extends SignedIn, AsyncDisposable {}

/** Makes a namespace with an owner. */
export async function newOwner(client: Client, namespace = uniqueName(), wallet = ethereumWallet()): Promise<Owner> {
  const owner = await signIn(client, wallet, namespace);
  return {
    ...owner,
    async [Symbol.asyncDispose]() {
      if (chosenDriver() === "rqlite") await remove(client, wallet, namespace);
    },
  };
}

/** Adds a wallet to the owner's namespace and signs it in. */
export async function newMember(
  client: Client,
  owner: SignedIn,
  role: string,
  wallet = ethereumWallet(),
): Promise<SignedIn> {
  const path = `/v1/namespaces/${owner.namespace}/members/${wallet.address}`;
  (await client.call("PUT", path, { token: owner.accessToken, body: { role } })).expect(200);
  return await signIn(client, wallet, owner.namespace);
}

async function remove(client: Client, wallet: TestWallet, namespace: string): Promise<void> {
  // The test itself may have deleted it, given it away, or stopped the gateway.
  const answer = await tryToSignIn(client, wallet, namespace).catch(() => undefined);
  if (answer?.status !== 200) return;
  await client.call("DELETE", `/v1/namespaces/${namespace}`, { token: answer.string("access_token") });
}
