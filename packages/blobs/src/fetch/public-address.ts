import ipaddr from 'ipaddr.js'

const globalUnicast = ipaddr.parseCIDR('2000::/3')

/**
 * Whether an IP address belongs to the public internet: not this machine, its network, a carrier's or a cloud's inside,
 * nor an address that stands for one of those in IPv6. What is not known to be public is not.
 * @see https://www.iana.org/assignments/iana-ipv4-special-registry
 */
export function isPublicAddress(address: string): boolean {
  if (!ipaddr.isValid(address)) return false
  const parsed = ipaddr.process(address)
  if (parsed.range() !== 'unicast') return false
  // Everything outside 2000::/3 is reserved, also what the library has no name for, such as ::7f00:1.
  return parsed.kind() === 'ipv4' || parsed.match(globalUnicast)
}
