import { deepEqual, equal, match, rejects } from "node:assert/strict";
import { RqliteControlDatabase } from "../../../services/control_plane/rqlite.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";

type Cluster = ConstructorParameters<typeof RqliteControlDatabase>[0];

const NODE = { id: "1", url: "http://x", voter: true, reachable: true, leader: true };
const REFUSED = new GatewayError("UNAVAILABLE", "an earlier statement in the database of this namespace does not end");

/** A cluster that reads, and whose writes end in an error. */
const clusterOf = (parts: Partial<Cluster>): Cluster => ({
  stuck: false,
  query: () => Promise.resolve([{ kind: "rows", columns: ["1"], types: ["integer"], rows: [[1]] }]),
  request: () => Promise.reject(REFUSED),
  nodes: () => Promise.resolve([NODE]),
  close: () => Promise.resolve(),
  ...parts,
});
const health = (parts: Partial<Cluster>) =>
  new RqliteControlDatabase(clusterOf(parts)).health(new AbortController().signal);

Deno.test("a control plane that does not come back from a write says so, and is not taken for one that is gone", async () => {
  equal((await health({})).status, "ok");
  const { status, reason, details } = await health({ stuck: true });
  equal(status, "degraded");
  match(reason!, /reads, and does not come back from an earlier change/);
  deepEqual(details, { nodes: 1, reachable: 1 });
  equal((await health({ stuck: true, query: () => Promise.reject(REFUSED) })).status, "down");
});

Deno.test("a change that is refused because of an earlier one is told as the control plane's, not a namespace's", async () => {
  for (
    const [stuck, sentence] of [[true, /^the control database reads.*; nothing was changed$/], [
      false,
      /namespace/,
    ]] as const
  ) {
    const control = new RqliteControlDatabase(clusterOf({ stuck }));
    const change = control.db.deleteFrom("namespaces").where("name", "=", "x");
    for (const write of [() => control.run(change), () => control.atomically([change])]) {
      await rejects(write, (error) => {
        match((error as GatewayError).message, sentence);
        equal((error as GatewayError).code, "UNAVAILABLE");
        return true;
      });
    }
  }
  const unknown = new GatewayError("OUTCOME_UNKNOWN", "may have been applied");
  const lost = new RqliteControlDatabase(clusterOf({ stuck: true, request: () => Promise.reject(unknown) }));
  await rejects(lost.atomically([lost.db.deleteFrom("namespaces")]), (error) => error === unknown);
});
