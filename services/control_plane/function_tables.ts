/** A function, or what is left of one that was deleted: the numbers of its versions are not given again. */
export interface FunctionTable {
  namespace: string;
  name: string;
  /** A UUID; another one where a function takes the name of one that was deleted. */
  id: string;
  /** The highest number that a version ever had. */
  last_version: number;
  /** The version that serves calls which name none; null where the function was deleted. */
  serving: number | null;
  /** Rises by 1 with each change of the function, its versions and its aliases: the loser of a race learns it by this. */
  revision: number;
  updated_at: number;
}

/** A version of a function that is kept. */
export interface FunctionVersionTable {
  namespace: string;
  name: string;
  version: number;
  /** Chance, so that a deployment whose outcome was unknown is found again. */
  deployment: string;
  /** The content id of the module as it was deployed. */
  wasm_cid: string;
  /** What the storage calls the module; never given to anything else. */
  stored_cid: string;
  size: number;
  /** `wasi` or `extism`. */
  abi: string;
  entry: string;
  /** MiB. */
  memory_limit: number;
  /** Milliseconds. */
  timeout: number;
  is_public: number;
  retry_count: number;
  /** Milliseconds. */
  retry_delay: number;
  dlq_topic: string | null;
  concurrency: number | null;
  /** JSON object of texts. */
  env: string;
  created_at: number;
  created_by: string;
}

/** A name for versions of a function. */
export interface FunctionAliasTable {
  namespace: string;
  name: string;
  alias: string;
  /** JSON array of `{version, weight}`. */
  targets: string;
  updated_at: number;
}

/** A secret of a namespace. */
export interface FunctionSecretTable {
  namespace: string;
  name: string;
  /** Which key sealed it: the beginning of its SHA-256. */
  key_id: string;
  /** The value, sealed for this namespace and name. */
  sealed: string;
  created_at: number;
  updated_at: number;
}
