/** What is known of an entry, in the first bytes of its first block: words of 32 bits, and numbers that take two of them. */
export const FIELD = {
  /** Of the map and the key. */
  hash: 0,
  /** The next entry in the same bucket of the index; 0 for none here and below. */
  nextInBucket: 1,
  /** The one that was used next, and the one that was used before, among all entries. */
  newer: 2,
  older: 3,
  /** The same among those of its namespace. */
  newerOwn: 4,
  olderOwn: 5,
  /** The number of its map. */
  map: 6,
  /** Where it is in the list of its map. */
  slot: 7,
  /** Where it is among those that end, from 1 on. */
  place: 8,
  /** Bytes of the key, of the media type (256 times), and whether the value is bytes (65,536 times). */
  form: 9,
  /** Bytes of the value. */
  length: 10,
} as const;

/** The numbers behind the words. */
export const NUMBER = {
  /** Unix milliseconds at which it ends; 0: at no time. */
  due: 6,
  /** Another one with each write. */
  version: 7,
} as const;

/** Bytes of all of that. The key follows, then the media type, then the value. */
export const HEADER = 64;
