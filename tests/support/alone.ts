/**
 * Whether tests run one after the other, as those on real engines do. Beside others on few processors a test that takes all there is
 * makes their deadlines a matter of luck, so there it asks for a part of it.
 */
export const RUNS_ALONE = Deno.env.get("TEST_ENGINES_REQUIRED") === "1";

/** Milliseconds within which something has to happen that is promised within so many: beside other tests all of it takes longer. */
export const withinPromised = (ms: number): number => RUNS_ALONE ? ms : 4 * ms;
