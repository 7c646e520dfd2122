/**
 * Whether tests run one after the other, as those on real engines do. Beside others on few processors a test that takes all there is
 * makes their deadlines a matter of luck, so there it asks for a part of it.
 */
export const RUNS_ALONE = Deno.env.get("TEST_ENGINES_REQUIRED") === "1";
