/** Unix milliseconds as RFC 3339 in UTC. */
export const rfc3339 = (milliseconds: number): string => new Date(milliseconds).toISOString();

/** The same for a moment that may be missing. */
export const rfc3339OrNull = (milliseconds: number | null): string | null =>
  milliseconds === null ? null : rfc3339(milliseconds);

/** Milliseconds as older clients know durations: `1h2m3.456s`. */
export function goDuration(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1000);
  const hours = Math.floor(seconds / 3600), minutes = Math.floor(seconds / 60) % 60;
  const rest = `${seconds % 60 + Math.round(milliseconds % 1000) / 1000}s`;
  return hours > 0 ? `${hours}h${minutes}m${rest}` : minutes > 0 ? `${minutes}m${rest}` : rest;
}
