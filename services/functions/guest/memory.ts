const NOTHING = new Uint8Array(0);

/** Why bytes could not be handed to a module. */
export type Refusal = "NO_ALLOCATOR" | "INVALID_POINTER" | "RESULT_TOO_LARGE";

/**
 * The memory that a module exports. Its buffer is another one whenever it has grown, and so nothing that this gives outlives the
 * next time that the module runs, in its allocator as well.
 */
export class GuestMemory {
  #memory: WebAssembly.Memory | undefined;
  #allocate: ((size: number) => unknown) | undefined;
  #bytes = NOTHING;
  #view = new DataView(NOTHING.buffer);
  #initial = 0;

  /** Before this, in a start section, a module has no memory that anybody could reach. */
  adopt(exports: WebAssembly.Exports): void {
    const { memory } = exports;
    const allocate = typeof exports.orama_alloc === "function" ? exports.orama_alloc : exports.malloc;
    if (memory instanceof WebAssembly.Memory && memory.buffer instanceof ArrayBuffer) this.#memory = memory;
    if (typeof allocate === "function") this.#allocate = allocate as (size: number) => unknown;
    this.#initial = this.pages;
  }

  /** Pages of 64 KiB that it has. */
  get pages(): number {
    return this.#memory ? this.#memory.buffer.byteLength / 65_536 : 0;
  }

  /**
   * Whether it has grown and cannot grow by as much again, which is how programs ask for more. That a module was refused memory is
   * nowhere to be seen. Only for a module that will not run any more: this makes its memory larger.
   */
  get scarce(): boolean {
    const grown = this.pages - this.#initial;
    if (!this.#memory || grown === 0) return false;
    try {
      this.#memory.grow(grown);
      return false;
    } catch {
      return true;
    }
  }

  /** All of it, as it is now. */
  bytes(): Uint8Array<ArrayBuffer> {
    this.#renew();
    return this.#bytes;
  }

  /** All of it, as it is now, for numbers. */
  view(): DataView<ArrayBuffer> {
    this.#renew();
    return this.#view;
  }

  /**
   * A part of it, not a copy; `undefined` for one that is not all within it.
   * @param pointer as WebAssembly hands over a u32: perhaps negative
   */
  range(pointer: number, length: number): Uint8Array<ArrayBuffer> | undefined {
    const start = pointer >>> 0, size = length >>> 0;
    // Empty slices of Rust and C++ point anywhere.
    if (size === 0) return NOTHING;
    const bytes = this.bytes();
    return start + size <= bytes.length ? bytes.subarray(start, start + size) : undefined;
  }

  /** Where a structure begins that the module points to; `undefined` where it is not all within the memory. */
  place(pointer: number, size: number): number | undefined {
    const start = pointer >>> 0;
    return start + size <= this.bytes().length ? start : undefined;
  }

  /**
   * Hands bytes over in memory that the module's allocator gives: `orama_alloc`, or else `malloc`, which runs now.
   * @param most pages that the memory may have
   * @returns (pointer << 32) | length, 0 for no bytes
   * @throws whatever the allocator throws
   */
  give(bytes: Uint8Array, most: number): bigint | Refusal {
    if (bytes.length === 0) return 0n;
    if (!this.#memory || !this.#allocate) return "NO_ALLOCATOR";
    if (bytes.length > most * 65_536) return "RESULT_TOO_LARGE";
    const pointer: unknown = this.#allocate(bytes.length);
    if (pointer === 0) return "RESULT_TOO_LARGE";
    // An export of that name may have any type.
    if (typeof pointer !== "number" || !Number.isInteger(pointer)) return "INVALID_POINTER";
    const target = this.range(pointer, bytes.length);
    if (!target) return "INVALID_POINTER";
    target.set(bytes);
    return BigInt(target.byteOffset) << 32n | BigInt(bytes.length);
  }

  #renew(): void {
    if (!this.#memory || this.#bytes.buffer === this.#memory.buffer) return;
    this.#bytes = new Uint8Array(this.#memory.buffer as ArrayBuffer);
    this.#view = new DataView(this.#memory.buffer as ArrayBuffer);
  }
}
