import { expect, test } from 'vitest'
import { keccak256, sha256 } from '../crypto/hash.ts'
import { createSigner } from '../crypto/signer.ts'
import { createAuthorization, findAuthorized } from './authorization.ts'
import { createLinkAccess, findLinkSigner, maxLinkSeconds } from './output-link.ts'

const domain = { chainId: 31_337, vault: `0x${'11'.repeat(20)}` } as const
const signer = createSigner(`0x${'22'.repeat(32)}`)
const output = { orderHash: keccak256('order'), sha256: sha256('output') }
const now = new Date('2026-11-22T12:00:00Z')
const seconds = now.getTime() / 1000
const later = (more: number) => new Date(now.getTime() + more * 1000)
const access = createLinkAccess(domain, output, signer, seconds + 3600)

test('a link names its signer until its time is over', () => {
  expect(findLinkSigner(domain, output, access, now)).toBe(signer.address)
  expect(findLinkSigner(domain, output, access, later(3600))).toBe(signer.address)
  expect(findLinkSigner(domain, output, access, later(3601))).toBeUndefined()
})

test('a link opens one output of one job', () => {
  const others = [
    { ...output, sha256: sha256('other') },
    { ...output, orderHash: keccak256('other') },
  ]
  for (const other of others) expect(findLinkSigner(domain, other, access, now)).not.toBe(signer.address)
  expect(findLinkSigner({ ...domain, chainId: 1 }, output, access, now)).not.toBe(signer.address)
})

test('a link is no authorization, and an authorization no link', () => {
  const [validUntil, signature] = access.split('.')
  expect(findAuthorized(domain, output.orderHash, `Lilypad ${validUntil}:0x${signature}`, now)).not.toBe(signer.address)
  const header = createAuthorization(domain, output.orderHash, signer, now).replace('Lilypad ', '').replace(':0x', '.')
  expect(findLinkSigner(domain, output, header, now)).not.toBe(signer.address)
})

test('a link that is good for too long or was changed is not taken', () => {
  const longest = createLinkAccess(domain, output, signer, seconds + maxLinkSeconds)
  expect(findLinkSigner(domain, output, longest, now)).toBe(signer.address)
  const tooLong = createLinkAccess(domain, output, signer, seconds + maxLinkSeconds + 61)
  expect(findLinkSigner(domain, output, tooLong, now)).toBeUndefined()
  const [validUntil, signature] = access.split('.')
  for (const text of ['', access.slice(1), `${Number(validUntil) + 1}.${signature}`, `${access}0`, `-1.${signature}`])
    expect(findLinkSigner(domain, output, text, now)).not.toBe(signer.address)
})
