import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sha256 } from '@lilypad-agents/protocol'
import { expect, test } from 'vitest'
import { Journal } from '../journal/journal.ts'
import { findEarnings } from './find-earnings.ts'
import { reportEarnings } from './report-earnings.ts'

test('looks into a journal while its provider has it open', () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'lilypad-earnings-'))
  expect(findEarnings({ stateDir })).toBeUndefined()
  const journal = Journal.open(join(stateDir, 'provider'))
  journal.decline(sha256('order'), { code: 'NONCE_USED', reason: '' }, 1)
  journal.noteSettlement({ transaction: sha256('transaction'), lanes: 1, jobs: 2, now: 3 })
  expect(findEarnings({ stateDir })).toEqual({
    isRunning: true,
    report: { modules: [], days: [], claims: {} },
    unpaid: [],
    recent: [],
    jobs: { accepted: 0, finished: 0, delivered: 0, acknowledged: 0, closed: 0, declined: 1 },
    earnings: { unsettled: 0n, settled: 0n, settledJobs: 0, unsettledJobs: 0 },
    settlements: [{ transaction: sha256('transaction'), lanes: 1, jobs: 2, sentAt: 3, blockNumber: undefined }],
  })
  journal.close()
  expect(findEarnings({ stateDir })?.isRunning).toBe(false)
  rmSync(stateDir, { recursive: true, force: true })
})

test('adds up what was acknowledged by module and by day', () => {
  const [tts, ocr] = [sha256('tts'), sha256('ocr')]
  const acknowledged = [
    { moduleVersion: tts, module: 'tts', price: 5n, acknowledgedAt: 0 },
    { moduleVersion: ocr, module: undefined, price: 7n, acknowledgedAt: 86_399 },
    { moduleVersion: tts, module: 'tts', price: 5n, acknowledgedAt: 86_400 },
  ]
  const claims = { paid: { jobs: 1, amount: 3n } }
  const report = (days: number) =>
    reportEarnings(
      // Only what a report reads.
      { readAcknowledged: () => acknowledged.values() as never, claims: { sum: () => claims } as never },
      { days },
    )
  expect(report(9)).toEqual({
    modules: [
      { moduleVersion: tts, name: 'tts', jobs: 2, amount: 10n },
      { moduleVersion: ocr, name: undefined, jobs: 1, amount: 7n },
    ],
    days: [
      { day: '1970-01-02', jobs: 1, amount: 5n },
      { day: '1970-01-01', jobs: 2, amount: 12n },
    ],
    claims,
  })
  expect(report(1).days.map(({ day }) => day)).toEqual(['1970-01-02'])
})
