import type { FunctionRules } from "../../../src/contracts/settings.ts";
import type { ModuleFacts } from "../parts.ts";
import { abiOf } from "./abi.ts";
import { PAGE } from "./bounds.ts";
import { type Contents, contentsOf } from "./contents.ts";
import { checkImports } from "./imported.ts";
import { grouped, refused } from "./refusals.ts";

/** What host calls that give bytes ask the module for memory with, and what they ask it with where there is none of these. */
const ALLOCATOR = "orama_alloc";
const ALLOCATION = "(i32) -> i32";

/**
 * Reads a module before anything compiles it: that it is one, that it imports only what there is, that it can be called, and that
 * it begins within its limits. Time and memory are in proportion to its length, whatever is in it; its code is not looked at.
 * @param rules `maxMemory`: MiB that this function's memory may have
 * @param wanted `entry`: which export of an Extism plug-in is called; by default its only one `() -> i32`, or `handle`
 * @throws GatewayError `MODULE_INVALID` with one sentence that says what is wrong with it
 */
export function readModule(
  bytes: Uint8Array,
  rules: Pick<FunctionRules, "maxMemory">,
  wanted: { readonly entry?: string | undefined },
): ModuleFacts {
  const contents = contentsOf(bytes);
  checkImports(contents);
  checkMemory(contents, rules.maxMemory);
  checkAllocator(contents);
  return { ...abiOf(contents, wanted.entry), initialPages: contents.memory?.initial ?? 0 };
}

function checkMemory({ memory }: Contents, limit: number): void {
  if (!memory || memory.initial * PAGE <= limit * 2 ** 20) return;
  const initial = memory.initial * PAGE / 2 ** 20;
  throw refused(
    `The module's memory begins with ${grouped(initial)} MiB, and this function may have ${grouped(limit)} MiB.`,
  );
}

/** A wrong `malloc` is somebody's own affair, as one that is missing; nobody calls a function `orama_alloc` but for this. */
function checkAllocator({ exports }: Contents): void {
  const allocator = exports.get(ALLOCATOR);
  if (!allocator || allocator.type === ALLOCATION) return;
  throw refused(
    `The module exports ${ALLOCATOR} as ${
      allocator.type ?? `a ${allocator.kind}`
    }, and it must be a function ${ALLOCATION}.`,
  );
}
