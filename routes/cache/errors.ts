/** What any operation on the cache can answer. */
export const CACHE_ERRORS = ["UNAVAILABLE"] as const;
/** What one that stores values can. */
export const STORE_ERRORS = ["BODY_TOO_LARGE", "QUOTA_EXCEEDED", "UNAVAILABLE"] as const;
/** What one that stores under a condition can. */
export const CONDITIONAL_ERRORS = ["PRECONDITION_FAILED", ...STORE_ERRORS] as const;
