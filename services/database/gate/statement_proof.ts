import { prepareExact, type SqliteDatabase } from "../sqlite/node_sqlite.ts";
import { CALLS, CHEAP_FUNCTIONS, type Flow, FLOWS, GROWING_FUNCTIONS } from "./statement_proof_opcodes.ts";

/** The longest run that counts as short, in instructions: about a millisecond. */
const MAX_STEPS = 20_000;
/** Rows of a `VALUES` list. */
const MAX_ROWS = 100;
/** Calls that make values longer. */
const MAX_GROWTH = 8;

const VERB = /^(?:SELECT|VALUES|WITH|INSERT|REPLACE|UPDATE|DELETE)\b/i;

interface Instruction {
  readonly opcode: string;
  readonly flow: Flow;
  readonly p1: number;
  readonly p2: number;
  readonly p3: number;
}

type Program = readonly Instruction[];

/** What could not be proven; never leaves this file. */
class NotProven extends Error {
  override readonly name = "NotProven";
}

/**
 * Whether a statement certainly runs for a time that hangs on its own text and on the schema, and not on how much the tables
 * hold. It is told from the bytecode into which SQLite has compiled it (`EXPLAIN`): no instruction may be reached twice, in it
 * or in what its triggers and foreign keys run, but for the rows of one `VALUES` list and the search of `sqlite_sequence`.
 * Every instruction and every function must be known to be cheap. `false` says only that this cannot be proven.
 *
 * Nothing is run. The size of values is not bounded here: one row may be large.
 *
 * @param db with the schema; foreign keys must be as where the statement will run
 * @param sql one statement, without comments before it
 * @throws SQLite's error when it cannot be compiled
 */
export function isShort(db: SqliteDatabase, sql: string): boolean {
  if (!VERB.test(sql)) return false;
  try {
    const [main, ...called] = programs(db, sql);
    if (main === undefined) return false;
    return steps(main, called, rootOfSequences(db)) <= MAX_STEPS;
  } catch (error) {
    if (error instanceof NotProven) return false;
    throw error;
  }
}

/** The statement's own program, then those that `Program` runs, each once; SQLite lists them in the order of their addresses. */
function programs(db: SqliteDatabase, sql: string): Program[] {
  const rows = prepareExact(db, `EXPLAIN ${sql}`).all() as unknown as [
    bigint,
    string,
    bigint,
    bigint,
    bigint,
    unknown,
  ][];
  if (rows.length > MAX_STEPS) throw new NotProven();
  const found: Instruction[][] = [];
  let growth = 0;
  for (const [address, opcode, p1, p2, p3, p4] of rows) {
    const flow = FLOWS.get(opcode);
    if (flow === undefined) throw new NotProven();
    if (opcode === "Concat" || (CALLS.has(opcode) && grows(String(p4)))) growth++;
    if (address === 0n) found.push([]);
    found.at(-1)!.push({ opcode, flow, p1: Number(p1), p2: Number(p2), p3: Number(p3) });
  }
  if (growth > MAX_GROWTH || found.some(returnsElsewhere)) throw new NotProven();
  return found;
}

/** Whether the address that a `Return` goes to may be another one than that behind a call. */
function returnsElsewhere(program: Program): boolean {
  const registers = new Set(program.filter(({ flow }) => flow === "return").map(({ p1 }) => p1));
  return program.some(({ opcode, p1: value, p2 }) => opcode === "Integer" && value !== 0 && registers.has(p2));
}

/** @param call as SQLite writes it: `name(number of arguments)` */
function grows(call: string): boolean {
  const name = call.slice(0, call.indexOf("("));
  if (!CHEAP_FUNCTIONS.has(name) && !GROWING_FUNCTIONS.has(name)) throw new NotProven();
  return GROWING_FUNCTIONS.has(name);
}

function rootOfSequences(db: SqliteDatabase): number {
  const found = db.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'sqlite_sequence'").get();
  return Number(found?.["rootpage"] ?? -1);
}

/** Most instructions that can run. */
function steps(main: Program, called: readonly Program[], sequences: number): number {
  // As many calls as programs: so each has one caller, and none calls itself, however far round.
  const calls = [main, ...called].flat().filter(({ flow }) => flow === "program").length;
  if (calls !== called.length) throw new NotProven();
  const below = called.map((program) => longestPath(program, 0, { sequences })).reduce((sum, one) => sum + one, 0);
  const coroutine = main.findIndex(({ flow }) => flow === "coroutine");
  const one = coroutine < 0
    ? longestPath(main, 0, { sequences })
    : withCoroutine(main, main[coroutine]!, coroutine, sequences);
  return one + below * (coroutine < 0 ? 1 : MAX_ROWS);
}

