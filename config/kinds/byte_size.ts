import { type Kind, parsedKind } from "./kind.ts";

const FACTORS: ReadonlyMap<string, number> = new Map([
  ["tib", 1024 ** 4],
  ["gib", 1024 ** 3],
  ["mib", 1024 ** 2],
  ["kib", 1024],
  ["tb", 1000 ** 4],
  ["gb", 1000 ** 3],
  ["mb", 1000 ** 2],
  ["kb", 1000],
  ["b", 1],
]);
const SPELLING: ReadonlyMap<string, string> = new Map(
  ["TiB", "GiB", "MiB", "KiB", "TB", "GB", "MB", "kB", "B"].map((unit) => [unit.toLowerCase(), unit]),
);

/** Bounds of a size, in its own notation, both inclusive. */
export interface SizeBounds {
  readonly min?: string;
  readonly max?: string;
}

/** An amount of bytes: `1MiB` (1024²), `10MB` (1000²), or a bare number of bytes. Becomes bytes. */
export function byteSize({ min = "0B", max = "1TiB" }: SizeBounds = {}): Kind<number> {
  const [least, most] = [parseByteSize(min), parseByteSize(max)];
  if (least === undefined || most === undefined) throw new TypeError(`bounds of a size: ${min}, ${max}`);
  return parsedKind({
    name: "size",
    unit: "bytes",
    expected: `a size such as 1MiB, 10MB or 512KiB (a bare number: bytes), from ${min} to ${max}`,
    parse: (raw) => {
      const value = parseByteSize(raw);
      return value !== undefined && value >= least && value <= most ? value : undefined;
    },
    toYaml: formatByteSize,
  });
}

/** Bytes of `1MiB` and the like; `undefined` when it is none, or no whole number of bytes. */
export function parseByteSize(raw: unknown): number | undefined {
  if (typeof raw === "number") return Number.isSafeInteger(raw) && raw >= 0 ? raw : undefined;
  if (typeof raw !== "string" || raw.length > 64) return undefined;
  const [, amount, unit] = /^(\d+(?:\.\d+)?) ?([kmgt]?i?b)?$/i.exec(raw) ?? [];
  const factor = FACTORS.get(unit?.toLowerCase() ?? "b");
  return amount === undefined || factor === undefined ? undefined : parseByteSize(Number(amount) * factor);
}

/** The shortest exact spelling: 1048576 → `1MiB`, 10000000 → `10MB`. */
export function formatByteSize(bytes: number): string {
  for (const [unit, factor] of FACTORS) {
    if (bytes >= factor && bytes % factor === 0) return `${bytes / factor}${SPELLING.get(unit)}`;
  }
  return `${bytes}B`;
}
