import ipaddr from "ipaddr.js";

/**
 * Whether a text is an IP address in one of its usual spellings: four decimal numbers without zeros ahead, or IPv6 without zone and
 * brackets. ipaddr.js also takes octal, hexadecimal and shortened IPv4 addresses.
 */
export const isAddress = (text: string): boolean =>
  text.includes(":")
    ? ipaddr.IPv6.isValid(text) && !text.includes("%")
    : ipaddr.IPv4.isValidFourPartDecimal(text) && !/(^|\.)0\d/.test(text);
