import { createSocket } from "node:dgram";

/** A port of UDP that nobody has now. */
export async function freeUdpPort(hostname: string): Promise<number> {
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) => socket.bind(0, hostname, resolve));
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  return port;
}
