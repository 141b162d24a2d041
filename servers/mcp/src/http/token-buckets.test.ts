import type { IncomingMessage } from 'node:http'
import { describe, expect, test } from 'vitest'
import { clientAddress } from './client-address.ts'
import { createTokenBuckets } from './token-buckets.ts'

describe('buckets', () => {
  test('give a burst, then as much as they fill, and tell how long to wait', () => {
    let at = 0
    const buckets = createTokenBuckets({ perMinute: 60, now: () => at })
    expect(Array.from({ length: 15 }, () => buckets.take('a')).every((wait) => wait === 0)).toBe(true)
    expect(buckets.take('a')).toBe(1)
    expect(buckets.take('b')).toBe(0)
    at += 999
    expect(buckets.take('a')).toBe(1)
    at += 1
    expect(buckets.take('a')).toBe(0)
    expect(buckets.take('a', 5)).toBe(5)
    at += 5000
    expect(buckets.take('a', 5)).toBe(0)
  })

  test('never hold more than a burst, and let through what costs more than that when they are full', () => {
    let at = 0
    const buckets = createTokenBuckets({ perMinute: 4, now: () => at })
    at += 3_600_000
    expect(buckets.take('a')).toBe(0)
    expect(buckets.take('a')).toBe(15)
    at += 15_000
    expect(buckets.take('a', 1000)).toBe(0)
  })

  test('are in debt after what costs more than a whole one', () => {
    let at = 0
    const buckets = createTokenBuckets({ perMinute: 40, now: () => at })
    expect(buckets.take('a', 50)).toBe(0)
    expect(buckets.take('a')).toBe(62)
    at += 62_000
    expect(buckets.take('a')).toBe(0)
  })

  test('forget the one longest quiet of too many', () => {
    const buckets = createTokenBuckets({ perMinute: 4, now: () => 0 })
    for (let key = 0; key < 10_000; key++) buckets.take(String(key))
    expect(buckets.take('0')).toBeGreaterThan(0)
    buckets.take('new')
    expect(buckets.take('0')).toBeGreaterThan(0)
    expect(buckets.take('1')).toBe(0)
  })
})

describe('where a request came from', () => {
  const from = (remoteAddress: string, forwarded?: string): Pick<IncomingMessage, 'headers' | 'socket'> => ({
    headers: forwarded === undefined ? {} : { 'x-forwarded-for': forwarded },
    socket: { remoteAddress } as IncomingMessage['socket'],
  })
  test.each([
    ['the socket', from('192.0.2.1'), 0, '192.0.2.1'],
    ['the socket, when no proxy is ours', from('192.0.2.1', '198.51.100.7'), 0, '192.0.2.1'],
    ['what our proxy wrote', from('10.0.0.1', 'forged, 198.51.100.7'), 1, '198.51.100.7'],
    ['what the first of two wrote', from('10.0.0.1', 'forged, 198.51.100.7, 10.0.0.2'), 2, '198.51.100.7'],
    ['the socket, when the header is no address', from('10.0.0.1', 'unknown'), 1, '10.0.0.1'],
    ['the socket, when the header is too short', from('10.0.0.1', '198.51.100.7'), 2, '10.0.0.1'],
    ['IPv4 within IPv6', from('::ffff:192.0.2.1'), 0, '192.0.2.1'],
    ['the network of IPv6', from('2001:db8:1:2:3:4:5:6'), 0, '2001:db8:1:2::/64'],
    ['the network of short IPv6', from('2001:0db8::5'), 0, '2001:db8:0:0::/64'],
    ['loopback', from('::1'), 0, '0:0:0:0::/64'],
  ])('%s', (_what, request, proxies, address) => expect(clientAddress(request, proxies)).toBe(address))
})
