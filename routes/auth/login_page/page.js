/**
 * Asks a wallet for a signature and leads back to whoever opened the page. What it works with was checked by the gateway
 * and stands in the page itself; nothing is taken from the address.
 */

const { mode, callback, state, challenge, chosen } = document.querySelector("main").dataset;
const [wallets, none, namespace, status, problem, decline] = [
  "wallets",
  "none",
  "namespace",
  "status",
  "problem",
  "decline",
]
  .map((id) => document.getElementById(id));

/** Milliseconds in which the result can be read before the page goes on. */
const PAUSE = 1500;
/** Milliseconds after which a wallet that did not announce itself is taken for missing. */
const PATIENCE = 500;

/** Buttons by provider: a wallet may announce itself twice, and be `window.ethereum` too. */
const known = new Map();

function offer(provider, name) {
  if (typeof provider?.request !== "function" || known.has(provider)) return;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = `Sign in with ${name}`;
  button.addEventListener("click", () => run(provider));
  known.set(provider, button);
  wallets.append(button);
  none.hidden = true;
}

async function run(provider) {
  if (!namespace.reportValidity()) return;
  problem.hidden = true;
  busy(true);
  try {
    leave(await signIn(provider));
    say("Signed in. Going back.");
  } catch (error) {
    say("");
    problem.textContent = explain(error);
    problem.hidden = false;
    busy(false);
  }
}

/** @returns what the receiver is told */
async function signIn(provider) {
  say("Choose an account in your wallet.");
  const [wallet] = await provider.request({ method: "eth_requestAccounts" });
  if (!wallet) throw new Error("The wallet gave no account.");
  const { message } = await post("challenge", {
    wallet,
    namespace: namespace.value,
    purpose: "api_key_generation",
    chain_type: "ETH",
  });
  say("Confirm the signature in your wallet.");
  const signature = await provider.request({ method: "personal_sign", params: [hexOf(message), wallet] });
  say("Checking the signature.");
  if (mode === "key") {
    const { api_key, namespace, wallet, plan } = await post("api-key", { message, signature });
    return { api_key, namespace, wallet, plan };
  }
  const pkce = { callback, code_challenge: challenge, code_challenge_method: "S256" };
  const { code } = await post("login/code", { message, signature, ...pkce });
  return { code };
}

async function post(path, body) {
  let response;
  try {
    response = await fetch(new URL(path, location.href), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      credentials: "omit",
      redirect: "error",
    });
  } catch {
    throw new Error("The gateway cannot be reached.");
  }
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  const id = answer.request_id ? ` (request ${answer.request_id})` : "";
  throw new Error(`The gateway refused: ${answer.error ?? response.status}${id}`);
}

function leave(answer) {
  const target = new URL(callback);
  const parameters = mode === "code" && state ? { ...answer, state } : answer;
  // `set` and not `append`: a callback that came with an `api_key` of its own would be read first by many.
  for (const [name, value] of Object.entries(parameters)) target.searchParams.set(name, value);
  setTimeout(() => location.replace(target), PAUSE);
}

function explain(error) {
  // EIP-1193 and EIP-1474.
  if (error?.code === 4001) return "You declined in the wallet.";
  if (error?.code === -32002) return "The wallet is still waiting for an answer: open it.";
  return error?.message ? String(error.message) : "The wallet gave no reason.";
}

function busy(on) {
  for (const control of [...known.values(), decline]) control.disabled = on;
  namespace.readOnly = on || chosen === "yes";
}

function say(text) {
  status.textContent = text;
}

const hexOf = (text) =>
  "0x" + [...new TextEncoder().encode(text)].map((byte) => byte.toString(16).padStart(2, "0")).join("");

namespace.readOnly = chosen === "yes";
decline.hidden = false;
decline.addEventListener("click", () => {
  busy(true);
  leave({ error: "access_denied" });
  say("Declined. Going back.");
});
globalThis.addEventListener(
  "eip6963:announceProvider",
  ({ detail }) => offer(detail?.provider, detail?.info?.name ?? "a wallet"),
);
globalThis.dispatchEvent(new Event("eip6963:requestProvider"));
// Older wallets do not announce themselves; one that does is often `window.ethereum` as well, so those go first.
setTimeout(() => {
  if (known.size === 0) offer(globalThis.ethereum, "your wallet");
  none.hidden = known.size > 0;
}, PATIENCE);
