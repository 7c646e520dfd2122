import type { Config } from "../../config/index.ts";
import type { RootReport } from "../../services/storage/local/inspecting.ts";
import { GatewayError } from "../contracts/errors.ts";
import { CONTEXT, onControlPlane } from "./on_control_plane.ts";
import { err, out } from "./output.ts";

/** Namespaces that are told of one root. */
const MOST_NAMESPACES = 100;

/** `storage inspect`. @throws GatewayError where anything is damaged or missing */
export async function inspect(config: Config, prints: "json" | "text"): Promise<void> {
  const [{ claimantsOf, claimedRoots }, { inspectBeside, pinsIn }, { localFolder }] = await Promise.all([
    import("../../services/storage/claim_roots.ts"),
    import("../../services/storage/local/beside.ts"),
    import("../storage_drivers.ts"),
  ]);
  const folder = localFolder(config), pins = pinsIn(folder);
  let roots = 0, broken = 0;
  await onControlPlane(config, async (_, control) => {
    for await (const report of inspectBeside(folder, claimedRoots(control), CONTEXT.signal)) {
      const namespaces = await claimantsOf(control, report.cid, MOST_NAMESPACES);
      // A gateway may have given it up, and deleted it, while it was looked at.
      if (!report.whole && namespaces.length === 0 && !await pins.has(report.cid)) continue;
      roots++;
      if (!report.whole) broken++;
      if (prints === "json") out(JSON.stringify(lineOf(report, namespaces)));
      else if (!report.whole) out(textOf(report, namespaces));
    }
  });
  if (broken === 0) return err(`${roots} of ${roots} roots are whole`);
  throw new GatewayError(
    "UNAVAILABLE",
    `${broken} of ${roots} roots are not whole: store the same content again, put the files back from a copy, or unpin it`,
  );
}

const lineOf = ({ cid, blocks, bytes, damaged, missing, whole }: RootReport, namespaces: readonly string[]) => ({
  cid,
  namespaces,
  whole,
  blocks,
  bytes,
  damaged,
  missing,
});

function textOf({ cid, damaged, missing }: RootReport, namespaces: readonly string[]): string {
  const whose = namespaces.length === 0 ? "pinned, and claimed by nobody" : `of ${namespaces.join(", ")}`;
  const blocks = [...damaged.map((block) => `  damaged  ${block}`), ...missing.map((block) => `  missing  ${block}`)];
  return [`${cid} ${whose}`, ...blocks].join("\n");
}
