/** A command that does nothing, with a text in it so that no two are the same. */
export function moduleWith(text: string, { pages = 1 }: { readonly pages?: number } = {}): Uint8Array<ArrayBuffer> {
  const note = new TextEncoder().encode(text);
  return Uint8Array.of(
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    // One type () -> (), one function of it, one memory.
    ...section(1, [1, 0x60, 0, 0]),
    ...section(3, [1, 0]),
    ...section(5, [1, 0, ...number(pages)]),
    ...section(7, [2, ...named("memory"), 2, 0, ...named("_start"), 0, 0]),
    ...section(10, [1, 2, 0, 0x0b]),
    ...section(0, [...named("note"), ...note]),
  );
}

const section = (id: number, content: readonly number[]) => [id, ...number(content.length), ...content];

const named = (name: string) => [name.length, ...new TextEncoder().encode(name)];

/** LEB128. */
function number(value: number): number[] {
  return value < 0x80 ? [value] : [value % 0x80 | 0x80, ...number(Math.floor(value / 0x80))];
}

/** A source that says how far it was read, and whether it was ended. */
export function watched(...pieces: readonly Uint8Array[]) {
  const seen = { read: 0, ended: false };
  async function* source(): AsyncGenerator<Uint8Array> {
    try {
      for (const piece of pieces) {
        seen.read++;
        yield await Promise.resolve(piece);
      }
    } finally {
      seen.ended = true;
    }
  }
  return { seen, wasm: source() };
}
