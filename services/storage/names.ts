import { invalid } from "./failures.ts";

/** Bytes of UTF-8 that a name, or a segment of a path, may have: as many as a file system takes. */
const MAX_BYTES = 255;
/** Segments of a path within a directory. */
const MAX_DEPTH = 64;
/** Bytes of the name of a media type. */
const MAX_TYPE_BYTES = 255;

/** The last segment of a name as a client gave it; `undefined` where nothing is left. @throws GatewayError `INVALID_REQUEST` */
export function checkedName(name: string | undefined): string | undefined {
  if (name === undefined) return undefined;
  checkText(name, "name", Infinity);
  const last = name.slice(Math.max(name.lastIndexOf("/"), name.lastIndexOf("\\")) + 1);
  if (last.trim() === "") return undefined;
  checkSegment(last, "name");
  return last;
}

/** The segments of a path within a directory. @throws GatewayError `INVALID_REQUEST` */
export function checkedPath(path: string, field = "path"): readonly string[] {
  const segments = path.split("/");
  if (segments.length > MAX_DEPTH) throw invalid(field, `has more than ${MAX_DEPTH} segments`);
  for (const segment of segments) checkSegment(segment, field);
  return segments;
}

/**
 * A media type as a client gave it (RFC 9110, 8.3.1); `undefined` for one that says nothing.
 * @throws GatewayError `INVALID_REQUEST`
 */
export function checkedType(type: string | undefined): string | undefined {
  const given = type?.trim();
  if (given === undefined || given === "") return undefined;
  if (given.length > MAX_TYPE_BYTES || !/^[\w!#$&^.+-]+\/[\w!#$&^.+-]+(\s*;[\x20-\x7e]*)?$/.test(given)) {
    throw invalid("type", "must be a media type such as text/plain");
  }
  // Browsers and `curl` send it for whatever they do not know.
  return /^application\/octet-stream$/i.test(given) ? undefined : given;
}

function checkSegment(segment: string, field: string): void {
  if (segment === "" || segment === "." || segment === "..") {
    throw invalid(field, "no segment may be empty, `.` or `..`");
  }
  checkText(segment, field, MAX_BYTES);
}

/**
 * Holds a text against what may stand in names.
 * @param most bytes of UTF-8
 * @throws GatewayError `INVALID_REQUEST`
 */
export function checkText(text: string, field: string, most: number): void {
  if (/\p{Cc}/u.test(text)) throw invalid(field, "holds control characters, such as a line break");
  if (!text.isWellFormed()) throw invalid(field, "holds half of a surrogate pair, which no UTF-8 can hold");
  if (text.length > most / 3 && new TextEncoder().encode(text).length > most) {
    throw invalid(field, `has more than ${most} bytes of UTF-8`);
  }
}
