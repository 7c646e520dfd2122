import type { Entry, Range } from "./cluster/cluster.ts";

/** One entry and where it is. */
export interface Placed {
  readonly epoch: number;
  readonly offset: number;
  readonly entry: Entry;
}

/**
 * Entries of several epochs in one order: by the time at which they were taken, then by epoch; those of one epoch in its own order,
 * whatever its clock said. Ranges of one epoch may overlap: each entry comes once.
 */
export function inOrder(ranges: readonly Range[]): Placed[] {
  const lanes = [...Map.groupBy(ranges, ({ epoch }) => epoch)].sort(([a], [b]) => a - b)
    .map(([, ranges]) => ({ entries: joined(ranges), next: 0 }));
  const all: Placed[] = [];
  for (;;) {
    let lane: typeof lanes[number] | undefined, best: Placed | undefined;
    for (const each of lanes) {
      const placed = each.entries[each.next];
      if (placed === undefined || best !== undefined && placed.entry.at >= best.entry.at) continue;
      lane = each;
      best = placed;
    }
    if (lane === undefined) return all;
    all.push(best!);
    lane.next++;
  }
}

function joined(ranges: readonly Range[]): Placed[] {
  const placed: Placed[] = [];
  for (const { epoch, from, entries } of ranges.toSorted((a, b) => a.from - b.from)) {
    const next = (placed.at(-1)?.offset ?? 0) + 1;
    for (let i = Math.max(0, next - from); i < entries.length; i++) {
      placed.push({ epoch, offset: from + i, entry: entries[i]! });
    }
  }
  return placed;
}
