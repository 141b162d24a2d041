import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'

/**
 * The address a request came from. Only what proxies of ours have written is believed: with two of them, the second name from the end of
 * `X-Forwarded-For`. Of an IPv6 address only the network (/64), because its host has them all.
 */
export function clientAddress(request: Pick<IncomingMessage, 'headers' | 'socket'>, trustedProxies: number): string {
  const forwarded = [request.headers['x-forwarded-for'] ?? []].flat().join(',').split(',')
  const named = trustedProxies > 0 ? forwarded.at(-trustedProxies)?.trim() : undefined
  return toNetwork(named !== undefined && isIP(named) ? named : (request.socket.remoteAddress ?? 'unknown'))
}

function toNetwork(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1]
  if (mapped) return mapped
  if (isIP(address) !== 6) return address
  const [head = '', tail] = address.toLowerCase().split('::')
  const before = head.split(':').filter(Boolean)
  const after = (tail ?? '').split(':').filter(Boolean)
  const groups = [...before, ...Array(Math.max(0, 8 - before.length - after.length)).fill('0'), ...after]
  return `${groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':')}::/64`
}
