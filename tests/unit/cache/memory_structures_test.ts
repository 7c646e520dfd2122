import { deepEqual, equal, notEqual, ok } from "node:assert/strict";
import { Arena, BLOCK } from "../../../services/cache/memory/arena.ts";
import { DueHeap } from "../../../services/cache/memory/due_heap.ts";
import { hashWith } from "../../../services/cache/memory/hash.ts";
import { FIELD } from "../../../services/cache/memory/header.ts";
import { Index } from "../../../services/cache/memory/index.ts";
import { randomFrom } from "./support/random.ts";

const random = randomFrom(0);
const noise = Uint8Array.from({ length: 400_000 }, () => random() * 256);
const bytesOf = (length: number, seed: number) => noise.subarray(seed % 1_000, seed % 1_000 + length);

Deno.test("what is written into the arena is read from it, whatever comes and goes around it", () => {
  const arena = new Arena(), random = randomFrom(1);
  const things = new Map<number, Uint8Array>();
  for (let round = 0; round < 5_000; round++) {
    const ids = [...things.keys()], id = ids[Math.floor(random() * ids.length)];
    const length = random() < 0.1 ? Math.ceil(random() * 300_000) : Math.ceil(random() * 1_000);
    const action = random();
    if (id === undefined || (action < 0.4 && things.size < 40)) {
      const added = arena.allocate(length), bytes = bytesOf(length, round);
      ok(added > 0 && !things.has(added));
      arena.write(added, 0, bytes);
      things.set(added, bytes);
    } else if (action < 0.6) {
      // What it has already stays, as far as there is room.
      const before = things.get(id)!, bytes = bytesOf(length, round);
      arena.resize(id, length);
      const kept = Math.min(before.length, length);
      if (round % 10 === 0) deepEqual(arena.read(id, 0, kept), before.slice(0, kept));
      arena.write(id, 0, bytes);
      things.set(id, bytes);
    } else if (action < 0.8) {
      const expected = things.get(id)!;
      const from = Math.floor(random() * expected.length), size = Math.floor(random() * (expected.length - from));
      deepEqual(arena.read(id, from, size), expected.slice(from, from + size));
      equal(arena.equals(id, from, expected.subarray(from, from + size)), true);
      const other = expected.slice(from, from + size);
      if (size > 0) {
        other[Math.floor(random() * size)]! ^= 1;
        equal(arena.equals(id, from, other), false);
      }
    } else {
      arena.free(id);
      things.delete(id);
    }
  }
  for (const [id, expected] of things) deepEqual(arena.read(id, 0, expected.length), expected);
});

Deno.test("texts come out of the arena whole, wherever their characters are cut", () => {
  const arena = new Arena();
  for (const text of ["", "a", "\ufeffa", "é€😀\u0000".repeat(200), "x".repeat(200_000), "😀".repeat(40_000)]) {
    const bytes = new TextEncoder().encode(text);
    for (const at of [0, 1, BLOCK - 1, BLOCK, BLOCK + 3]) {
      const id = arena.allocate(at + bytes.length + 1);
      arena.write(id, at, bytes);
      equal(arena.text(id, at, bytes.length), text);
    }
  }
});

Deno.test("the numbers in a header are kept apart", () => {
  const arena = new Arena();
  const [a, b] = [arena.allocate(64), arena.allocate(64)] as const;
  const words = Array.from({ length: 12 }, (_, field) => 2 ** 32 - 1 - field);
  for (const [field, word] of words.entries()) arena.setWord(a, field, word);
  arena.setNumber(a, 6, 2 ** 53 - 1);
  arena.setNumber(a, 7, 1.5);
  for (const field of words.keys()) arena.setWord(b, field, 0);
  deepEqual(words.map((_, field) => arena.word(a, field)), words);
  deepEqual([arena.number(a, 6), arena.number(a, 7)], [2 ** 53 - 1, 1.5]);
});

