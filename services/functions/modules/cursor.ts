import { BOUNDS } from "./bounds.ts";
import { grouped, refused } from "./refusals.ts";

/** Where a module is read, within one of its parts. Every read is checked against the end of that part. */
export class Cursor {
  /** @param part what is read, for the sentence about damage, such as `import section` */
  constructor(readonly bytes: Uint8Array, public at: number, readonly end: number, readonly part: string) {}

  get done(): boolean {
    return this.at >= this.end;
  }

  /** @throws GatewayError `MODULE_INVALID` as every method here, where it goes beyond the end or is not what was expected */
  byte(): number {
    if (this.at >= this.end) throw this.damaged("ends in the middle of an entry");
    return this.bytes[this.at++]!;
  }

  /** An unsigned number of 32 bits in LEB128, padded or not. */
  u32(): number {
    let value = 0;
    for (let place = 0;; place++) {
      const byte = this.byte();
      if (place === 4 && byte > 0x0f) throw this.damaged("has a number of more than 32 bits");
      value += (byte & 0x7f) * 2 ** (7 * place);
      if (byte < 0x80) return value;
    }
  }

  /** Goes over a signed number of so many bits in LEB128, whose value nobody here asks for. */
  skipSigned(bits: 32 | 33 | 64): void {
    for (let left = Math.ceil(bits / 7); left > 0; left--) {
      if (this.byte() < 0x80) return;
    }
    throw this.damaged(`has a number of more than ${bits} bits`);
  }

  skip(length: number): void {
    if (length > this.end - this.at) throw this.damaged("ends in the middle of an entry");
    this.at += length;
  }

  /** How many entries follow. @param what they are, in the plural */
  count(what: string, limit: number): number {
    const count = this.u32();
    if (count > limit) throw tooMany(what, count, limit);
    // Each entry has a byte at the least, so that a loop over them is bounded by the length of the module.
    if (count > this.end - this.at) throw this.damaged(`says that it has ${grouped(count)} entries, and is shorter`);
    return count;
  }

  /** A name in UTF-8. */
  name(): string {
    const length = this.u32();
    if (length > BOUNDS.name) {
      throw refused(
        `The ${this.part} of the module has a name of ${grouped(length)} bytes; at most ${
          grouped(BOUNDS.name)
        } are taken.`,
      );
    }
    const from = this.at;
    this.skip(length);
    const name = decoded(this.bytes.subarray(from, this.at));
    if (name === undefined) throw refused(`The ${this.part} of the module has a name that is not UTF-8.`);
    if (name.includes("\0")) throw refused(`The ${this.part} of the module has a name with a NUL character in it.`);
    return name;
  }

  /** A part of this part. */
  within(length: number, part: string): Cursor {
    const from = this.at;
    this.skip(length);
    return new Cursor(this.bytes, from, this.at, part);
  }

  /** @param how completes "The import section of the module …" */
  damaged(how: string): Error {
    return refused(`The ${this.part} of the module is damaged: it ${how} (at byte ${grouped(this.at)}).`);
  }
}

/** That there are more of something than a module may have. */
export const tooMany = (what: string, count: number, limit: number): Error =>
  refused(`The module has ${grouped(count)} ${what}; at most ${grouped(limit)} are taken.`);

function decoded(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
