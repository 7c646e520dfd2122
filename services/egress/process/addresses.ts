const BYTE = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
/** In its only spelling: what the system's rights are held against must be what the system connects to. */
const IPV4 = new RegExp(`^${BYTE}(?:\\.${BYTE}){3}$`);
/** Global unicast, 2000::/3 (RFC 4291, 2.4), without zones and dotted tails. */
const IPV6 = /^[23][\da-f]{3}:[\da-f:]{1,34}$/i;
/** Within it, what holds an IPv4 address or is nobody's: Teredo (RFC 4380), documentation (RFC 3849), 6to4 (RFC 3056). */
const IPV6_REFUSED = /^(?:2001:(?:0{0,4}:|0?db8:)|2002:)/i;

/**
 * Whether the process may connect to an address at all, whatever was decided before. The deny list of its rights knows ranges of IPv4
 * only, and lets `::ffff:127.0.0.1` pass; so nothing but dotted IPv4 is taken, and with IPv6 only what is global.
 */
export function mayDial(address: string, ipv6: boolean): boolean {
  return IPV4.test(address) || ipv6 && IPV6.test(address) && !IPV6_REFUSED.test(address);
}
