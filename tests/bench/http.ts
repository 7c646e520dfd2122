// The request path against a bare `Deno.serve` that answers the same bytes, in one run.
// deno task bench:http
import { out } from "../../src/cli/output.ts";
import { compareWithBare, GENEROUS_LIMITS, HEAD, ROUNDS } from "./compare.ts";
import { machine, residentMegabytes } from "./load.ts";
import { startGateway } from "./processes.ts";

const folder = await Deno.makeTempDir({ prefix: "orama-bench-" });
const dev = ["dev", "--listen", "127.0.0.1:0", "--data", folder];
await (await startGateway(dev)).stop(); // the second start is the one from a warm cache
const gateway = await startGateway([...dev, ...GENEROUS_LIMITS]);
try {
  const { url, api_key } = JSON.parse(gateway.firstLine) as { url: string; api_key: string };
  const first = performance.now();
  await (await fetch(`${url}/health`)).text();
  out(`# ${machine()}; 64 connections, best of ${ROUNDS} rounds`);
  out(
    `start to ready ${gateway.startup.toFixed(0)} ms, first answer after ${
      (performance.now() - first).toFixed(1)
    } ms more`,
  );
  out(`idle RSS ${residentMegabytes(gateway.pid).toFixed(0)} MB`);
  const token = await fetch(`${url}/v1/auth/token`, { method: "POST", headers: { "x-api-key": api_key } });
  const { access_token } = await token.json() as { access_token: string };

  out(`\n${HEAD}`);
  await compareWithBare("GET /health", `${url}/health`, gateway);
  await compareWithBare("GET /v1/auth/whoami, API key", `${url}/v1/auth/whoami`, gateway, {
    headers: { "x-api-key": api_key },
  });
  await compareWithBare("GET /v1/auth/whoami, access token", `${url}/v1/auth/whoami`, gateway, {
    headers: { authorization: `Bearer ${access_token}` },
  });
  out(`\nRSS after the load ${residentMegabytes(gateway.pid).toFixed(0)} MB`);
} finally {
  await gateway.stop();
  await Deno.remove(folder, { recursive: true });
}
