import type { EgressRoom } from "../../src/contracts/egress.ts";

/** Bytes that are gathered before room is taken for more. */
export const BLOCK = 64 * 1024;
/** Bytes that make a block in base64, and are a multiple of three, so that blocks can be put one behind the other. */
const RAW = BLOCK / 4 * 3;

const encoder = new TextEncoder();

/**
 * Bytes that are put together as they come, in blocks: small pieces would take more for themselves than for what is in them, and memory
 * that grows as a whole is there twice. The last block, which is not full, takes no room: whoever made the room has taken that.
 */
export class Blocks {
  readonly #room: EgressRoom;
  readonly #size: number;
  readonly #finished: (block: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>;
  #full: Uint8Array<ArrayBuffer>[] = [];
  #last: Uint8Array<ArrayBuffer>;
  #at = 0;

  private constructor(
    room: EgressRoom,
    size: number,
    finished: (block: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>,
  ) {
    this.#room = room;
    this.#size = size;
    this.#finished = finished;
    this.#last = new Uint8Array(size);
  }

  /** Keeps bytes as they are. */
  static plain(room: EgressRoom): Blocks {
    return new Blocks(room, BLOCK, (block) => block.slice());
  }

  /** Keeps bytes in base64, and them alone. */
  static base64(room: EgressRoom): Blocks {
    return new Blocks(room, RAW, (block) => encoder.encode(block.toBase64()));
  }

  /** Takes a copy. @returns whether there was room for it */
  add(bytes: Uint8Array): boolean {
    for (let at = 0; at < bytes.length;) {
      if (this.#at === this.#size && !this.#next()) return false;
      const some = bytes.subarray(at, at + this.#size - this.#at);
      this.#last.set(some, this.#at);
      this.#at += some.length;
      at += some.length;
    }
    return true;
  }

  /** All of it, in order, and no longer here. But the last piece, each is of {@link BLOCK} bytes, for which room was taken. */
  pieces(): Uint8Array<ArrayBuffer>[] {
    const pieces = [...this.#full, this.#finished(this.#last.subarray(0, this.#at))];
    this.#full = [];
    return pieces;
  }

  #next(): boolean {
    if (!this.#room.take(BLOCK)) return false;
    this.#full.push(this.#finished(this.#last));
    this.#at = 0;
    return true;
  }
}
