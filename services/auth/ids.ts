/** What public ids are made of. */
export type Random = (n: number) => Uint8Array;

/** A public id such as `key_9f86d081884c7d65`: says what it names, and cannot be guessed from another. */
export const newId = (prefix: "key" | "ses" | "app", random: Random): string => `${prefix}_${random(10).toHex()}`;

/** Whether a public id names a session, and not a key. */
export const isSession = (id: string): boolean => id.startsWith("ses_");

/** Whether a public id names a session or a key: what is there in the control plane, and can be revoked there. */
export const isCredential = (id: string): boolean => isSession(id) || id.startsWith("key_");
