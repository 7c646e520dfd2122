import { ControlAuditLog } from "../../../../../services/control_plane/audit.ts";
import type { ControlDatabase } from "../../../../../services/control_plane/control_database.ts";
import { RevocationFeed } from "../../../../../services/control_plane/revocations.ts";
import { Secrets, type SecretsOptions } from "../../../../../services/functions/secrets/service.ts";
import { principal } from "../../../auth/support/node.ts";
import { Chance } from "../../../control_plane/support/chance.ts";
import { TestClock } from "../../../control_plane/support/clock.ts";
import { CONTEXT } from "../../../control_plane/support/context.ts";
import { openControl } from "../../../control_plane/support/control.ts";
import { WatchedControl } from "../../../control_plane/support/doubles.ts";
import { RULES } from "../../registry/support/registries.ts";

/** A key that is nobody's. */
export const keyOf = (byte: number): Uint8Array<ArrayBuffer> => new Uint8Array(32).fill(byte);

/** Gateways with secrets on one control plane. */
export class Vaults implements AsyncDisposable {
  readonly clock = new TestClock();
  /** What gateways told the operator. */
  readonly errors: { readonly what: string; readonly error: unknown }[] = [];
  #seed = 1;
  readonly #feeds: RevocationFeed[] = [];

  private constructor(readonly control: ControlDatabase) {}

  /** On a control plane in memory, with these namespaces. */
  static async start(...namespaces: readonly string[]): Promise<Vaults> {
    return await Vaults.on(await openControl(), ...namespaces);
  }

  /** On a control plane that has its tables. */
  static async on(control: ControlDatabase, ...namespaces: readonly string[]): Promise<Vaults> {
    const vaults = new Vaults(control);
    for (const name of namespaces) await vaults.namespace(name);
    return vaults;
  }

  /** Makes a namespace. */
  async namespace(name: string): Promise<void> {
    const row = { name, database_name: name, state: "active", created_at: this.clock.now(), created_by: "test" };
    await this.control.run(this.control.db.insertInto("namespaces").values(row));
  }

  /** One more gateway, with its own way to the control plane. */
  async gateway(options: Partial<SecretsOptions> = {}): Promise<VaultGateway> {
    const control = new WatchedControl(this.control);
    const { now } = this.clock;
    const revocations = new RevocationFeed(control, { now, monotonic: now, interval: 500, maxSilence: 60_000 });
    this.#feeds.push(revocations);
    await revocations.pull();
    const secrets = new Secrets({
      control,
      revocations,
      audit: new ControlAuditLog(control, now),
      rulesOf: () => RULES,
      keys: [keyOf(1)],
      now,
      monotonic: now,
      random: new Chance(this.#seed++).bytes,
      onError: (what, error) => this.errors.push({ what, error }),
      ...options,
    });
    return new VaultGateway(secrets, control, revocations);
  }

  /** Lets a namespace go as its deletion does, and somebody else have its name. */
  async replaceNamespace(name: string, { secrets, revocations }: VaultGateway): Promise<void> {
    const { db } = this.control;
    await this.control.atomically([
      db.updateTable("namespaces").set({ state: "deleting" }).where("name", "=", name),
      revocations.entry("namespace", name),
    ]);
    await revocations.pull();
    await secrets.purge(name, CONTEXT.signal);
    await this.control.run(db.deleteFrom("namespaces").where("name", "=", name));
    this.clock.advance(1);
    await this.namespace(name);
  }

  /** The rows as they are kept. */
  async rows(): Promise<readonly { namespace: string; name: string; key_id: string; sealed: string }[]> {
    return await this.control.db.selectFrom("function_secrets").select(["namespace", "name", "key_id", "sealed"])
      .orderBy("namespace").orderBy("name").execute();
  }

  /** Ends the gateways. */
  close(): void {
    for (const feed of this.#feeds) feed.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.control.close();
  }
}

/** A gateway of a test, called as its routes and hosts would call it. */
export class VaultGateway {
  constructor(readonly secrets: Secrets, readonly control: WatchedControl, readonly revocations: RevocationFeed) {}

  set(name: string, value: string, namespace = "shop") {
    return this.secrets.set(principal({ namespace }), name, value, CONTEXT);
  }

  delete(name: string, namespace = "shop") {
    return this.secrets.delete(principal({ namespace }), name, CONTEXT);
  }

  async read(name: string, namespace = "shop"): Promise<string | undefined> {
    return await this.secrets.secretOf(namespace, name, CONTEXT.signal);
  }

  async names(namespace = "shop"): Promise<readonly string[]> {
    return (await this.secrets.list(namespace, CONTEXT)).map(({ name }) => name);
  }
}
