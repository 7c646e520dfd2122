import { sql } from "kysely";
import type { Principal } from "../../../src/contracts/identity.ts";
import type { RequestContext } from "../../../src/contracts/request.ts";
import type { ControlDatabase } from "../../control_plane/control_database.ts";
import type { Change, FunctionChanges } from "./changes.ts";
import type { ModuleContent } from "./content.ts";
import { conflict, invalid, notFound } from "./failures.ts";
import { referenceOf } from "./names.ts";
import { type FunctionState, type Seen, versionNumbered } from "./state.ts";
import { removal } from "./versions.ts";

/** What removing needs. */
export interface RemovingParts {
  readonly control: ControlDatabase;
  readonly changes: FunctionChanges;
  readonly content: ModuleContent;
}

interface Name {
  readonly namespace: string;
  readonly name: string;
}

/** Rows of a namespace that go at once. */
const PAGE = 20;

/** Takes functions and versions away, and lets their modules go. */
export class Removing {
  constructor(private readonly parts: RemovingParts) {}

  /** As `Functions.delete`. */
  async delete(
    { namespace, subject }: Principal,
    name: string,
    reference: string | undefined,
    context: RequestContext,
  ): Promise<void> {
    const { changes, content } = this.parts;
    const at = { namespace, name };
    // A function that somebody makes of this name meanwhile is not the one that was to go.
    let id: string | undefined;
    const gone = await changes.make<readonly string[]>({ ...at, actor: subject }, (seen, unsure) => {
      const state = seen.function;
      if (state === undefined || (id ??= state.id) !== state.id) {
        if (unsure) return { done: [] };
        throw notFound("function");
      }
      if (reference === undefined) return this.#whole(at, seen, state);
      const version = numberOf(reference, state);
      if (unsure && !state.versions.some(({ shown }) => shown.version === version)) return { done: [] };
      return this.#one(at, seen, state, version);
    }, context);
    await content.release(gone);
  }

  /** As `NamespacedService.purge`. */
  async purge(namespace: string, signal: AbortSignal): Promise<void> {
    const { control, content } = this.parts;
    const { db } = control;
    const contents = db.selectFrom("function_versions").select("stored_cid").distinct()
      .where("namespace", "=", namespace).limit(PAGE);
    const functions = db.selectFrom("functions").select("id").where("namespace", "=", namespace).limit(PAGE);
    for (;;) {
      const { rows } = await control.run<{ stored_cid: string }>(contents, signal);
      if (rows.length === 0) break;
      // First the content, then the rows that know of it: whoever goes on after a crash finds what is left. Contents have names of
      // their own for ever, so a gateway that slept takes nothing from who has the namespace's name by now.
      const stored = rows.map(({ stored_cid }) => stored_cid);
      await content.drop(stored, signal);
      const cids = JSON.stringify(stored);
      await control.run(
        sql`DELETE FROM function_versions WHERE namespace = ${namespace}
          AND stored_cid IN (SELECT value FROM json_each(${cids}))`.compile(db),
        signal,
      );
      await pause(signal);
    }
    for (;;) {
      const { rows } = await control.run<{ id: string }>(functions, signal);
      if (rows.length === 0) return;
      const ids = sql`(SELECT value FROM json_each(${JSON.stringify(rows.map(({ id }) => id))}))`;
      await control.atomically([
        sql`DELETE FROM function_aliases WHERE namespace = ${namespace}
          AND name IN (SELECT name FROM functions WHERE namespace = ${namespace} AND id IN ${ids})`.compile(db),
        sql`DELETE FROM function_triggers WHERE function_id IN ${ids}`.compile(db),
        sql`DELETE FROM functions WHERE namespace = ${namespace} AND id IN ${ids}`.compile(db),
      ], signal);
      await pause(signal);
    }
  }

  #whole(at: Name, seen: Seen, state: FunctionState): Change<readonly string[]> {
    const { control, changes } = this.parts;
    const { db } = control;
    return {
      queries: [
        changes.touching(at, seen, state, { serving: null }),
        db.deleteFrom("function_aliases").where("namespace", "=", at.namespace).where("name", "=", at.name),
        db.deleteFrom("function_triggers").where("function_id", "=", state.id),
        removal(control, at),
      ],
      audit: { action: "function.deleted", details: { versions: state.versions.length } },
      answer: () => state.versions.map(({ storedCid }) => storedCid),
    };
  }

  #one(at: Name, seen: Seen, state: FunctionState, version: number): Change<readonly string[]> {
    const { control, changes } = this.parts;
    const { storedCid } = versionNumbered(state, version);
    if (version === state.serving) {
      throw conflict("this version serves; roll back to another one first, or delete the function");
    }
    const alias = state.aliases.find(({ targets }) => targets.some((target) => target.version === version));
    if (alias !== undefined) throw conflict(`the alias ${alias.name} names this version; change or delete it first`);
    if (state.triggered.includes(String(version))) {
      throw conflict("a trigger calls this version; change or delete it first");
    }
    return {
      queries: [
        changes.touching(at, seen, state, { unnamed: [String(version)] }),
        removal(control, at, [version]),
      ],
      audit: { action: "function_version.deleted", details: { version } },
      answer: () => [storedCid],
    };
  }
}

/** Which version is to go. Of an alias it would not be clear whether that, or what it names. */
function numberOf(reference: string, { serving }: FunctionState): number {
  const wanted = referenceOf(reference);
  if (wanted.kind === "alias") throw invalid("name", "name a version by its number to delete it, such as hello@3");
  return wanted.kind === "serving" ? serving : wanted.version;
}

/** The embedded control plane works in this process: others must come between two pages. */
async function pause(signal: AbortSignal): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 1));
  signal.throwIfAborted();
}
