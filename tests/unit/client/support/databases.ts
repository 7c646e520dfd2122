import {
  type ClientOptions,
  createClient,
  createDatabase,
  type Database,
  type DatabaseDefaults,
  OramaError,
} from "../../../../src/client/index.ts";

/** A database whose client waits as short as can be. */
export const databaseAt = (
  url: string,
  options: Partial<ClientOptions> = {},
  defaults: DatabaseDefaults = {},
): Database =>
  createDatabase(
    createClient({ url, apiKey: "ak_secret:test", retry: { firstPause: 1 }, random: () => 0.5, ...options }),
    defaults,
  );

/** The client's error that comes of it. @throws Error when nothing or something else is thrown */
export async function oramaError(work: Promise<unknown>): Promise<OramaError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof OramaError) return error;
    throw error;
  }
  throw new Error("there was no error");
}

/** Everything that comes of it. */
export async function collect<T>(rows: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const row of rows) all.push(row);
  return all;
}
