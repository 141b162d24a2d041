import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSigner, type PreflightReport, requiredPreflightChecks, signAttestation } from '@lilypad-agents/protocol'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { findFreshPreflight, savePreflight } from './preflight-cache.ts'
import { checks } from './checks.ts'

const signer = createSigner(`0x${'11'.repeat(32)}`)
const domain = { chainId: 31_337, vault: `0x${'22'.repeat(20)}` } as const
const ranAt = 1_800_000_000
const report: PreflightReport = {
  version: 1,
  ranAt,
  executor: 'docker',
  policy: 'job',
  facts: { engine: 'docker 28.2.2', runtime: 'runc', kernel: '6.18.0' },
  profileDigest: `0x${'33'.repeat(32)}`,
  programDigest: `0x${'44'.repeat(32)}`,
  milliseconds: 2300,
  checks: [
    ...checks
      .filter(({ required }) => required)
      .map(({ id, row, expected }) => ({ id, row, required: true, expected, result: 'contained', found: '' }) as const),
    { id: 'user-namespaces', row: 21, required: false, expected: 'mapped', result: 'failed', found: 'not mapped' },
  ],
}
const sign = (changes: Partial<PreflightReport> = {}) =>
  signAttestation({ ...report, ...changes }, { validUntil: ranAt + 172_800, signer, domain })
const signed = sign()
const at = (second: number) => new Date(second * 1000)
const expected = { subject: report, provider: signer.address, domain, now: at(ranAt + 60) }
let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lilypad-preflight-cache-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

describe('findFreshPreflight', () => {
  test('gives back what was saved, for a day', async () => {
    expect(await findFreshPreflight(folder, expected)).toBeUndefined()
    await savePreflight(folder, signed)
    expect(await findFreshPreflight(folder, expected)).toEqual(signed)
    expect(await findFreshPreflight(folder, { ...expected, now: at(ranAt + 86_399) })).toEqual(signed)
  })

  test.each<[what: string, changes: Partial<typeof expected>]>([
    ['a day old', { now: at(ranAt + 86_400) }],
    ['from the future', { now: at(ranAt - 1) }],
    ['of another kernel', { subject: { ...report, facts: { ...report.facts, kernel: '6.19.0' } } }],
    ['of another policy', { subject: { ...report, policy: 'egress' } }],
    ['of another profile', { subject: { ...report, profileDigest: `0x${'55'.repeat(32)}` } }],
    ['of other attacks', { subject: { ...report, programDigest: `0x${'55'.repeat(32)}` } }],
    ['of another provider', { provider: `0x${'66'.repeat(20)}` }],
  ])('not one %s', async (_what, changes) => {
    await savePreflight(folder, signed)
    expect(await findFreshPreflight(folder, { ...expected, ...changes })).toBeUndefined()
  })

  test('not one that somebody changed, cut, or that failed', async () => {
    const file = join(folder, 'preflight.json')
    await savePreflight(folder, signed)
    const text = await readFile(file, 'utf8')
    for (const changed of [text.replace('"found":"not mapped"', '"found":""'), text.slice(0, -9), '', '[]']) {
      await writeFile(file, changed)
      expect(await findFreshPreflight(folder, expected)).toBeUndefined()
    }
    const failed = report.checks.map((check) => ({ ...check, required: true }))
    await savePreflight(folder, sign({ checks: failed }))
    expect(await findFreshPreflight(folder, expected)).toBeUndefined()
  })
})

test('what solvers and verifiers require is what this preflight requires', () => {
  expect(checks.filter(({ required }) => required).map(({ id }) => id)).toEqual([...requiredPreflightChecks])
})
