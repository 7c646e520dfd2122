/** What public ids are made of. */
export type Random = (n: number) => Uint8Array;

/** A public id such as `key_9f86d081884c7d65`: says what it names, and cannot be guessed from another. */
export const newId = (prefix: "key" | "ses" | "app", random: Random): string => `${prefix}_${random(10).toHex()}`;
