/** One object of a schema, as `sqlite_schema` has it. */
export interface SchemaObjectText {
  readonly type: string;
  readonly name: string;
  /** `null` for what SQLite makes by itself. */
  readonly sql: string | null;
}

/** A statement to be judged. */
export interface JudgeItem {
  readonly sql: string;
  /** What the gate takes it for. */
  readonly access: "read" | "write" | "definition";
}

/** What the judge's process is asked. */
export type JudgeQuestion =
  /** Whether it is up. */
  | { readonly ask: "ready" }
  /** Keeps a schema under a name and a number of its own. */
  | {
    readonly ask: "load";
    readonly mirror: string;
    readonly state: number;
    readonly objects: readonly SchemaObjectText[];
  }
  /** @param inOrder whether a definition holds for the items behind it, as in a transaction */
  | {
    readonly ask: "judge";
    readonly mirror: string;
    readonly state: number;
    readonly items: readonly JudgeItem[];
    readonly inOrder: boolean;
  };

/**
 * What SQLite says to one statement.
 * - `good`: it compiles, and may run.
 * - `refused`: the authorizer, or more than one statement.
 * - `mistake`: it does not compile; the sentence is SQLite's.
 * - `unknown`: nothing that counts, because it hangs on what this SQLite lacks or must not run.
 */
export type Judgement =
  | { readonly is: "good"; readonly short: boolean }
  | { readonly is: "refused" | "mistake"; readonly sentence: string }
  | { readonly is: "unknown" };

/** What the judge's process answers. */
export type JudgeAnswer =
  | { readonly is: "ready" }
  /** @param complete whether all of the schema could be mirrored */
  | { readonly is: "loaded"; readonly complete: boolean }
  /** That schema is not there (any more). */
  | { readonly is: "not_loaded" }
  /** In the order of the items. */
  | { readonly is: "judged"; readonly judgements: readonly Judgement[] };
