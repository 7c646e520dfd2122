import { deepEqual, equal, rejects } from "node:assert/strict";
import { RqliteFiles } from "../../../services/database/files/rqlite.ts";
import { emptyDatabaseFile } from "../../../services/database/sqlite/node_sqlite.ts";
import { until } from "../../engines/support/wait.ts";
import { clientTest, failsWith } from "../rqlite/client_fixture.ts";
import { one, written } from "../rqlite/fake_cluster.ts";

const WAITER = { signal: new AbortController().signal };

clientTest(
  "of a cluster that hangs in a statement no copy is wanted, and no database is put into it",
  1,
  async (fake, open) => {
    const [node] = fake.nodes;
    node!.answer = () => "hang";
    const cluster = open();
    const files = new RqliteFiles(() => Promise.resolve(cluster));
    const folder = await Deno.makeTempDir();
    try {
      await Deno.writeFile(`${folder}/new`, emptyDatabaseFile());
      const ways = [
        () => files.save("shop", `${folder}/copy`, WAITER),
        // It would be done, although its sender was told that nobody knows.
        () => files.replace("shop", `${folder}/new`, WAITER),
      ];
      for (const way of ways) await rejects(way(), failsWith("UNAVAILABLE", fake));
      await until("the cluster is known to hang", () => cluster.stuck);
      for (const way of ways) await rejects(way(), { message: /does not come to an end/ });
      deepEqual(new Set(node!.requests.map(({ path }) => path)), new Set(["/db/query"]));

      node!.answer = ({ path }) => path === "/db/query" ? one : path === "/db/backup" ? { body: "a copy" } : written;
      await until("it takes writes again", () => !cluster.stuck);
      await files.save("shop", `${folder}/copy`, WAITER);
      equal(await Deno.readTextFile(`${folder}/copy`), "a copy");
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);
