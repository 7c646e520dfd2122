/**
 * The address of an operation on content.
 * @param operation such as `get`
 * @param place a CID, behind which a path may follow: `<cid>/folder/file`, as it is, not percent-encoded
 * @throws TypeError for a place that no address can name
 */
export function addressOf(operation: string, place: string): string {
  const segments = place.replace(/\/$/, "").split("/");
  return `/v1/storage/${operation}/${segments.map((segment) => inAddress(segment, place)).join("/")}`;
}

/** Refuses a path below a CID. @throws TypeError */
export function cidAddressOf(operation: string, cid: string): string {
  if (cid.includes("/")) throw new TypeError(`a CID alone is wanted, without a path: ${JSON.stringify(cid)}`);
  return addressOf(operation, cid);
}

/** Addresses take `.` and `..`, encoded or not, for the folder itself and the one above. */
function inAddress(segment: string, place: string): string {
  if (segment === "" || segment === "." || segment === "..") {
    throw new TypeError(`${JSON.stringify(place)} is no CID with a path below it: no segment may be empty, . or ..`);
  }
  return encoded(segment, "a CID or path");
}

/** The part of an address after its question mark; members that are `undefined` are left out. @throws TypeError */
export const queryOf = (members: Readonly<Record<string, string | number | boolean | undefined>>): string =>
  Object.entries(members).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${encoded(String(value), name)}`]
  ).join("&");

function encoded(text: string, field: string): string {
  try {
    return encodeURIComponent(text);
  } catch {
    throw new TypeError(`${field} must be text that UTF-8 can hold`);
  }
}
