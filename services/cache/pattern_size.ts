/** What stands for one character: an escape, a class, or the character itself. The name in `\p{…}` and `\x{…}` is part of it. */
const ATOM = /\\[pPx]\{[^}]*\}|\\Q[^]*?(?:\\E|$)|\\[^]|\[\^?\]?(?:\[:\^?\w+:\]|\\[^]|[^\]\\])*\]|[^]/guy;
/** Where a group begins, with what is said of it. */
const GROUP = /\((?:\?(?:P?<\w+>|[a-zA-Z-]*:))?/y;
/** How often what stands before it may come. */
const REPETITION = /\{(\d{1,4})(?:,(\d{0,4}))?\}/y;

/**
 * How large a regular expression is once its repetitions are written out, about: `(ab){10}` is 20. A thousand characters of it
 * may be a million, and a compiler finds that out by writing them.
 */
export function expandedSize(pattern: string): number {
  /** Of each group that is open, and of the whole. */
  const sizes = [0];
  let last = 0, at = 0;
  const take = (form: RegExp) => {
    form.lastIndex = at;
    const found = form.exec(pattern);
    if (found !== null) at = form.lastIndex;
    return found;
  };
  while (at < pattern.length) {
    const [, least, most] = take(REPETITION) ?? [];
    if (least !== undefined) {
      const more = last * (Math.max(Number(least), Number(most ?? 0), 1) - 1);
      sizes[sizes.length - 1]! += more;
      last += more;
      continue;
    }
    if (take(GROUP) !== null) {
      sizes.push(0);
      continue;
    }
    const atom = take(ATOM)?.[0] ?? pattern[at++]!;
    if (atom === ")" && sizes.length > 1) {
      last = sizes.pop()!;
      sizes[sizes.length - 1]! += last;
    } else {
      last = atom.startsWith("\\Q") ? atom.length : 1;
      sizes[sizes.length - 1]! += last;
    }
  }
  return sizes.reduce((sum, size) => sum + size, 0);
}
