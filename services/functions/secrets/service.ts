import { sql } from "kysely";
import type { Maybe } from "../../../src/contracts/cache.ts";
import { GatewayError, hasCode } from "../../../src/contracts/errors.ts";
import type { FunctionRules } from "../../../src/contracts/function_rules.ts";
import type { FunctionSecrets, SecretView } from "../../../src/contracts/function_secrets.ts";
import type { NamespacedService, Usage } from "../../../src/contracts/health.ts";
import type { Principal } from "../../../src/contracts/identity.ts";
import type { RequestContext } from "../../../src/contracts/request.ts";
import type { ControlAuditLog } from "../../control_plane/audit.ts";
import { ConstraintViolation, type ControlDatabase, type ControlQuery } from "../../control_plane/control_database.ts";
import type { RevocationFeed } from "../../control_plane/revocations.ts";
import { abortable } from "../../clock/abortable.ts";
import { CannotOpen, SealingKeys } from "./keys.ts";
import { RememberedSecrets } from "./remembered_secrets.ts";
import { rotate, type RotationResult } from "./rotation.ts";

/** What secrets are told. */
export interface SecretsOptions {
  readonly control: ControlDatabase;
  readonly revocations: Pick<RevocationFeed, "entry" | "pull" | "onRevoked">;
  readonly audit: Pick<ControlAuditLog, "entry">;
  readonly rulesOf: (
    namespace: string,
    request: { readonly signal: AbortSignal },
  ) => FunctionRules | Promise<FunctionRules>;
  /** Keys of 32 bytes, the same on every gateway. The first one seals; the others open what they sealed before. */
  readonly keys: readonly Uint8Array[];
  /** Unix milliseconds. */
  readonly now: () => number;
  /** Milliseconds that never run backwards or jump. */
  readonly monotonic: () => number;
  /** Cryptographically strong bytes. */
  readonly random: (n: number) => Uint8Array;
  /** Told of a secret that cannot be opened, in a sentence for the operator. Holds nothing of it. */
  readonly onError: (what: string, error: unknown) => void;
}

/** As variables of an environment are called. */
const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;
/** Bytes that a value may have. */
const MOST_BYTES = 64 * 1024;
/** Milliseconds for recording, for a look-up, and between two reports of the same key that is not there. */
const RECORDING = 10_000, READING = 5_000, REPORT = 60_000;
/** Secrets that go at once where a namespace is deleted; keys that are not there of which it is noted that they were reported. */
const PAGE = 200, MOST_REPORTED = 100;

/** A secret as it is recorded. */
interface Row {
  readonly name: string;
  readonly key_id: string;
  readonly sealed: string;
  readonly made: number;
}

/** Secrets of namespaces in the control plane, each sealed for its place. */
export class Secrets implements FunctionSecrets, NamespacedService {
  readonly #known: RememberedSecrets;
  readonly #keys: Promise<SealingKeys>;
  readonly #reported = new Map<string, number>();

  constructor(private readonly options: SecretsOptions) {
    const { keys, random, revocations, monotonic } = options;
    const known = this.#known = new RememberedSecrets(monotonic);
    this.#keys = SealingKeys.of(keys, random);
    // Who needs them is told.
    this.#keys.catch(() => {});
    revocations.onRevoked(({ kind, id }) => {
      if (kind === "secret") known.drop(id);
      else if (kind === "namespace") known.dropAll(`${id}/`);
    });
  }

  async list(namespace: string, { signal }: RequestContext): Promise<readonly SecretView[]> {
    const { control } = this.options;
    const { rows } = await control.run<{ name: string; created_at: number; updated_at: number }>(
      control.db.selectFrom("function_secrets as s").innerJoin("namespaces as n", "n.name", "s.namespace")
        .select(["s.name", "s.created_at", "s.updated_at"]).where("s.namespace", "=", namespace)
        .where("n.state", "=", "active").orderBy("s.name"),
      signal,
    );
    return rows.map(({ name, created_at, updated_at }) => ({ name, createdAt: created_at, updatedAt: updated_at }));
  }

