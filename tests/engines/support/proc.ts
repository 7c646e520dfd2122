/** Bytes of memory that a process has (Linux: proc(5), status); 0 for one that is not there. */
export function residentOf(pid: number): number {
  try {
    return 1024 * Number(/VmRSS:\s+(\d+) kB/.exec(Deno.readTextFileSync(`/proc/${pid}/status`))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/** Where a process is connected to by TCP over IPv4, or tries to be, each as `address:port` (Linux: proc(5), net/tcp). */
export function remotesOf(pid: number): string[] {
  const sockets = new Set<string>();
  for (const { name } of Deno.readDirSync(`/proc/${pid}/fd`)) {
    const inode = /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${name}`))?.[1];
    if (inode !== undefined) sockets.add(inode);
  }
  const lines = Deno.readTextFileSync(`/proc/${pid}/net/tcp`).trim().split("\n").slice(1);
  return lines.flatMap((line) => {
    const [, , remote = "", state, , , , , , inode = ""] = line.trim().split(/\s+/);
    return sockets.has(inode) && state !== LISTENING ? [addressOf(remote)] : [];
  });
}

const LISTENING = "0A";

/** `0100007F:1F90` → `127.0.0.1:8080`. */
function addressOf(hex: string): string {
  const [address = "", port = ""] = hex.split(":");
  const bytes = address.match(/../g)!.map((byte) => parseInt(byte, 16));
  return `${bytes.toReversed().join(".")}:${parseInt(port, 16)}`;
}

function linkOf(path: string): string {
  try {
    return Deno.readLinkSync(path);
  } catch {
    // It was closed meanwhile.
    return "";
  }
}
