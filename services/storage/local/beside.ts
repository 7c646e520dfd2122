import { BlockFiles } from "./block_files.ts";
import { reporting, SYSTEM_DISK } from "./disk.ts";
import { inspectAll, type RootReport } from "./inspecting.ts";
import { Pins } from "./pins.ts";

/**
 * The report for repairs, made by somebody who has no right to the folder: nothing in it is changed, so the gateway that works on it may go
 * on. What that gives up and deletes meanwhile may be told as missing.
 * @param folder as `LocalDriverOptions.folder`
 * @param claimed CIDs; pinned content comes behind them
 * @throws the signal's reason; what the roots throw; GatewayError `UNAVAILABLE` for a disk that fails
 */
export async function* inspectBeside(
  folder: string,
  claimed: AsyncIterable<string>,
  signal: AbortSignal,
): AsyncGenerator<RootReport, void, void> {
  const disk = reporting(SYSTEM_DISK);
  const pins = pinsIn(folder);
  yield* inspectAll(
    new BlockFiles(disk, `${folder}/blocks`, () => {}),
    (async function* () {
      yield* claimed;
      yield* pins.all();
    })(),
    signal,
  );
}

/** What is pinned in such a folder. */
export const pinsIn = (folder: string): Pins => new Pins(reporting(SYSTEM_DISK), `${folder}/pins`);
