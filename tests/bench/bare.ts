// Answers every request with the status, headers and body that it was given: what a gateway cannot be faster than. A body of the
// request is read, as any server must.
import { out } from "../../src/cli/output.ts";

const [headers = "{}", body = ""] = Deno.args;
const init = { headers: JSON.parse(headers) as Record<string, string> };
const answer = () => new Response(body, init);
Deno.serve(
  { hostname: "127.0.0.1", port: 0, onListen: ({ port }) => out(String(port)) },
  (request) => request.method === "GET" ? answer() : request.bytes().then(answer),
);
