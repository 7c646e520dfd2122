/** Unix milliseconds as RFC 3339 in UTC. */
export const rfc3339 = (milliseconds: number): string => new Date(milliseconds).toISOString();

/** The same for a moment that may be missing. */
export const rfc3339OrNull = (milliseconds: number | null): string | null =>
  milliseconds === null ? null : rfc3339(milliseconds);

/** Milliseconds as older clients know durations, which is as Go writes them: `1h2m3.456s`, `456ms`, `0s`. */
export function goDuration(milliseconds: number): string {
  const whole = Math.round(milliseconds);
  if (whole < 0) return `-${goDuration(-whole)}`;
  if (whole > 0 && whole < 1000) return `${whole}ms`;
  const hours = Math.floor(whole / 3_600_000), minutes = Math.floor(whole / 60_000) % 60;
  const rest = `${whole % 60_000 / 1000}s`;
  return hours > 0 ? `${hours}h${minutes}m${rest}` : minutes > 0 ? `${minutes}m${rest}` : rest;
}