Deno.test("the index finds what is in it and nothing else, while it grows and shrinks", () => {
  const arena = new Arena(), index = new Index(arena), random = randomFrom(2);
  const entries = new Map<number, number>();
  const find = (hash: number) => {
    const found: number[] = [];
    for (let id = index.first(hash); id !== 0; id = arena.word(id, FIELD.nextInBucket)) {
      if (arena.word(id, FIELD.hash) === hash) found.push(id);
    }
    return found.toSorted((a, b) => a - b);
  };
  const expected = (hash: number) =>
    [...entries].flatMap(([id, own]) => own === hash ? [id] : []).toSorted((a, b) => a - b);
  const add = () => {
    // Some of one hash, some that only differ in the bits that a larger table looks at.
    const hash = random() < 0.01
      ? 7
      : random() < 0.02
      ? (Math.floor(random() * 256) << 24) >>> 0
      : Math.floor(random() * 2 ** 32);
    const id = arena.allocate(64);
    arena.setWord(id, FIELD.hash, hash);
    index.add(id);
    entries.set(id, hash);
  };
  const check = () => {
    for (const [id, hash] of entries) ok(find(hash).includes(id));
    deepEqual(find(7), expected(7));
    deepEqual(find(0xff000000), expected(0xff000000));
    deepEqual(find(123), expected(123));
  };
  for (const size of [100, 20_000, 3_000, 30_000, 5_000, 0, 500]) {
    while (entries.size < size) add();
    for (const id of entries.keys()) {
      if (entries.size <= size) break;
      if (size > 0 && random() < 0.5) continue;
      index.remove(id);
      arena.free(id);
      entries.delete(id);
    }
    check();
  }
});

Deno.test("what ends first is first, whatever was taken out meanwhile", () => {
  interface Item {
    due: number;
    place: number;
  }
  const random = randomFrom(3), items = new Set<Item>();
  const heap = new DueHeap<Item>({
    dueOf: ({ due }) => due,
    placeOf: ({ place }) => place,
    setPlace(item, place) {
      item.place = place;
    },
  });
  for (let round = 0; round < 20_000; round++) {
    const [any] = items;
    if (any === undefined || random() < 0.52) {
      const item = { due: Math.floor(random() * 100), place: 0 };
      items.add(item);
      heap.add(item);
    } else if (random() < 0.5) {
      const item = [...items][Math.floor(random() * items.size)]!;
      items.delete(item);
      heap.remove(item);
      heap.remove(item);
      equal(item.place, 0);
    } else {
      const first = heap.first!;
      equal(first.due, Math.min(...[...items].map(({ due }) => due)));
      items.delete(first);
      heap.remove(first);
    }
    equal(heap.size, items.size);
  }
  const rest: number[] = [];
  for (let first = heap.first; first !== undefined; first = heap.first) {
    rest.push(first.due);
    heap.remove(first);
  }
  deepEqual(rest, [...items].map(({ due }) => due).toSorted((a, b) => a - b));
});

Deno.test("hashes depend on every byte, on the map and on the secret, and are spread evenly", () => {
  const hash = hashWith(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
  const text = new TextEncoder().encode("some:key:0123456789");
  const seen = new Set([hash(1, text), hash(2, text), hashWith(new Uint8Array(8))(1, text)]);
  for (let i = 0; i < text.length; i++) {
    const other = text.slice();
    other[i]! ^= 1;
    seen.add(hash(1, other));
    seen.add(hash(1, text.subarray(0, i)));
  }
  equal(seen.size, 3 + 2 * text.length);
  notEqual(hash(1, Uint8Array.of(0)), hash(1, Uint8Array.of(0, 0)));

  const buckets = new Uint32Array(256);
  for (let i = 0; i < 256_000; i++) buckets[hash(1, new TextEncoder().encode(`key:${i}`)) % 256]!++;
  // A thousand in each on average; five standard deviations are 158.
  ok(buckets.every((count) => count > 800 && count < 1_200), `${Math.min(...buckets)} to ${Math.max(...buckets)}`);
});
