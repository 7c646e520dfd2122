import type { TestGateway } from "./gateway.ts";

const keys = new WeakMap<TestGateway, Promise<string>>();

/** What a metric of a gateway says now; 0 where it says nothing. @param series name, with labels if there are any */
export async function figure(gateway: TestGateway, series: string): Promise<number> {
  const made = keys.get(gateway) ?? gateway.makeKey("--operator").then(({ key }) => key);
  keys.set(gateway, made);
  const { text } = (await gateway.call("GET", "/metrics", { key: await made })).expect(200);
  const line = text.split("\n").find((one) => one.startsWith(`${series} `));
  return Number(line?.slice(series.length) ?? 0);
}

/** How many sockets were closed with a code. */
export const closed = (gateway: TestGateway, code: number): Promise<number> =>
  figure(gateway, `live_connections_closed_total{code="${code}"}`);
