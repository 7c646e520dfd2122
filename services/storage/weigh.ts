import type { ContentDriver, ContentInfo, Waiter } from "./driver.ts";
import type { Measured } from "./awaited.ts";

/** Directories within each other. */
const MAX_DEPTH = 64;
/** Entries of a directory and all below it. */
const MAX_ENTRIES = 100_000;

/** Content that is too much to be counted. */
export class TooMuchToCount extends Error {
  override readonly name = "TooMuchToCount";
}

/** How much content there is, as a reader gets it. @throws TooMuchToCount, and as the driver */
export async function weigh(
  driver: Pick<ContentDriver, "entries" | "look">,
  { cid, kind, size }: ContentInfo,
  waiter: Waiter,
): Promise<Measured> {
  if (kind !== "directory") return { kind, size };
  let total = 0, entries = 0;
  const open: { readonly cid: string; readonly depth: number }[] = [{ cid, depth: 0 }];
  for (let directory = open.pop(); directory !== undefined; directory = open.pop()) {
    const depth = directory.depth + 1;
    if (depth > MAX_DEPTH) throw new TooMuchToCount("directories nest too deep");
    for await (const entry of driver.entries(directory.cid, waiter)) {
      if (++entries > MAX_ENTRIES) throw new TooMuchToCount("there are too many entries");
      if (entry.kind === "directory") open.push({ cid: entry.cid, depth });
      else total += entry.size ?? (await driver.look(entry.cid, [], "local", waiter)).size;
    }
  }
  return { kind, size: total };
}
