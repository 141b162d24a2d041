import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createSigner } from '../crypto/signer.ts'
import { keccak256 } from '../crypto/hash.ts'
import { accessType } from './access.ts'
import { createAuthorization, findAuthorized, maxAccessSeconds } from './authorization.ts'

const domain = { chainId: 31_337, vault: `0x${'11'.repeat(20)}` } as const
const signer = createSigner(`0x${'22'.repeat(32)}`)
const subject = keccak256('order')
const now = new Date('2026-11-22T12:00:00.500Z')
const later = (seconds: number) => new Date(now.getTime() + seconds * 1000)
const header = createAuthorization(domain, subject, signer, now)
const headerUntil = (validUntil: number) =>
  `Lilypad ${validUntil}:${accessType.sign(domain, { subject, validUntil }, signer)}`
const nowSeconds = Math.floor(now.getTime() / 1000)

test('the header names its signer for five minutes', () => {
  expect(findAuthorized(domain, subject, header, now)).toBe(signer.address)
  expect(findAuthorized(domain, subject, header, later(299))).toBe(signer.address)
  expect(findAuthorized(domain, subject, header, later(301))).toBeUndefined()
})

test('a clock that is behind by minutes still takes it', () => {
  expect(findAuthorized(domain, subject, header, later(-290))).toBe(signer.address)
  expect(findAuthorized(domain, subject, header, later(-310))).toBeUndefined()
})

test('one that is good for too long is not taken, though it is signed', () => {
  expect(findAuthorized(domain, subject, headerUntil(nowSeconds + maxAccessSeconds), now)).toBe(signer.address)
  expect(findAuthorized(domain, subject, headerUntil(nowSeconds + maxAccessSeconds + 2), now)).toBeUndefined()
  expect(findAuthorized(domain, subject, headerUntil(nowSeconds - 1), now)).toBeUndefined()
})

test('it opens no other job, chain or vault', () => {
  const strange = [
    findAuthorized(domain, keccak256('other order'), header, now),
    findAuthorized({ ...domain, chainId: 1 }, subject, header, now),
    findAuthorized({ ...domain, vault: `0x${'12'.repeat(20)}` }, subject, header, now),
    findAuthorized(domain, subject, header.replace(/\d+:/, `${nowSeconds + 1}:`), now),
  ]
  for (const found of strange) expect(found).not.toBe(signer.address)
})

test.each([
  undefined,
  '',
  'Bearer x',
  header.replace('Lilypad', 'lilypad'),
  header.replace(' ', '  '),
  `${header}\n`,
  ` ${header}`,
  `${header}00`,
  header.slice(0, -1),
  header.replace(/Lilypad \d+/, 'Lilypad -1'),
  header.replace(/Lilypad \d+/, 'Lilypad 1e9'),
  header.replace(/Lilypad \d+/, `Lilypad ${'9'.repeat(13)}`),
])('is not taken when malformed: %j', (malformed) => {
  expect(findAuthorized(domain, subject, malformed, now)).toBeUndefined()
})

test('never throws', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.string().map((text) => `Lilypad ${text}`),
      ),
      (text) => {
        expect(findAuthorized(domain, subject, text, now)).toBeUndefined()
      },
    ),
  )
})
