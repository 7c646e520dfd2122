// A loop that sends what comes to every socket of a topic: what a gateway's delivery cannot be faster than. `/topic/<n>` listens;
// what `/publish` sends begins with the topic's number and a blank, and the rest is sent as it is.
import { out } from "../../../src/cli/output.ts";

const topics = new Map<string, WebSocket[]>();
Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: ({ port }) => out(String(port)) }, (request) => {
  const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout: 25 });
  const [, kind, topic = ""] = new URL(request.url).pathname.split("/");
  if (kind === "topic") {
    let listeners = topics.get(topic);
    if (listeners === undefined) topics.set(topic, listeners = []);
    const all = listeners;
    socket.onopen = () => all.push(socket);
  } else {
    socket.onmessage = ({ data }) => {
      const text = data as string, blank = text.indexOf(" ");
      const frame = text.slice(blank + 1);
      for (const listener of topics.get(text.slice(0, blank)) ?? []) listener.send(frame);
    };
  }
  return response;
});