  async set(
    { namespace, subject }: Principal,
    name: string,
    value: string,
    context: RequestContext,
  ): Promise<SecretView> {
    checkName(name);
    checkValue(value);
    const { control, now, rulesOf } = this.options;
    const { maxSecrets } = await rulesOf(namespace, context);
    const made = await this.#made(namespace, context.signal);
    const { keyId, sealed } = await (await this.#keys).seal(value, { namespace, made, name });
    const time = now();
    const others = sql`SELECT count(*) FROM function_secrets s WHERE s.namespace = ${namespace} AND s.name <> ${name}`;
    const upsert = sql`INSERT INTO function_secrets (namespace, name, key_id, sealed, created_at, updated_at)
      VALUES (
        CASE WHEN EXISTS (
          SELECT 1 FROM namespaces WHERE name = ${namespace} AND state = 'active' AND created_at = ${made}
        ) THEN ${namespace} END,
        CASE WHEN (${others}) < ${maxSecrets} OR EXISTS (
          SELECT 1 FROM function_secrets s WHERE s.namespace = ${namespace} AND s.name = ${name}
        ) THEN ${name} END, ${keyId}, ${sealed}, ${time}, ${time})
      ON CONFLICT (namespace, name) DO UPDATE SET key_id = excluded.key_id, sealed = excluded.sealed,
        updated_at = excluded.updated_at RETURNING created_at, updated_at`.compile(control.db);
    const [row] = await this.#record(namespace, name, upsert, "function_secret.set", subject, context, maxSecrets);
    return { name, createdAt: row!["created_at"] as number, updatedAt: row!["updated_at"] as number };
  }

  async delete({ namespace, subject }: Principal, name: string, context: RequestContext): Promise<void> {
    const { control } = this.options;
    const { rows: [row] } = await control.run<Row>(this.#find(namespace, name), context.signal);
    if (row === undefined) throw notFound();
    // Not that of whoever has the namespace's name by now.
    const removal = sql`DELETE FROM function_secrets WHERE namespace = ${namespace} AND name = ${name} AND EXISTS (
      SELECT 1 FROM namespaces WHERE name = ${namespace} AND created_at = ${row.made}
    ) RETURNING created_at`;
    const gone = await this.#record(
      namespace,
      name,
      removal.compile(control.db),
      "function_secret.deleted",
      subject,
      context,
    );
    if (gone.length === 0) throw notFound();
  }

  /**
   * A secret for a call of a function, without a promise where it is known.
   * @returns `undefined` where there is none
   * @throws GatewayError `UNAVAILABLE`, also where it cannot be opened
   */
  secretOf(namespace: string, name: string, signal: AbortSignal): Maybe<string | undefined> {
    // What cannot be set need not be looked for.
    if (!NAME.test(name)) return undefined;
    const value = this.#known.get(keyOf(namespace, name), () => this.#read(namespace, name));
    return value instanceof Promise ? abortable(value, signal) : value;
  }

  /** Seals with the newest key what another one sealed; may be broken off and called again. See `DESIGN.md`. */
  async rotate(signal: AbortSignal): Promise<RotationResult> {
    const onUnreadable = (namespace: string, name: string, error: CannotOpen) => this.#report(namespace, name, error);
    return await rotate({ control: this.options.control, keys: await this.#keys, onUnreadable }, signal);
  }

  /** As `NamespacedService.purge`. Whoever has the name by now loses nothing. */
  async purge(namespace: string, signal: AbortSignal): Promise<void> {
    const { control } = this.options;
    for (;;) {
      const { changes } = await control.run(
        sql`DELETE FROM function_secrets WHERE namespace = ${namespace} AND name IN (
          SELECT name FROM function_secrets WHERE namespace = ${namespace} LIMIT ${PAGE}
        ) AND EXISTS (SELECT 1 FROM namespaces WHERE name = ${namespace} AND state = 'deleting')`.compile(control.db),
        signal,
      );
      if (changes < PAGE) break;
      await new Promise((resolve) => setTimeout(resolve, 1));
      signal.throwIfAborted();
    }
    this.#known.dropAll(`${namespace}/`);
  }

  async usage(namespace: string, signal: AbortSignal): Promise<Usage> {
    const { control } = this.options;
    const { rows: [row] } = await control.run<{ secrets: number }>(
      control.db.selectFrom("function_secrets").select((eb) => eb.fn.countAll<number>().as("secrets"))
        .where("namespace", "=", namespace),
      signal,
    );
    return { secrets: row!.secrets };
  }

  async #record(
    namespace: string,
    name: string,
    query: ControlQuery,
    action: string,
    actor: string,
    context: RequestContext,
    maxSecrets = 0,
  ): Promise<readonly Readonly<Record<string, unknown>>[]> {
    const { control, revocations, audit } = this.options;
    const key = keyOf(namespace, name);
    context.signal.throwIfAborted();
    try {
      const [result] = await control.atomically([
        query,
        revocations.entry("secret", key),
        audit.entry({ namespace, actor, action, resource: name }, context),
      ], AbortSignal.timeout(RECORDING));
      this.#known.drop(key);
      await revocations.pull();
      return result!.rows;
    } catch (error) {
      if (error instanceof ConstraintViolation) throw refusalOf(error, maxSecrets);
      this.#known.drop(key);
      if (hasCode(error, "OUTCOME_UNKNOWN")) await revocations.pull();
      throw error;
    }
  }

  /** When the namespace was made. */
  async #made(namespace: string, signal: AbortSignal): Promise<number> {
    const { control } = this.options;
    const { rows: [row] } = await control.run<{ created_at: number }>(
      control.db.selectFrom("namespaces").select("created_at").where("name", "=", namespace)
        .where("state", "=", "active"),
      signal,
    );
    if (row === undefined) throw gone();
    return row.created_at;
  }

  #find(namespace: string, name: string): ControlQuery {
    return this.options.control.db.selectFrom("function_secrets as s")
      .innerJoin("namespaces as n", "n.name", "s.namespace")
      .select(["s.name", "s.key_id", "s.sealed", "n.created_at as made"])
      .where("s.namespace", "=", namespace).where("s.name", "=", name).where("n.state", "=", "active");
  }

