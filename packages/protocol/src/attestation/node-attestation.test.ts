import { describe, expect, test } from 'vitest'
import { createSigner } from '../crypto/signer.ts'
import { keccak256, sha256 } from '../crypto/hash.ts'
import { ProviderFrame } from '../http/provider-frame.ts'
import {
  attestationDigest,
  findAttestationFault,
  isAttestationSigned,
  SignedAttestation,
  signAttestation,
} from './node-attestation.ts'
import { listMissedChecks, type PreflightReport, requiredPreflightChecks } from './preflight-report.ts'

const domain = { chainId: 31_337, vault: `0x${'0b'.repeat(20)}` } as const
const signer = createSigner(keccak256('attesting provider'))
const stranger = createSigner(keccak256('stranger'))
const ranAt = 1_800_000_000
const contained = (id: string, required = true) =>
  ({ id, row: 1, required, expected: 'nothing', result: 'contained', found: '' }) as const
const report: PreflightReport = {
  version: 1,
  ranAt,
  executor: 'docker',
  policy: 'job',
  facts: { engine: 'docker 28', runtime: 'runc' },
  profileDigest: sha256('profile'),
  programDigest: sha256('program'),
  milliseconds: 2500,
  checks: requiredPreflightChecks.map((id) => contained(id)),
}
const sign = (changes: Partial<PreflightReport> = {}, validUntil = ranAt + 172_800) =>
  signAttestation({ ...report, ...changes }, { validUntil, signer, domain })
const faultOf = (attestation: SignedAttestation, at = ranAt + 60, maxAgeSeconds?: number) =>
  findAttestationFault(attestation, {
    domain,
    provider: signer.address,
    at,
    ...(maxAgeSeconds === undefined ? {} : { maxAgeSeconds }),
  })

test('holds, and survives the wire with its digest', () => {
  const signed = sign()
  expect(faultOf(signed)).toBeUndefined()
  const frame = ProviderFrame.parse(JSON.parse(JSON.stringify({ type: 'attestation', attestation: signed })))
  const travelled = frame.type === 'attestation' ? frame.attestation : sign({}, 0)
  expect(attestationDigest(travelled, domain)).toBe(attestationDigest(signed, domain))
  expect(isAttestationSigned(travelled, domain)).toBe(true)
})

describe('does not hold', () => {
  const { checks } = report
  const failing = checks.map((check) =>
    check.id === 'network' ? { ...check, result: 'failed' as const, found: 'a program reached this machine' } : check,
  )
  test.each<[string, SignedAttestation, string]>([
    ['with another report', { ...sign(), report: { ...report, milliseconds: 1 } }, 'it is not signed by its provider'],
    ['with a failed check made good', { ...sign({ checks: failing }), report }, 'it is not signed by its provider'],
    ['with a longer life', { ...sign(), validUntil: ranAt + 172_801 }, 'it is not signed by its provider'],
    [
      'signed by a stranger in the name of the provider',
      { ...signAttestation(report, { validUntil: ranAt + 10, signer: stranger, domain }), provider: signer.address },
      'it is not signed by its provider',
    ],
    [
      'for another vault',
      signAttestation(report, {
        validUntil: ranAt + 1000,
        signer,
        domain: { ...domain, vault: `0x${'0c'.repeat(20)}` },
      }),
      'it is not signed by its provider',
    ],
    [
      'of a stranger',
      signAttestation(report, { validUntil: ranAt + 1000, signer: stranger, domain }),
      `it is the attestation of ${stranger.address}, not of ${signer.address}`,
    ],
    ['when it is over', sign({}, ranAt + 59), `it stood until ${ranAt + 59}, before ${ranAt + 60}`],
    [
      'when its preflight is to come',
      sign({ ranAt: ranAt + 300 }),
      `its preflight ran at ${ranAt + 300}, after ${ranAt + 60}`,
    ],
    ['with a failed check', sign({ checks: failing }), 'required checks were not contained: network'],
    [
      'with a required check called optional',
      sign({ checks: failing.map((check) => ({ ...check, required: false })) }),
      'required checks were not contained: network',
    ],
    ['without a required check', sign({ checks: checks.slice(1) }), 'required checks were not contained: capabilities'],
    [
      'with a check of its own that failed',
      sign({ checks: [...checks, { ...contained('own'), result: 'not-run' }] }),
      'required checks were not contained: own',
    ],
  ])('%s', (_, attestation, fault) => expect(faultOf(attestation)).toBe(fault))

  test('when its preflight is older than is wanted, however long it says it stands', () => {
    const long = sign({}, ranAt + 365 * 86_400)
    expect(faultOf(long, ranAt + 3600, 3600)).toBeUndefined()
    expect(faultOf(long, ranAt + 3601, 3600)).toBe(`it stood until ${ranAt + 3600}, before ${ranAt + 3601}`)
    expect(faultOf(long, ranAt + 8 * 86_400)).toMatch('it stood until')
  })
})

test('an optional check may fail', () => {
  const checks = [...report.checks, { ...contained('user-namespaces', false), result: 'failed' as const }]
  expect(listMissedChecks({ ...report, checks })).toEqual([])
  expect(faultOf(sign({ checks }))).toBeUndefined()
})

test.each<[string, unknown]>([
  ['more checks than there can be', { report: { ...report, checks: Array(129).fill(report.checks[0]) } }],
  ['a field that is not known', { more: 1 }],
  ['half a character', { report: { ...report, facts: { engine: '\ud800' } } }],
])('is no attestation with %s', (_, changes) => {
  expect(SignedAttestation.safeParse({ ...sign(), ...(changes as object) }).success).toBe(false)
})
