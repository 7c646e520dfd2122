/** Bytes of the header of a SQLite file (sqlite.org/fileformat2.html, 1.3). */
export const HEADER_BYTES = 100;

/**
 * What is wrong with a file by its first bytes and its size: before SQLite opens it, which would take some of this for a reason
 * to wait, to mend, or to look for further files.
 * @param header the first {@link HEADER_BYTES}, or fewer where there are no more
 * @returns a sentence for the client, or `undefined`
 */
export function headerProblem(header: Uint8Array, size: number): string | undefined {
  if (size === 0) return "the body is empty";
  if (new TextDecoder("latin1").decode(header.subarray(0, 16)) !== "SQLite format 3\0") {
    return "this is no SQLite file, or an encrypted one";
  }
  if (header.length < HEADER_BYTES) return "the file ends within its header";
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  if (view.getUint8(18) === 2 || view.getUint8(19) === 2) {
    return "the file is in WAL mode, so its last changes may be in another file: copy it with VACUUM INTO or .backup, " +
      "or run PRAGMA journal_mode=DELETE before";
  }
  if (view.getUint8(18) !== 1 || view.getUint8(19) !== 1) {
    return "the file is of a format that SQLite does not know yet";
  }
  const page = view.getUint16(16) === 1 ? 65_536 : view.getUint16(16);
  if (page < 512 || (page & (page - 1)) !== 0) return "the file's page size is none";
  const encoding = view.getUint32(56);
  if (encoding > 1) return "the file's text is in UTF-16: only UTF-8 is taken, which a dump as SQL text always is";
  // Counts only where the version that wrote it says so.
  const pages = view.getUint32(24) === view.getUint32(92) ? view.getUint32(28) : 0;
  if (size % page !== 0 || pages * page > size) return "the file is shorter than it says: it was cut off on its way";
  return undefined;
}
