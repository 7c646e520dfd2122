// The corpus of hostile functions against a gateway: what stopped each of them, and how long after its limit it was over.
// deno task bench:functions_corpus
import { out } from "../../src/cli/output.ts";
import { until } from "../engines/support/wait.ts";
import { CASES, type FunctionCase } from "../fixtures/functions/index.ts";
import { type Answer, Client } from "../support/client.ts";
import { callProblem, caseFields, caseName, deployProblem, outputOf } from "../support/function_cases.ts";
import { deploy, invoke, tryToDeploy } from "../support/functions.ts";
import { GENEROUS_LIMITS } from "./compare.ts";
import { machine } from "./load.ts";
import { startGateway } from "./processes.ts";

/** What ends a call that is told of with a code. */
const WHAT: Readonly<Record<string, string>> = {
  FUNCTION_TIMEOUT: "deadline, SIGKILL",
  FUNCTION_TRAPPED: "trap",
  FUNCTION_FAILED: "its own exit",
  FUNCTION_OUT_OF_MEMORY: "memory limit",
  FUNCTION_OUTPUT_TOO_LARGE: "limit of the answer",
  FUNCTION_CALLS_EXCEEDED: "limit of host calls",
  OUTCOME_UNKNOWN: "its process ended",
};
/** Milliseconds that a function has which asks for nothing else. */
const TIMEOUT = 30_000;

const folder = await Deno.makeTempDir({ prefix: "orama-bench-" });
const set = ["--set", `limits.functions.functions=${CASES.length + 1}`];
const gateway = await startGateway(["dev", "--listen", "127.0.0.1:0", "--data", folder, ...GENEROUS_LIMITS, ...set]);
try {
  const { url, api_key: key } = JSON.parse(gateway.firstLine) as { url: string; api_key: string };
  const client = new Client(url), credential = { key };
  await deploy(client, credential, "neighbour", "echo.wat");
  out(`# ${machine()}\n`);
  out("| case | what stopped it | code | over its limit, ms |\n|---|---|---|---|");
  let wrong = 0;
  const late: number[] = [];
  for (const one of CASES) {
    const name = caseName(one);
    const deployed = await tryToDeploy(client, credential, name, one.file, caseFields(one));
    const called = deployed.status === 201 ? await invoke(client, credential, name, one.input) : undefined;
    const problem = deployProblem(deployed, one) ?? (called && callProblem(called, one));
    if (problem !== undefined) wrong++;
    const over = called && codeOf(called) === "FUNCTION_TIMEOUT" ? await lateness(client, key, one) : undefined;
    if (over !== undefined) late.push(over);
    const [what, code] = called ? ending(called, one) : refusal(deployed, one);
    out(`| ${name} | ${problem === undefined ? what : `NOT AS IT SHOULD BE: ${problem}`} | ${code} | ${shown(over)} |`);
  }
  (await invoke(client, credential, "neighbour", "[1]")).expect(200);
  late.sort((a, b) => a - b);
  const [median, most] = [late[late.length >> 1], late.at(-1)];
  out(
    `\n${CASES.length} cases, ${wrong} not as they should be. Over the deadline: p50 ${shown(median)}, most ${
      shown(most)
    } ms.`,
  );
} finally {
  await gateway.stop();
  await Deno.remove(folder, { recursive: true });
}

/** Milliseconds from a call's deadline until its process was gone. */
async function lateness(client: Client, key: string, one: FunctionCase): Promise<number> {
  const path = `/v1/functions/${caseName(one)}/invocations?limit=1`;
  const ran = async () => (await client.call("GET", path, { key })).expect(200).get("invocations.0.duration_ms");
  await until("the call is written", async () => typeof await ran() === "number");
  return Number(await ran()) - (one.settings?.timeout ?? TIMEOUT);
}

function codeOf({ status, ...answer }: Answer): string {
  return status === 200 ? "" : JSON.parse(answer.text).code;
}

function refusal(deployed: Answer, { refusedBy = "reader" }: FunctionCase): [string, string] {
  return [`refused at deploy, by the ${refusedBy}`, codeOf(deployed)];
}

/** What ended a call. */
function ending(answer: Answer, { description }: FunctionCase): [what: string, code: string] {
  const code = codeOf(answer);
  if (code === "") {
    const told = /^0\n\{"code":"(\w+)"/.exec(outputOf(answer))?.[1];
    if (told !== undefined) return ["the host call failed: it answered", `(${told})`];
    const harmless = description.endsWith("nothing must stop it.") ? "nothing" : "what it tried did no harm";
    return [`${harmless}: it answered`, "–"];
  }
  return [WHAT[code] ?? "?", code];
}

function shown(ms: number | undefined): string {
  return ms === undefined ? "" : ms.toFixed(1);
}
