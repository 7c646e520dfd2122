/** Bytes of UTF-8 that a line or an error may have. */
export const LONGEST_TEXT = 16 * 1024;

const CUT = " … (cut)";
const encoder = new TextEncoder();
const kept = new Uint8Array(LONGEST_TEXT - encoder.encode(CUT).length);
const whole = new Uint8Array(LONGEST_TEXT);

/**
 * A text as it can be kept: UTF-8 of at most 16 KiB, cut between characters, and without NUL, behind which SQLite reads no further.
 */
export function keptText(text: string): string {
  let short = text.length > LONGEST_TEXT ? text.slice(0, LONGEST_TEXT + 1) : text;
  // No character takes more than three bytes for each of its units.
  if (short.length * 3 > LONGEST_TEXT && encoder.encodeInto(short, whole).read < short.length) {
    short = short.slice(0, encoder.encodeInto(short, kept).read) + CUT;
  }
  if (short.includes("\0")) short = short.replaceAll("\0", "\ufffd");
  return short.isWellFormed() ? short : short.toWellFormed();
}