/**
 * A coroutine hands its rows to the one `Yield` outside of it. It has no way back, so there are no more rows than it has
 * `Yield`s, and for each of them what follows the outer one runs once, without its start being on the way.
 */
function withCoroutine(main: Program, { p1, p2, p3 }: Instruction, start: number, sequences: number): number {
  const inside = (address: number) => address >= p3 && address < p2;
  const yields = main.flatMap(({ flow }, address) => flow === "yield" ? [address] : []);
  const rows = yields.filter(inside).length;
  const [taker, ...others] = yields.filter((address) => !inside(address));
  const own = yields.every((address) => main[address]!.p1 === p1);
  if (p3 !== start + 1 || taker === undefined || others.length > 0 || !own || rows > MAX_ROWS) throw new NotProven();
  const outside = { sequences, stop: taker, closed: inside };
  const before = longestPath(main, 0, { ...outside, begins: start });
  const made = longestPath(main, p3, { sequences, stop: taker });
  const taken = longestPath(main, taker + 1, outside);
  return before + made + (rows + 1) * taken + longestPath(main, main[taker]!.p2, outside);
}

interface Walk {
  /** Root page of `sqlite_sequence`. */
  readonly sequences: number;
  /** Not gone beyond. */
  readonly stop?: number;
  /** Not to be reached. */
  readonly closed?: (address: number) => boolean;
  /** The one coroutine that may begin on the way. */
  readonly begins?: number;
}

/** Most instructions that run from here to an end. @throws NotProven when one can be reached from itself */
function longestPath(program: Program, from: number, walk: Walk): number {
  const lengths = new Map<number, number>();
  const open = new Set<number>();
  const stack = [from];
  while (stack.length > 0) {
    const at = stack.at(-1)!;
    if (lengths.has(at)) {
      stack.pop();
      continue;
    }
    const next = at === walk.stop ? [] : successors(program, at, walk);
    if (open.has(at)) {
      const ways = next.map((address) => lengths.get(address)!);
      // What is called runs, and then what follows the call.
      const rest = program[at]!.flow === "call" ? ways.reduce((sum, one) => sum + one, 0) : Math.max(0, ...ways);
      lengths.set(at, Math.min(1 + rest, MAX_STEPS + 1));
      stack.pop();
      continue;
    }
    open.add(at);
    for (const address of next) {
      if (lengths.has(address)) continue;
      if (open.has(address)) throw new NotProven();
      stack.push(address);
    }
  }
  return lengths.get(from)!;
}

function successors(program: Program, at: number, { sequences, begins, closed }: Walk): number[] {
  const instruction = program[at];
  if (instruction === undefined || closed?.(at) === true) throw new NotProven();
  const { flow, p1, p2, p3 } = instruction;
  switch (flow) {
    case "next":
    // Back behind its call, where the way on is counted already, or on.
    case "return":
    case "yield":
      return [at + 1];
    case "branch":
      return p2 === 0 || endsSearchOfSequences(program, at, sequences) ? [at + 1] : [at + 1, p2];
    case "program":
      return p2 === 0 ? [at + 1] : [at + 1, p2];
    case "call":
      return [p2, at + 1];
    case "goto":
      return [p2];
    case "three_ways":
      return [p1, p2, p3];
    case "coroutine":
      if (at !== begins) throw new NotProven();
      return [p2 === 0 ? at + 1 : p2];
    case "end":
      return [];
  }
}

const SEARCH = ["Rewind", "Column", "Ne", "Rowid", "Column", "AddImm", "Copy", "Goto", "Next"];

/**
 * The search for a table's row in `sqlite_sequence`, which comes before an insert with AUTOINCREMENT. It is a loop, over as many
 * rows as there are such tables (or somebody has put there by hand).
 */
function endsSearchOfSequences(program: Program, at: number, sequences: number): boolean {
  const start = at - SEARCH.length + 1;
  const { p1, p2 } = program[at]!;
  if (p2 !== start + 1 || !SEARCH.every((opcode, i) => program[start + i]?.opcode === opcode)) return false;
  const opened = program.slice(0, start).findLast(({ opcode, p1: cursor }) =>
    opcode.startsWith("Open") && cursor === p1
  );
  return opened?.p2 === sequences && opened.p3 === 0;
}
