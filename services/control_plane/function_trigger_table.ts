/** What begins calls of a function without anybody's asking. */
export interface FunctionTriggerTable {
  /** Public id, `trg_…`. */
  id: string;
  namespace: string;
  /** When the namespace was made; tells it from another one of its name. */
  namespace_created_at: number;
  function_id: string;
  function_name: string;
  /** A version or an alias; null for the version that serves. */
  reference: string | null;
  /** `cron`, `topic`, `database` or `route`. */
  kind: string;
  /** JSON object: what is said of its kind, each in one spelling. */
  source: string;
  /** Of a route its method and path, in which all parameters are called the same. Unique in the namespace. */
  route: string | null;
  /** Kind and source of one that a deployment declared. Unique for the function; null where somebody made it. */
  declared: string | null;
  enabled: number;
  created_at: number;
  created_by: string;
  /** When a cron trigger fires next; null where it never does again. */
  next_at: number | null;
  /** The tick that was run, or skipped, last. */
  ticked_at: number | null;
  /** The call that a tick began and that may still be under way, until {@link run_until} at least. */
  run: string | null;
  run_until: number | null;
  /** Up to where a topic or a table was told of; null: from now on. */
  position: string | null;
  last_at: number | null;
  /** A public sentence; null where it ended well. */
  last_error: string | null;
}
