/** Where SQLite goes after an instruction: on, to `p2`, to one of several places, or nowhere. */
export type Flow =
  | "next"
  | "branch"
  | "goto"
  | "three_ways"
  | "call"
  | "return"
  | "end"
  | "program"
  | "coroutine"
  | "yield";

const named = (flow: Flow, names: string): [string, Flow][] => names.trim().split(/\s+/).map((name) => [name, flow]);

/**
 * Instructions of SQLite's bytecode (sqlite.org/opcode.html) that take constant time, or time by the depth of a tree. What is
 * not here is not trusted: counting and clearing whole tables, virtual tables, schema changes, and whatever a later SQLite adds.
 */
export const FLOWS: ReadonlyMap<string, Flow> = new Map([
  ...named(
    "next",
    `Transaction TableLock ReadCookie Integer Int64 String String8 Null SoftNull BeginSubrtn Blob Variable Real
     Move Copy SCopy IntCopy ResultRow Concat Add Subtract Multiply Divide Remainder BitAnd BitOr ShiftLeft ShiftRight BitNot
     Not And Or IsTrue ZeroOrNull AddImm RealAffinity Cast Affinity MakeRecord TypeCheck CollSeq Compare Permutation
     OpenRead OpenWrite ReopenIdx OpenEphemeral OpenPseudo Close ColumnsUsed Column Rowid RowData NullRow IdxRowid DeferredSeek
     FinishSeek SeekHit NewRowid Sequence Insert Delete IdxInsert IdxDelete ResetCount FkCounter Param MemMax OffsetLimit
     SorterOpen SorterInsert SorterData ClrSubtype GetSubtype SetSubtype AggStep AggStep1 AggFinal Function PureFunc
     HaltIfNull Explain Noop CursorHint Trace ReleaseReg Abortable`,
  ),
  ...named(
    "branch",
    `Init If IfNot IsNull NotNull IsType IfNullRow Eq Ne Lt Le Gt Ge ElseEq Once Found NotFound NoConflict NotExists
     SeekRowid SeekGE SeekGT SeekLE SeekLT IdxGE IdxGT IdxLE IdxLT IfNoHope Rewind Last Next Prev Sort SorterSort SorterNext
     SorterCompare MustBeInt IfPos IfNotZero DecrJumpZero FkIfZero`,
  ),
  ["Goto", "goto"],
  ["Jump", "three_ways"],
  ["Gosub", "call"],
  ["Return", "return"],
  ["Halt", "end"],
  ["EndCoroutine", "end"],
  ["Program", "program"],
  ["InitCoroutine", "coroutine"],
  ["Yield", "yield"],
]);

/** Instructions that call a function, which `p4` names. */
export const CALLS: ReadonlySet<string> = new Set(["Function", "PureFunc", "AggStep", "AggStep1"]);

/**
 * Functions whose time grows with the size of their arguments at most. Not here: patterns (`like`, `glob`, `regexp`), searches
 * for one text in another, and what makes large values out of small ones.
 */
export const CHEAP_FUNCTIONS: ReadonlySet<string> = new Set(
  `abs acos acosh asin asinh atan atan2 atanh avg ceil ceiling char coalesce cos cosh count current_date current_time
   current_timestamp date datetime degrees exp floor ifnull iif json json_array_length json_extract json_quote json_type
   json_valid julianday length likelihood likely ln log log10 log2 lower max min mod nullif octet_length pi pow power radians
   random round sign sin sinh sqrt strftime substr substring sum tan tanh time timediff total trunc typeof unicode unixepoch
   unlikely upper -> ->>`.trim().split(/\s+/),
);

/** Functions that give more than they take, like `||`: a few in one statement, or a dozen of them fill the memory. */
export const GROWING_FUNCTIONS: ReadonlySet<string> = new Set([
  "concat",
  "concat_ws",
  "hex",
  "json_array",
  "json_insert",
  "json_object",
  "json_replace",
  "json_set",
  "quote",
]);
