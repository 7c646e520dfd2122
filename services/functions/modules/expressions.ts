import { BOUNDS } from "./bounds.ts";
import { type Cursor, tooMany } from "./cursor.ts";

const END = 0x0b;

/** Of the opcodes with the prefix 0xfb that a constant expression may have, how many indices follow. */
const OF_GC: Readonly<Record<number, number>> = { 0: 1, 1: 1, 6: 1, 7: 1, 8: 2, 26: 0, 27: 0, 28: 0 };

/**
 * Goes over a constant expression, its end included.
 * See https://webassembly.github.io/spec/core/valid/instructions.html#constant-expressions
 * @returns how many instructions it has, its end included
 * @throws GatewayError `MODULE_INVALID` for an instruction that cannot be in one, and for too many
 */
export function skipConstant(cursor: Cursor): number {
  for (let instructions = 1;; instructions++) {
    if (instructions > BOUNDS.constant) {
      throw tooMany("instructions in one constant expression, or more", instructions, BOUNDS.constant);
    }
    const opcode = cursor.byte();
    if (opcode === END) return instructions;
    const operand = OPERANDS.get(opcode);
    if (!operand) throw cursor.damaged(`has an instruction in a constant that cannot be there, ${opcode}`);
    operand(cursor);
  }
}

const nothing = () => {};
const index = (cursor: Cursor) => void cursor.u32();

const OPERANDS = new Map<number, (cursor: Cursor) => void>([
  [0x23, index],
  [0xd2, index],
  [0xd0, (cursor) => cursor.skipSigned(33)],
  [0x41, (cursor) => cursor.skipSigned(32)],
  [0x42, (cursor) => cursor.skipSigned(64)],
  [0x43, (cursor) => cursor.skip(4)],
  [0x44, (cursor) => cursor.skip(8)],
  ...[0x6a, 0x6b, 0x6c, 0x7c, 0x7d, 0x7e].map((opcode) => [opcode, nothing] as const),
  [0xfd, (cursor) => {
    if (cursor.u32() !== 12) throw cursor.damaged("has a vector instruction in a constant that cannot be there");
    cursor.skip(16);
  }],
  [0xfb, (cursor) => {
    const indices = OF_GC[cursor.u32()];
    if (indices === undefined) throw cursor.damaged("has an instruction in a constant that cannot be there");
    for (let left = indices; left > 0; left--) cursor.u32();
  }],
]);
