import { equal, ok } from "node:assert/strict";
import { until } from "../../engines/support/wait.ts";

const SERVER = new URL("../../../src/http/server.ts", import.meta.url).href;
/** A server whose answer is how often it could take no connection. */
const PROGRAM = `
  import { listen } from ${JSON.stringify(SERVER)};
  let refused = 0;
  const answer = () => Promise.resolve(new Response(String(refused)));
  const options = { abort: new AbortController(), onRefused: () => refused++ };
  console.log(listen(answer, { hostname: "127.0.0.1", port: 0 }, options).url);
`;

Deno.test({
  name: "a server that has no descriptor left for a connection takes some again as soon as it has",
  ignore: Deno.build.os === "windows",
  async fn() {
    const args = ["-c", 'ulimit -n 64; exec "$@"', "sh", Deno.execPath(), "eval", "--quiet", PROGRAM];
    const program = new Deno.Command("sh", { args, stdout: "piped", stderr: "null" }).spawn();
    let ended = false;
    const end = program.status.then(() => void (ended = true));
    const held: Deno.TcpConn[] = [];
    const letGo = () => held.splice(0).forEach((connection) => connection.close());
    try {
      const reader = program.stdout.pipeThrough(new TextDecoderStream()).getReader();
      const url = (await reader.read()).value!.trim();
      await reader.cancel();
      const address = { hostname: "127.0.0.1", port: Number(new URL(url).port) };
      await until("it takes no more", async () => {
        const connection = await Deno.connect(address).catch(() => undefined);
        if (connection !== undefined) held.push(connection);
        return connection === undefined || ended;
      });
      ok(held.length > 20, String(held.length));
      letGo();
      let told = "";
      await until("it takes some again", async () => {
        told = await fetch(url, { headers: { connection: "close" } }).then((answer) => answer.text(), () => "");
        return told !== "" || ended;
      });
      equal(ended, false);
      ok(Number(told) > 0, told);
    } finally {
      letGo();
      if (!ended) program.kill("SIGKILL");
      await end;
    }
  },
});
