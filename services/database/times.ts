/**
 * Times in columns declared DATE, DATETIME or TIMESTAMP, as rqlite presents them. It reads the text by Go's `time.Parse` with the
 * layouts of go-sqlite3 (`SQLiteTimestampFormats`) and writes RFC 3339 (`Time.MarshalText`): both are followed here to the digit.
 */

const TEXT = /^(\d{4})-(\d\d)-(\d\d)(?:(?:T| +)(\d{1,2}):(\d\d)(?::(\d\d)(?:[.,](\d+))?(?:([+-])(\d\d):(\d\d))?)?)?$/;

/** What a text gives that holds no time. Not null: null is for a missing value. */
const UNREADABLE = "0001-01-01T00:00:00Z";

/**
 * `2026-01-18 10:00:00` → `2026-01-18T10:00:00Z`. Text without a zone is UTC, fractions go to nine digits and lose their last
 * zeros, and text that holds no time becomes `0001-01-01T00:00:00Z`.
 * @throws RangeError for a zone of a day or more
 */
export function timeOfText(text: string): string {
  const match = TEXT.exec(text.endsWith("Z") ? text.slice(0, -1) : text);
  if (!match) return UNREADABLE;
  const [, year, month, day, hour = "00", minute = "00", second = "00", fraction = "", sign, zoneHour, zoneMinute] =
    match;
  const valid = +month! >= 1 && +month! <= 12 && +day! >= 1 && +day! <= daysIn(+year!, +month!) &&
    +hour < 24 && +minute < 60 && +second < 60 && +(zoneHour ?? 0) <= 24 && +(zoneMinute ?? 0) <= 60;
  if (!valid) return UNREADABLE;
  const digits = fraction.slice(0, 9).replace(/0+$/, "");
  const clock = `${hour.padStart(2, "0")}:${minute}:${second}${digits && "."}${digits}`;
  return `${year}-${month}-${day}T${clock}${zone(sign, +(zoneHour ?? 0) * 60 + +(zoneMinute ?? 0))}`;
}

function zone(sign: string | undefined, minutes: number): string {
  if (minutes === 0) return "Z";
  if (minutes >= 24 * 60) throw new RangeError("Time.MarshalText: timezone hour outside of range [0,23]");
  const two = (part: number) => String(part).padStart(2, "0");
  return `${sign}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}

const daysIn = (year: number, month: number) =>
  month === 2
    ? (year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28)
    : [4, 6, 9, 11].includes(month)
    ? 30
    : 31;

/** Seconds of the years 0000 to 9999, the ones that RFC 3339 can write. */
const FIRST_SECOND = -62_167_219_200n, LAST_SECOND = 253_402_300_799n;
/** Beyond this many, in either direction, an integer counts as milliseconds. */
const MOST_SECONDS = 1_000_000_000_000n;

/**
 * An integer as Unix seconds or, beyond ±10^12, as Unix milliseconds, in UTC. Milliseconds that are more than 64 bits of
 * nanoseconds wrap around, as they do in Go.
 * @throws RangeError for a year outside of 0 to 9999
 */
export function timeOfInteger(value: bigint): string {
  if (value <= MOST_SECONDS && value >= -MOST_SECONDS) return write(value, 0n);
  const nanoseconds = BigInt.asIntN(64, value * 1_000_000n);
  const rest = ((nanoseconds % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  return write((nanoseconds - rest) / 1_000_000_000n, rest);
}

function write(seconds: bigint, nanoseconds: bigint): string {
  if (seconds < FIRST_SECOND || seconds > LAST_SECOND) {
    throw new RangeError("Time.MarshalText: year outside of range [0,9999]");
  }
  const whole = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  const digits = nanoseconds === 0n ? "" : `.${String(nanoseconds).padStart(9, "0").replace(/0+$/, "")}`;
  return `${whole}${digits}Z`;
}
