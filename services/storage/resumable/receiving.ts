import { createHash } from "node:crypto";
import { hasCode } from "../../../src/contracts/errors.ts";
import type { UploadPart } from "../../../src/contracts/resumable_uploads.ts";
import { mismatch, tooMuch } from "./failures.ts";
import type { StagedContent } from "./staged_content.ts";
import { interruptible } from "./waiting.ts";

/** A part that is coming. */
export interface Coming {
  /** Fires when a newer one takes its place, or the upload is given up. */
  readonly stop: AbortController;
  readonly ended: Promise<void>;
  /** When bytes of it came last, on the clock that never runs backwards. */
  heard: number;
}

/** What receiving a part needs. */
export interface Receiving {
  readonly coming: Coming;
  /** Bytes of the whole upload; `Infinity`: that is not said yet. */
  readonly length: number;
  readonly monotonic: () => number;
  /** @throws GatewayError `NO_CAPACITY` where the disk is nearly full */
  readonly assertRoom: () => Promise<void>;
  /** Told how many bytes the upload is about to have. @throws what ends the part */
  readonly onTaken: (bytes: number) => void;
}

/** Bytes between two looks at the disk's space. */
const LOOK = 8 * 2 ** 20;

/**
 * Appends what comes. What came of a part that breaks off is kept, but for one that has a checksum, or has too much.
 * @throws GatewayError `BODY_TOO_LARGE`, `CHECKSUM_MISMATCH`, `NO_CAPACITY`, `UNAVAILABLE`; what the source and {@link Receiving} throw
 */
export async function receive(
  content: StagedContent,
  { checksum, content: source }: UploadPart,
  { coming, length, monotonic, assertRoom, onTaken }: Receiving,
): Promise<void> {
  const hash = checksum && createHash(checksum.algorithm);
  await content.begin(hash !== undefined);
  try {
    let taken = content.offset, looked = taken;
    for await (const chunk of interruptible(source, coming.stop.signal)) {
      coming.heard = monotonic();
      taken += chunk.byteLength;
      if (taken > length) throw tooMuch(length);
      onTaken(taken);
      if (taken - looked > LOOK) {
        looked = taken;
        await assertRoom();
      }
      hash?.update(chunk);
      await content.add(chunk);
    }
    if (hash && checksum && !hash.digest().equals(checksum.digest)) throw mismatch(checksum.algorithm);
  } catch (error) {
    const none = hash !== undefined || hasCode(error, "BODY_TOO_LARGE");
    // What failed first is what is told.
    await content.end(!none).catch(() => {});
    throw error;
  }
  await content.end(true);
}

/** @throws GatewayError `BODY_TOO_LARGE` for any byte; what the source throws */
export async function assertEmpty(content: AsyncIterable<Uint8Array>, length: number): Promise<void> {
  for await (const { byteLength } of content) if (byteLength > 0) throw tooMuch(length);
}
