import { type Answers, type Asked, dropRights, type Guest, serve, watchParent } from "../../../src/hosts/guest.ts";
import type { StatementFacts } from "../gate/gate.ts";
import { type GroupMember, SqliteConnection } from "./connection.ts";
import { groupAt } from "./groups.ts";
import type {
  OpenOrder,
  OpenReply,
  RunOrder,
  RunReply,
  SqlOrder,
  StreamItem,
  StreamOrder,
  UpkeepReply,
} from "./messages.ts";
import { SqliteReaders, troubleReply } from "./reader.ts";

/** Serves one namespace's SQL: opens its file, gives back every right, and runs what it is asked. */
export async function run(): Promise<void> {
  watchParent();
  await serve(new SqlHost());
}

/** Does once what the first request needs, so that it finds compiled code. */
function warmUp(): RunReply {
  const statement = { sql: "SELECT 1", args: [], facts: WARMING };
  const connection = new SqliteConnection(":memory:", { synchronous: "FULL", busyTimeout: 0, memory: 0 }, "");
  connection.run({
    op: "run",
    mode: "atomic",
    write: 1,
    statements: [statement, statement],
    ceiling: { rows: 1, bytes: 100 },
    maxDatabaseBytes: 0,
  });
  connection.close();
  return NOTHING;
}

const NOTHING: RunReply = { kind: "done", outcomes: [] };

const WARMING: StatementFacts = {
  access: "read",
  verb: "SELECT",
  placeholders: 0,
  returning: false,
  upserts: false,
  wildcard: false,
  asksConnection: false,
};

interface AskedRun {
  readonly id: number;
  readonly order: RunOrder;
}

/** What runs within an SQL host. */
class SqlHost implements Guest {
  #connection: SqliteConnection | undefined;
  #readers: SqliteReaders | undefined;

  work(asked: readonly Asked[], answers: Answers): void {
    const runs: AskedRun[] = [];
    for (const { id, body } of asked) {
      const order = body as SqlOrder;
      if (order.op === "run") runs.push({ id, order });
      else if (order.op === "open") answers.answer(id, this.#open(order));
      else {
        this.#work(runs.splice(0), answers);
        answers.answer(id, this.#told(() => order.op === "warm" ? warmUp() : this.#lookAfter()));
      }
    }
    this.#work(runs, answers);
  }

  *stream(body: unknown): Generator<StreamItem> {
    if (!this.#readers) throw new Error("no database is open");
    yield* this.#readers.stream(body as StreamOrder);
  }

  close(): void {
    this.#readers?.close();
    this.#connection?.close();
  }

  #open({ path, settings, instance }: OpenOrder): OpenReply {
    try {
      this.#connection = new SqliteConnection(path, settings, instance);
      this.#readers = new SqliteReaders(path, settings);
      dropRights();
      return { kind: "opened", commits: this.#connection.commits.found };
    } catch (error) {
      return troubleReply(error);
    }
  }

  #lookAfter(): UpkeepReply {
    return { kind: "done", outcomes: [], more: this.#opened().upkeep() };
  }

  #opened(): SqliteConnection {
    if (!this.#connection) throw new Error("no database is open");
    return this.#connection;
  }

  #work(runs: readonly AskedRun[], answers: Answers): void {
    for (let at = 0; at < runs.length;) {
      const writes = runs[at]!.order.write !== undefined;
      // Whoever's answer comes next is on the clock, also while it is compiled to see whether it may share.
      if (writes) answers.flush();
      const members = writes && runs.length - at > 1 ? groupAt(this.#opened(), runs, at) : [];
      if (members.length > 1) at += this.#together(members, answers);
      else this.#alone(runs[at++]!, answers);
    }
  }

  #alone({ id, order }: AskedRun, answers: Answers): void {
    const connection = this.#opened();
    if (!connection.isShort(order)) answers.flush();
    answers.answer(
      id,
      this.#told(() => ({ ...connection.run(order), ...(order.write !== undefined && { group: 1 }) })),
    );
    if (order.write !== undefined) answers.flush();
  }

  /** @returns how many of them were answered */
  #together(members: readonly (AskedRun & { readonly order: GroupMember })[], answers: Answers): number {
    let answered = members.length;
    try {
      const replies = this.#opened().together(members.map(({ order }) => order));
      if (replies) {
        answered = replies.length;
        replies.forEach((reply, at) => {
          answers.answer(members[at]!.id, { ...reply, ...(at === 0 && { group: answered }) } satisfies RunReply);
        });
      } else members.forEach((member) => this.#alone(member, answers));
    } catch (error) {
      const reply = troubleReply(error);
      for (const { id } of members) answers.answer(id, reply);
    }
    answers.flush();
    return answered;
  }

  #told(run: () => RunReply): RunReply {
    try {
      return run();
    } catch (error) {
      return troubleReply(error);
    }
  }
}
