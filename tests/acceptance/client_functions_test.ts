import { deepEqual } from "node:assert/strict";
import { logging } from "../engines/support/function_gateways.ts";
import { clientSuite } from "../support/client/client_suite.ts";
import { FUNCTIONS_SCENARIOS, moduleOf } from "../support/client/functions_scenarios.ts";
import { wasmOf } from "../support/wat.ts";

Deno.test("what the client deploys in its tests are modules of the corpus", async () => {
  deepEqual(moduleOf("echo"), await wasmOf("echo.wat"));
  deepEqual(moduleOf("counter"), await wasmOf("counter.wat"));
  deepEqual(moduleOf("trap"), await wasmOf("trap_unreachable.wat"));
  deepEqual(moduleOf("log"), await logging());
});

clientSuite(FUNCTIONS_SCENARIOS, "functions");
