/**
 * How much of anything a module may have. Every call has an instance of its own, and so whatever an instance has at its beginning is
 * paid with each call; the rest is paid by the host that compiles it, and by whoever reads it.
 */
export const BOUNDS = {
  /** Linkers write a dozen, and one for each kind of debug information. */
  sections: 1_000,
  /** One for each signature: linkers write each once. */
  types: 50_000,
  /** All that there is to import is less than two hundred; the same one may be there more than once. */
  imports: 1_000,
  /** The largest language runtimes have half of it. */
  functions: 50_000,
  /** Each becomes an object with each call. Linkers export what is asked for, which is a handful. */
  exports: 1_000,
  globals: 10_000,
  tags: 1_000,
  /** One for function pointers, one for references to what is outside, and some. */
  tables: 16,
  /** Of all tables at their beginning, 8 bytes or more each: room for every function twice. */
  tableElements: 100_000,
  /** What a table may grow to, if it is not larger from its beginning: plug-ins are not linked at run time, and so hardly any grows. */
  tableGrowth: 10_000,
  elementSegments: 10_000,
  /** Of all element segments. */
  elements: 100_000,
  /** As V8: Go's linker writes thousands. */
  dataSegments: 100_000,
  /** Parameters or results of one function, as V8. */
  params: 1_000,
  /** Parameters and results of all types: twenty of each of as many types as there may be. */
  paramsInAll: 1_000_000,
  /** Of one function, as V8: a frame of them is on the stack with each call of it. */
  locals: 50_000,
  /** Groups of them of one function. A group may have none, so that the number of locals does not bound them. */
  localGroups: 50_000,
  /** Of all functions: compilers write one for each type, a handful for each function. */
  localGroupsInAll: 1_000_000,
  /** Instructions of one constant expression, its end included. Linkers write one or two, and three more for an offset that is computed. */
  constant: 64,
  /** Of all constant expressions of element segments: ten for each of as many elements as there may be. */
  constantsInAll: 1_000_000,
  /** Bytes of a name. Mangled names of generic code have hundreds. */
  name: 4_096,
} as const;

/** Bytes of a page of memory. */
export const PAGE = 65_536;
