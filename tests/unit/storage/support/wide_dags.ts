import { Message } from "../../../../services/storage/local/message.ts";
import { anyBlock, CODES, rawBlock, type TestBlock, UNIXFS, varint } from "../../../support/blocks.ts";

/** A file of parts, made without the library, which takes seconds for tens of thousands of them. */
export function wideFile(parts: readonly { readonly cid: Uint8Array; readonly size: number }[]): TestBlock {
  const message = new Message();
  for (const { cid } of parts) message.link(cid, new Uint8Array(0), 0);
  return anyBlock(CODES.dagPb, message.node([8, UNIXFS.file, ...parts.flatMap(({ size }) => [32, ...varint(size)])]));
}

/** The bytes of a CID that nothing has. */
export function nothingAt(i: number): Uint8Array {
  const cid = Uint8Array.of(1, CODES.raw, CODES.sha256, 32, ...new Uint8Array(32));
  new DataView(cid.buffer).setUint32(8, i);
  return cid;
}

/** A file in which, once its first byte is read, three times so many links less three wait for their turn. */
export function deepAndWide(
  links: number,
): { readonly root: TestBlock; readonly blocks: readonly TestBlock[]; readonly size: number } {
  const leaf = rawBlock("x"), blocks = [leaf];
  let below = leaf, size = 1;
  for (let level = 0; level < 3; level++) {
    const others = Array.from({ length: links - 1 }, () => ({ cid: leaf.cid.bytes, size: 1 }));
    below = wideFile([{ cid: below.cid.bytes, size }, ...others]);
    size += links - 1;
    blocks.push(below);
  }
  return { root: below, blocks, size };
}
