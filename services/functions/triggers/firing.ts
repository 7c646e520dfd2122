import type { FunctionInvocations, InvocationTrigger } from "../../../src/contracts/function_invocations.ts";
import { hasCode } from "../../../src/contracts/errors.ts";
import { abortable } from "../../clock/abortable.ts";
import { sentenceOf } from "./failures.ts";
import type { TriggerRow } from "./rows.ts";

/** What firing needs. */
export interface FiringParts {
  readonly invocations: Pick<FunctionInvocations, "invoke">;
  readonly random: (n: number) => Uint8Array;
  /** Told of what is nobody's mistake but the gateway's. */
  readonly onError: (trigger: string, error: unknown) => void;
}

/**
 * How a call ended. `ended`: it will not be tried again, well or not. `later`: nothing of it ran, and it may be tried again.
 * `broken_off`: whoever asked for it ended it.
 */
export interface Fired {
  readonly kind: "ended" | "later" | "broken_off";
  readonly error: string | undefined;
}

/** What triggers did on this gateway since it began. */
export interface TriggerFigures {
  /** Calls that ended, by what began them. */
  readonly fired: Readonly<Record<FiringKind, number>>;
  /** Those of them that failed. */
  readonly failed: number;
  /** Ticks that found the call before still running. */
  readonly skipped: number;
  /** Messages that are lost, since there was no room for them. */
  readonly dropped: number;
  /** Calls that were put off, since there was no place or something could not be reached. */
  readonly postponed: number;
}

/** What fires by itself. */
export type FiringKind = Extract<InvocationTrigger, "cron" | "topic" | "database">;

/** Calls functions in the name of their namespaces. */
export class Firing {
  readonly #counts = { failed: 0, skipped: 0, dropped: 0, postponed: 0 };
  readonly #fired: Record<FiringKind, number> = { cron: 0, topic: 0, database: 0 };

  constructor(private readonly parts: FiringParts) {}

  /** What it counted. */
  figures(): TriggerFigures {
    return { fired: { ...this.#fired }, ...this.#counts };
  }

  /** Counts what did not come to a call. */
  count(what: "skipped" | "dropped", many = 1): void {
    this.#counts[what] += many;
  }

  /** Calls the function of a trigger, once. Never rejects. */
  async fire(row: TriggerRow, input: Uint8Array, signal: AbortSignal): Promise<Fired> {
    const { invocations, random, onError } = this.parts;
    const kind = row.kind as FiringKind;
    try {
      const { failure } = await abortable(
        invocations.invoke({
          namespace: row.namespace,
          name: row.function_name,
          reference: row.reference ?? undefined,
          functionId: row.function_id,
          input,
          trigger: kind,
          triggerId: row.id,
          caller: "namespace",
          depth: 1,
        }, { requestId: uuid(random(16)), signal, clientAddress: "" }),
        signal,
      );
      return this.#ended(kind, failure && `${failure.code}: ${failure.message}`);
    } catch (error) {
      if (signal.aborted) return { kind: "broken_off", error: undefined };
      if (hasCode(error, "TOO_MANY_INVOCATIONS", "UNAVAILABLE")) {
        this.#counts.postponed++;
        return { kind: "later", error: `${error.code}: ${error.message}` };
      }
      const sentence = sentenceOf(error);
      if (!hasCode(error, "NOT_FOUND", "BODY_TOO_LARGE", "INVOCATION_TOO_DEEP", "FORBIDDEN")) onError(row.id, error);
      return this.#ended(kind, sentence);
    }
  }

  #ended(kind: FiringKind, error: string | undefined): Fired {
    this.#fired[kind]++;
    if (error !== undefined) this.#counts.failed++;
    return { kind: "ended", error };
  }
}

/** RFC 9562, 5.4. @param bytes 16 random ones */
function uuid(bytes: Uint8Array): string {
  const copy = bytes.slice();
  copy[6] = copy[6]! & 0x0f | 0x40;
  copy[8] = copy[8]! & 0x3f | 0x80;
  return copy.toHex().replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
