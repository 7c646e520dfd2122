import { deepEqual, equal, throws } from "node:assert/strict";
import { HOST_CALLS, type HostCallName } from "../../../../services/functions/modules/imports.ts";
import { wasmOf } from "../../../support/wat.ts";
import { Exit, run } from "./support/run.ts";

Deno.test("echo copies its input, also one that is longer than its memory", async () => {
  const echo = await wasmOf("echo.wat");
  for (const input of ["", "a", "x".repeat(300_000)]) equal(run(echo, { input }), input);
});

Deno.test("hello greets whom the JSON names, and the world where it names nobody", async () => {
  const hello = await wasmOf("hello.wat");
  equal(run(hello, { input: `{"name":"E2E Tester"}` }), "Hello, E2E Tester!");
  equal(run(hello, { input: `{"a": 1, "name" : "Zoë"}` }), "Hello, Zoë!");
  for (const input of ["", "{}", `{"nam":"x"}`]) equal(run(hello, { input }), "Hello, World!");
});

Deno.test("counter begins anew in each instance, and empty_start writes nothing", async () => {
  const counter = await wasmOf("counter.wat");
  deepEqual([run(counter), run(counter)], ["11", "11"]);
  equal(run(await wasmOf("empty_start.wat")), "");
});

Deno.test("caller writes what it is told about its call", async () => {
  const told: Partial<Record<HostCallName, string>> = {
    get_caller_wallet: "0xabc",
    get_request_id: "r-1",
    get_env: "y",
  };
  const asked: unknown[] = [];
  const written = run(await wasmOf("caller.wat"), {
    call: (name, args) => {
      if (name === "get_env") asked.push(...args);
      return told[name];
    },
  });
  equal(written, "caller=0xabc\nrequest=r-1\nX=y\n");
  deepEqual(asked, ["X"]);
});

Deno.test("calls performs each host call with the arguments of its line, and writes what it gave", async () => {
  const calls = await wasmOf("calls.wat");
  for (const [name, { takes, gives }] of Object.entries(HOST_CALLS)) {
    const args = takes.map((each, i) => each === "bytes" ? `arg ${i}` : -12n - BigInt(i));
    const seen: unknown[] = [];
    const answer = { bytes: "the answer", i32: -7, i64: -(2n ** 62n), nothing: undefined }[gives];
    const written = run(calls, {
      input: [name, ...args].join("\t"),
      call: (called, given) => {
        seen.push(called, ...given);
        return answer;
      },
    });
    deepEqual(seen, [name, ...args]);
    equal(written, `${answer ?? "done"}\n`, name);
  }
});

Deno.test("calls goes through all lines, and knows nothing there from an empty line and from a strange name", async () => {
  const calls = await wasmOf("calls.wat");
  const input = ["cache_get\tk", "cache_incr", "cache_ge\tk", "cache_gett\tk", "", "cache_get\tlong"].join("\n");
  const written = run(calls, {
    input,
    call: (_name, args) => args[0] === "long" ? "é".repeat(100_000) : undefined,
  });
  deepEqual(written.split("\n"), ["0", "0", "?", "?", "?", "é".repeat(100_000), ""]);
  equal(run(calls, { input: "x".repeat(200_000) }), "?\n");
  throws(
    () => run(calls, { input: "proc_exit\t7\nlog_info\tnever" }),
    (error) => error instanceof Exit && error.code === 7,
  );
});
