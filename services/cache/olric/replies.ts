import { GatewayError, hasCode } from "../../../src/contracts/errors.ts";
import type { Reason } from "./deadlines.ts";

/** What a member answers when it understood, and what was asked for is not so. */
export type Refusal = "KEYNOTFOUND" | "KEYFOUND" | "NOSUCHLOCK";

/** One answer: text arrives as bytes, a number as its digits. */
export type Reply = Uint8Array | `${bigint}` | null | Refusal | readonly Reply[];

/** A member answered that it failed. */
export class MemberFailure extends Error {
  override readonly name = "MemberFailure";
}

/** No member answered. */
export class NoAnswer extends Error {
  override readonly name = "NoAnswer";

  /** @param reason `refused`: it did not get there; `lost`: the connection ended before the answer; else the wait for it did */
  constructor(readonly address: string, readonly reason: "refused" | "lost" | Reason, cause?: unknown) {
    super(`no answer from ${address}: ${reason}`, { cause });
  }

  /** Whether what was asked may have been done. */
  get sent(): boolean {
    return this.reason !== "refused";
  }
}

const REFUSALS: ReadonlySet<string> = new Set<Refusal>(["KEYNOTFOUND", "KEYFOUND", "NOSUCHLOCK"]);

/** What the text of an error reply means. */
export function judge(text: string): Refusal | MemberFailure | GatewayError {
  const [code = ""] = text.split(" ", 1);
  if (REFUSALS.has(code)) return code as Refusal;
  if (code === "ENTRYTOOLARGE") return tooLarge("value");
  if (code === "KEYTOOLARGE") return new GatewayError("INVALID_REQUEST", "key: has more than 255 bytes of UTF-8");
  // Nothing of it goes to clients: it has addresses.
  return new MemberFailure(text.slice(0, 500));
}

/** A value that members do not take. @param field its name in the request */
export function tooLarge(field: string): GatewayError {
  const sentence = `${field}: is larger than the tables of the cache (dmaps.engine.config.tableSize on its members)`;
  return new GatewayError("BODY_TOO_LARGE", sentence, { details: { field } });
}

/** Whether a member did what it was told. */
export const isOk = (reply: Reply | undefined): boolean => reply instanceof Uint8Array;

/** The text of a reply, or the digits of a number. @throws GatewayError `UNAVAILABLE` when it is neither */
export function textOf(reply: Reply | undefined): string {
  if (reply instanceof Uint8Array) return new TextDecoder().decode(reply);
  if (typeof reply === "string" && WHOLE.test(reply)) return reply;
  throw unreachable(unexpected(reply));
}

/** The members of a reply. @throws GatewayError `UNAVAILABLE` when it is no array */
export function listOf(reply: Reply | undefined): readonly Reply[] {
  if (Array.isArray(reply)) return reply;
  throw unreachable(unexpected(reply));
}

/** A number without a sign, as it stands in text. @throws GatewayError `UNAVAILABLE` for anything else */
export function unsignedOf(reply: Reply | undefined): bigint {
  const text = textOf(reply);
  if (/^\d{1,20}$/.test(text)) return BigInt(text);
  throw unreachable(unexpected(reply));
}

/** What a count came to. @throws GatewayError `UNAVAILABLE` for what is no number that a double holds */
export function countOf(reply: Reply | undefined): number {
  const count = typeof reply === "string" && WHOLE.test(reply) ? Number(reply) : NaN;
  if (Number.isSafeInteger(count)) return count;
  throw unconfirmed(unexpected(reply));
}

const WHOLE = /^-?\d+$/;

const unexpected = (reply: Reply | undefined) => new MemberFailure(`unexpected reply: ${String(reply).slice(0, 100)}`);

/** Nothing was asked of a member, or it only read. */
export const unreachable = (cause: unknown): GatewayError =>
  new GatewayError("UNAVAILABLE", "the cache cannot be reached now; nothing was changed", { cause, retryAfter: 1 });

/** A write went out and was not confirmed. */
export const unconfirmed = (cause: unknown): GatewayError =>
  new GatewayError("UNAVAILABLE", "the cache did not confirm this; it may have happened all the same", {
    cause,
    retryAfter: 1,
  });

/** Turns away a failure of what comes behind a change: something was changed. @throws GatewayError, what the error is otherwise */
export function afterAll(error: unknown): never {
  throw hasCode(error, "UNAVAILABLE") ? unconfirmed(error) : error;
}
