// Answers `GET /bytes/N` with so many bytes, everything else with 100, after it has read what came.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { out } from "../../../src/cli/output.ts";

const PIECE = new Uint8Array(64 * 1024), SMALL = "x".repeat(100);

const server = createServer(async (request, response) => {
  for await (const _ of request);
  const [, bytes] = /^\/bytes\/(\d+)$/.exec(request.url ?? "") ?? [];
  if (bytes === undefined) return response.end(SMALL);
  response.setHeader("content-length", bytes);
  for (let left = Number(bytes); left > 0 && !response.destroyed; left -= PIECE.length) {
    if (!response.write(PIECE.subarray(0, left))) {
      await Promise.race([once(response, "drain"), once(response, "close")]);
    }
  }
  response.end();
});
// A burst of connections is what is measured.
server.listen(
  { host: Deno.args[0], port: 0, backlog: 1_024 },
  () => out(String((server.address() as AddressInfo).port)),
);