  async #read(namespace: string, name: string): Promise<string | undefined> {
    const { rows: [row] } = await this.options.control.run<Row>(
      this.#find(namespace, name),
      AbortSignal.timeout(READING),
    );
    if (row === undefined) return undefined;
    try {
      return await (await this.#keys).open({ keyId: row.key_id, sealed: row.sealed }, {
        namespace,
        made: row.made,
        name,
      });
    } catch (error) {
      if (error instanceof CannotOpen) this.#report(namespace, name, error);
      throw new GatewayError(
        "UNAVAILABLE",
        "the secret cannot be read: the operator of the gateway has been told why",
        {
          cause: error,
        },
      );
    }
  }

  /** A function may ask a thousand times a second, and a lost key have sealed thousands: the operator hears of it once in a while. */
  #report(namespace: string, name: string, error: CannotOpen): void {
    const { monotonic, onError } = this.options;
    const now = monotonic(), key = `${error.reason}/${error.keyId}`;
    if (now < (this.#reported.get(key) ?? -Infinity) + REPORT) return;
    if (this.#reported.size >= MOST_REPORTED) this.#reported.clear();
    this.#reported.set(key, now);
    onError(`opening the secret ${name} of ${namespace}`, error);
  }
}

const keyOf = (namespace: string, name: string): string => `${namespace}/${name}`;

const notFound = () => new GatewayError("NOT_FOUND", "secret not found");

const gone = (cause?: unknown) =>
  new GatewayError("CONFLICT", "the namespace is being deleted, or was; nothing was changed", { cause });

function refusalOf(error: ConstraintViolation, maxSecrets: number): unknown {
  if (error.subject === "function_secrets.name") {
    const sentence = `the namespace may have ${maxSecrets} secrets; nothing was set`;
    return new GatewayError("QUOTA_EXCEEDED", sentence, {
      details: { quota: "functions.secrets", limit: maxSecrets },
    });
  }
  return error.subject === "function_secrets.namespace" || error.kind === "foreign_key" ? gone(error) : error;
}

function checkName(name: string): void {
  if (NAME.test(name)) return;
  const problem = "must be 1 to 128 letters, digits and '_', not beginning with a digit";
  throw new GatewayError("INVALID_REQUEST", `name: ${problem}`, { details: [{ field: "name", problem }] });
}

function checkValue(value: string): void {
  if (!value.isWellFormed()) {
    const problem = "holds half of a surrogate pair, which no UTF-8 can hold";
    throw new GatewayError("INVALID_REQUEST", `value: ${problem}`, { details: [{ field: "value", problem }] });
  }
  // No text has fewer bytes than UTF-16 units.
  if (value.length <= MOST_BYTES && new TextEncoder().encode(value).length <= MOST_BYTES) return;
  throw new GatewayError("BODY_TOO_LARGE", `value: a secret has at most ${MOST_BYTES} bytes of UTF-8`, {
    details: { limit: MOST_BYTES },
  });
}
