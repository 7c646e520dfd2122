import { fromBase64 } from "../base64.ts";
import { isObject, OramaError } from "../errors.ts";
import { bytesIn, memberOf, type RequestSignature, signaturesIn } from "./signatures.ts";

/** An event of a namespace, as a webhook is sent it. */
export interface ReceivedEvent {
  /** The same however often it comes: keep it to do nothing twice. */
  readonly id: string;
  readonly type: string;
  readonly namespace: string;
  readonly createdAt: Date;
  readonly data: unknown;
}

/** How a request of a webhook is looked at. */
export interface VerifyWebhookOptions {
  /**
   * Tells whether a nonce was seen before, and remembers it until a moment: so nobody can send again what somebody else recorded. It is
   * called once, and only for what the gateway signed. Of servers that share their work all ask one memory; a map in a cache with `nx`
   * will do.
   */
  readonly seen: (nonce: string, until: Date) => boolean | Promise<boolean>;
  /** The webhook's URL as the gateway has it. Default: the request's own, which is another one behind most proxies. */
  readonly url?: string | undefined;
  /** Milliseconds by which clocks may differ. Default 30,000. */
  readonly tolerance?: number | undefined;
  /** Bytes of a body that are read at most. Default 1 MiB. */
  readonly maxBytes?: number | undefined;
  /** Unix milliseconds. Default: this machine's clock. */
  readonly now?: (() => number) | undefined;
}

const SIGNED = ["@method", "@target-uri", "content-digest", "content-type"] as const;
const MIB = 2 ** 20;
/** Milliseconds that a signature may be good for; a gateway's is for five minutes. */
const LONGEST_LIFE = 60 * 60_000;

/**
 * Reads a request that came to a webhook's address, if a gateway with the webhook's key sent it, lately, and for the first time
 * (RFC 9421, RFC 9530).
 * @param request whose body nobody has read
 * @param keys the webhook's secret (`whsec_…`), or its public key (`whpk_…`); several while one is being replaced
 * @throws OramaError `WEBHOOK_REFUSED`: answer with its `status`, 401 or 413, and do nothing. `details.reason` is `unsigned`,
 *   `forged`, `expired`, `replayed`, `malformed` or `too_large`.
 * @throws TypeError for a key that is none
 */
export async function verifyWebhook(
  request: Request,
  keys: string | readonly string[],
  { seen, url = request.url, tolerance = 30_000, maxBytes = MIB, now = Date.now }: VerifyWebhookOptions,
): Promise<ReceivedEvent> {
  const { headers } = request;
  const opened = await Promise.all((typeof keys === "string" ? [keys] : keys).map(importedKey));
  const input = headers.get("signature-input"), signature = headers.get("signature");
  if (input === null || signature === null) throw refused("unsigned", "the request is not signed");
  const values: Readonly<Record<string, string | null>> = {
    "@method": request.method,
    "@target-uri": new URL(url).href,
    "content-digest": headers.get("content-digest"),
    "content-type": headers.get("content-type"),
  };
  const signatures = signaturesIn(input, signature).filter(coversAll);
  const good = await firstGood(signatures, values, opened);
  if (good === undefined) throw refused("forged", "no signature is by this key and for this request");
  const { nonce, expires } = checkedTimes(good, now(), tolerance);
  const body = await bodyOf(request, maxBytes);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", body));
  const claimed = bytesIn(memberOf(values["content-digest"] ?? "", "sha-256"));
  if (claimed === undefined || !isSame(claimed, digest)) {
    throw refused("forged", "the body is not the one that was signed");
  }
  const event = eventIn(body);
  // Last, so that nobody else fills the memory.
  if (await seen(nonce, new Date(expires + tolerance))) throw refused("replayed", "the request came before");
  return event;
}

interface OpenedKey {
  readonly algorithm: "hmac-sha256" | "ed25519";
  readonly key: CryptoKey;
}

async function importedKey(text: string): Promise<OpenedKey> {
  const [, kind, base64] = /^(whsec|whpk)_([A-Za-z0-9_-]{43})$/.exec(text) ?? [];
  if (base64 === undefined) {
    throw new TypeError("a webhook's key begins with whsec_ or whpk_, and has 43 characters behind it");
  }
  const bytes = fromBase64(base64.replaceAll("-", "+").replaceAll("_", "/"));
  if (kind === "whpk") {
    return { algorithm: "ed25519", key: await crypto.subtle.importKey("raw", bytes, "Ed25519", false, ["verify"]) };
  }
  const hmac = { name: "HMAC", hash: "SHA-256" };
  return { algorithm: "hmac-sha256", key: await crypto.subtle.importKey("raw", bytes, hmac, false, ["verify"]) };
}

const coversAll = ({ components, params }: RequestSignature): boolean =>
  SIGNED.every((name) => components.includes(name)) && components.length === SIGNED.length &&
  typeof params.get("created") === "number" && typeof params.get("expires") === "number" &&
  typeof params.get("nonce") === "string";

async function firstGood(
  signatures: readonly RequestSignature[],
  values: Readonly<Record<string, string | null>>,
  keys: readonly OpenedKey[],
): Promise<RequestSignature | undefined> {
  for (const one of signatures) {
    const lines = one.components.map((name) => `"${name}": ${(values[name] ?? "").trim()}`);
    const base = new TextEncoder().encode([...lines, `"@signature-params": ${one.input}`].join("\n"));
    for (const { algorithm, key } of keys) {
      if ((one.params.get("alg") ?? algorithm) !== algorithm) continue;
      // It takes as long for one that is nearly right as for any other.
      const name = algorithm === "ed25519" ? "Ed25519" : "HMAC";
      if (await crypto.subtle.verify(name, key, one.signature, base)) return one;
    }
  }
  return undefined;
}

function checkedTimes(
  { params }: RequestSignature,
  now: number,
  tolerance: number,
): { readonly nonce: string; readonly expires: number } {
  const created = 1_000 * (params.get("created") as number), expires = 1_000 * (params.get("expires") as number);
  const isRecent = created <= now + tolerance && expires + tolerance > now && expires - created <= LONGEST_LIFE;
  if (!isRecent) throw refused("expired", "the signature is not for this time");
  return { nonce: params.get("nonce") as string, expires };
}

async function bodyOf({ body }: Request, most: number): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for (const reader = body?.getReader(); reader !== undefined;) {
    const { done, value } = await reader.read();
    if (done) break;
    pieces.push(value);
    length += value.length;
    if (length <= most) continue;
    await reader.cancel().catch(() => {});
    throw refused("too_large", `the body has more than ${most} bytes`, 413);
  }
  const whole = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

const isSame = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.reduce((different, byte, at) => different | (byte ^ b[at]!), 0) === 0;

function eventIn(body: Uint8Array): ReceivedEvent {
  let event: unknown;
  try {
    event = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch {
    event = undefined;
  }
  if (isObject(event)) {
    const { id, type, namespace, created_at, data = null } = event;
    if (typeof id === "string" && typeof type === "string" && typeof namespace === "string") {
      return { id, type, namespace, createdAt: new Date(String(created_at)), data };
    }
  }
  throw refused("malformed", "the body is no event");
}

const refused = (reason: string, message: string, status = 401): OramaError =>
  new OramaError(message, { code: "WEBHOOK_REFUSED", status, details: { reason } });
